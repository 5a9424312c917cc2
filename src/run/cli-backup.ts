import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { SETS, type SetName, shareCard, splitRecovery, type TargetSettings } from '#backup';
import { parseRecoveryKey, type RecoveryKey, recoveryKeyOf } from '#seal';
import { withBackupDoors } from './backup/doors.ts';
import { pruneSet, runBackups } from './backup/run.ts';
import { changeSettings, readSettings } from './backup/settings.ts';
import { readStatus, statusLines } from './backup/status.ts';
import { RunError } from './config.ts';
import { defaultHome, openHome } from './home.ts';
import { initProcess, writeRecovery } from './init.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

const setOf = (text: string): SetName => {
  const set = SETS.find((one) => one === text);
  if (set === undefined) throw new RunError('usage', `There are three backups: ${SETS.join(', ')}.`);
  return set;
};

const count = (text: string): number => {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new RunError('usage', `'${text}' is not a whole number in range.`);
  return Number(text);
};

/** The public half of a recovery key from its file. Throws RunError. */
export function readRecoveryFile(file: string): RecoveryKey {
  try {
    return parseRecoveryKey(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new RunError('usage', 'This file is not the public half of a recovery key (recovery.json).', { cause });
  }
}

/** Makes a recovery key on a machine without a network: five cards to print, and the public half. */
async function makeRecovery(organisation: string, out: string | undefined): Promise<void> {
  const folder = out ?? mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : '/tmp', 'recovery-'));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const seed = randomBytes(32);
  const key = recoveryKeyOf(seed);
  const shares = await splitRecovery(seed);
  seed.fill(0);
  for (const share of shares) {
    writeFileSync(join(folder, `share-${share.number}.html`), shareCard(share, organisation), {
      mode: 0o600,
      flag: 'wx',
    });
  }
  writeFileSync(join(folder, 'recovery.json'), `${JSON.stringify(key, null, 2)}\n`, { mode: 0o644, flag: 'wx' });
  say(`Recovery key ${key.id}. Five cards and recovery.json are in ${folder}`);
  say(
    'Print each card, give it to its keeper, then delete the cards and switch this machine off. Any three of them open everything.',
  );
  say('Take recovery.json, which is public, to the server: bartizan start --recovery recovery.json');
}

/** Pins the recovery key of an installation that is stopped, in both guards. */
async function pinRecovery(dir: string | undefined, file: string): Promise<void> {
  const home = openHome(dir ?? defaultHome());
  const recovery = readRecoveryFile(file);
  if (existsSync(join(home.dir, 'supervisor', 'pid'))) {
    throw new RunError('in-use', 'Stop Bartizan first: the guards pin the key while nobody can ask them for anything.');
  }
  for (const guard of ['ledger', 'sealer'] as const) {
    await initProcess(home, guard, JSON.stringify(recovery), '--pin-recovery');
  }
  writeRecovery(home, recovery);
  say(`Both guards have pinned the recovery key ${recovery.id}. Start Bartizan again.`);
}

interface TargetGiven {
  readonly home?: string;
  readonly directory?: string;
  readonly command?: string[];
  readonly every?: number;
  readonly keep?: number;
  readonly alarm?: number;
  readonly recipient?: string[];
}

function setTarget(name: string, given: TargetGiven): void {
  const set = setOf(name);
  const { directory, command } = given;
  if (directory !== undefined && command !== undefined) throw new RunError('usage', 'Choose a directory or a command.');
  const target: TargetSettings | undefined =
    directory !== undefined
      ? { kind: 'directory', path: resolve(directory) }
      : command !== undefined
        ? { kind: 'command', program: resolve(command[0]!), args: command.slice(1) }
        : undefined;
  const now = changeSettings(openHome(given.home ?? defaultHome()), set, {
    ...(target === undefined ? {} : { target }),
    ...(given.every === undefined ? {} : { everyHours: given.every }),
    ...(given.keep === undefined ? {} : { keepDays: given.keep }),
    ...(given.alarm === undefined ? {} : { alarmHours: given.alarm }),
    ...(given.recipient === undefined ? {} : { recipients: given.recipient }),
  });
  const { everyHours, keepDays, alarmHours } = now.policy;
  say(`${set}: every ${everyHours} h, kept ${keepDays} days, alarm after ${alarmHours} h`);
}

/** `bartizan recovery …` and `bartizan backup …`. */
export function backupCommands(program: Command): void {
  const recovery = program
    .command('recovery')
    .description('the offline key that opens the backups: three of five cards');
  recovery
    .command('make')
    .description('make a recovery key and its five cards, on a machine without a network')
    .requiredOption('--organisation <name>', 'written on the cards')
    .option('--out <dir>', 'folder for the cards; default: one in memory (/dev/shm)')
    .action(({ organisation, out }: { organisation: string; out?: string }) => makeRecovery(organisation, out));
  recovery
    .command('pin')
    .description('have both guards pin the public half, once, while Bartizan is stopped')
    .argument('<file>', 'recovery.json')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home }: { home?: string }) => pinRecovery(home, file));

  const backup = program.command('backup').description('three backups in three places');
  backup
    .command('target')
    .description('say where a set goes, how often, and how long it is kept')
    .argument('<set>', SETS.join(', '))
    .option('--directory <dir>', 'a directory of its own, such as a mounted share')
    .option('--command <program...>', 'a program that understands put, get, list, delete and place')
    .option('--every <hours>', 'how often', count)
    .option('--keep <days>', 'how long; the ledger’s at most 30', count)
    .option('--alarm <hours>', 'how old before it is an alarm', count)
    .option('--recipient <age...>', 'further age recipients; never for the sealer’s', undefined)
    .option('--home <dir>', 'instance directory')
    .action(setTarget);
  backup
    .command('run')
    .description('write backups now, beside the running product')
    .argument('[set...]', 'which; default: all that have a place')
    .option('--json', 'one JSON object', false)
    .option('--home <dir>', 'instance directory')
    .action(async (names: string[], { json, home }: { json: boolean; home?: string }) => {
      const only = names.length === 0 ? undefined : names.map(setOf);
      const results = await withBackupDoors(openHome(home ?? defaultHome()), (doors) => runBackups(doors, only));
      if (json) say(JSON.stringify({ results }));
      else
        for (const { set, ok, name, bytes, message } of results)
          say(ok ? `${set}: ${name} (${bytes} bytes), read back` : `${set}: FAILED. ${message}`);
      if (results.some(({ ok }) => !ok)) process.exitCode = 1;
    });
  backup
    .command('status')
    .description('age of each set, and whether their places are apart')
    .option('--json', 'one JSON object', false)
    .option('--home <dir>', 'instance directory')
    .action(async ({ json, home }: { json: boolean; home?: string }) => {
      const status = await withBackupDoors(openHome(home ?? defaultHome()), ({ pool }) => readStatus(pool));
      if (json) say(JSON.stringify(status));
      else for (const line of statusLines(status, Date.now())) say(line);
    });
  backup
    .command('prune')
    .description('delete what has outlived its time')
    .option('--home <dir>', 'instance directory')
    .action(async ({ home }: { home?: string }) => {
      const where = openHome(home ?? defaultHome());
      await withBackupDoors(where, async (doors) => {
        const { sets } = readSettings(where);
        for (const set of SETS) {
          const settings = sets[set];
          if (settings !== undefined) say(`${set}: ${await pruneSet(doors, set, settings)} deleted`);
        }
      });
    });
}
