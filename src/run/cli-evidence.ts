import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { checkEvidence, type EvidenceSettings, evidenceFile, evidenceState, logId, NO_EVIDENCE } from '#evidence';
import { emit } from '#log';
import { parseCosignerKey } from '#proof';
import { RunError } from './config.ts';
import { layDown, readGiven } from './give-settings.ts';
import { defaultHome, evidenceFolder, type Home, openHome } from './home.ts';
import { withDatabase } from './push.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/**
 * Checks a file of settings and gives it to core, readable by core alone, with an event. Nothing is changed where the product
 * does not run: who vouches for the log does not change silently. Throws RunError, EvidenceError.
 */
export async function setEvidence(home: Home, file: string): Promise<EvidenceSettings> {
  const settings = checkEvidence(readGiven(file));
  const to = evidenceFile(home.state('core'));
  await withDatabase(home, async (pool) => {
    const putInForce = layDown(to, settings, 'core');
    const detail = { witnesses: settings.witnesses.length, authorities: settings.authorities.length };
    await emit(pool, { kind: 'evidence.set', actor: 'operator', detail });
    putInForce();
  });
  return settings;
}

function settingsOf(home: Home): EvidenceSettings {
  const file = evidenceFile(home.state('core'));
  return existsSync(file) ? checkEvidence(JSON.parse(readFileSync(file, 'utf8'))) : NO_EVIDENCE;
}

function logKey(home: Home): string {
  try {
    return (JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as { log: string }).log;
  } catch (cause) {
    throw new RunError('usage', 'This is no installation. Give its --home.', { cause });
  }
}

/** A C2SP tlog-policy of this log and its witnesses: a witness counts if one of its keys signed. */
export function policyOf(
  key: string,
  { witnesses }: Pick<EvidenceSettings, 'witnesses'>,
  quorum: 'any' | 'all',
): string {
  const lines = [`log ${key}`];
  const names = witnesses.map(({ name, keys }) => {
    if (keys.length === 1) {
      lines.push(`witness ${name} ${keys[0]}`);
      return name;
    }
    const each = keys.map((one) => `${name}.${parseCosignerKey(one).id.toString('hex')}`);
    keys.forEach((one, i) => {
      lines.push(`witness ${each[i]} ${one}`);
    });
    lines.push(`group ${name} any ${each.join(' ')}`);
    return name;
  });
  if (names.length > 0) lines.push(`group witnesses ${quorum} ${names.join(' ')}`);
  return `${[...lines, `quorum ${names.length > 0 ? 'witnesses' : 'none'}`].join('\n')}\n`;
}

/** `bartizan evidence set|status|policy`. */
export function evidenceCommands(program: Command): void {
  const evidence = program.command('evidence').description('who vouches for the log: witnesses and time stamps');
  evidence
    .command('set')
    .description('check a file of witnesses and time stamp authorities and give it to core; no restart')
    .argument('<file>', 'JSON with witnesses, authorities or both; see docs/evidence-log.md')
    .option('--home <dir>', 'instance directory')
    .action(async (file: string, { home: dir = defaultHome() }: { home?: string }) => {
      const { witnesses, authorities } = await setEvidence(openHome(dir), file);
      say(
        `Core uses this within seconds: ${witnesses.length} witnesses, ${authorities.length} time stamp authorities.`,
      );
      if (witnesses.length === 0)
        say('Without a witness, whoever owns the ledger can show two logs, and nobody sees it.');
    });
  evidence
    .command('status')
    .description('up to where each witness cosigned, and what was stamped')
    .option('--home <dir>', 'instance directory')
    .option('--json', 'one JSON object', false)
    .action(async ({ home: dir = defaultHome(), json }: { home?: string; json: boolean }) => {
      const home = openHome(dir);
      const state = await withDatabase(home, evidenceState);
      const folder = join(evidenceFolder(home), logId(logKey(home)));
      const good = state.witnesses.length > 0 && state.witnesses.every(({ failures }) => failures === 0);
      if (json) say(JSON.stringify({ ...state, folder, good }));
      else {
        for (const { name, size, signedAt, code } of state.witnesses)
          say(
            `${name}: up to entry ${size}, ${signedAt?.toISOString() ?? 'never'}${code === null ? '' : ` (now: ${code})`}`,
          );
        if (state.witnesses.length === 0) say('NO WITNESS: nobody outside would see a log with two faces');
        const { newest, size, waiting } = state.stamps;
        say(
          `time stamps: ${newest === null ? 'none' : `up to entry ${size}, ${newest.toISOString()}`}; ${waiting} wait`,
        );
        say(`files for whoever verifies: ${folder}`);
      }
      process.exitCode = good ? 0 : 1;
    });
  evidence
    .command('policy')
    .description('the log and its witnesses as a C2SP tlog-policy, for bartizan-verify')
    .option('--quorum <which>', 'any or all of the witnesses', 'any')
    .option('--home <dir>', 'instance directory')
    .action(({ home: dir = defaultHome(), quorum }: { home?: string; quorum: string }) => {
      if (quorum !== 'any' && quorum !== 'all') throw new RunError('usage', '--quorum is any or all.');
      const home = openHome(dir);
      process.stdout.write(policyOf(logKey(home), settingsOf(home), quorum));
    });
}
