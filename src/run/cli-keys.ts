import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { guardClient } from '#seal';
import { RunError } from './config.ts';
import { defaultHome, type Home, openHome } from './home.ts';
import { needsKeeper, readKeySettings, useKeySettings } from './key-settings.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);
/** As the sealer grades them (src/guard/org-key.ts). */
const GRADE: Readonly<Record<string, string>> = { file: 'D', credential: 'C', pkcs11: 'B', kms: 'B', quorum: 'A' };
const WORTH: Readonly<Record<string, string>> = {
  file: 'a file: whoever copies the sealer’s disk has it',
  credential: 'a systemd credential: worth what it is encrypted with, a TPM at best',
  pkcs11: 'a token that never lets it out',
  kms: 'an outside key service, asked at each start',
  quorum: 'shares that several people bring at each start',
};

interface Version {
  readonly number: number;
  readonly key: string;
  readonly source: string;
}

interface Waiting {
  readonly key: string;
  readonly source: string;
  readonly need?: number;
  readonly of?: number;
  readonly have?: number;
  readonly fresh?: boolean;
}

/** What the sealer's own record says, and what the keeper waits for. */
export interface KeysReport {
  readonly current: Version & { readonly grade: string };
  readonly old: Version | null;
  readonly staged: Version | null;
  readonly next: string;
  /** Null while the keeper does not run. */
  readonly keeper: readonly Waiting[] | null;
}

async function atKeeper<T>(home: Home, type: string, body: object): Promise<T> {
  const keeper = guardClient(home.socket('keeper', 'operator'), { name: 'keeper of keys', timeoutMs: 20_000 });
  try {
    return await keeper.call<T>(type, body);
  } finally {
    keeper.close();
  }
}

/** Reads the versions of the organisation's key. Throws RunError where there is no installation of ours. */
export async function keysReport(home: Home): Promise<KeysReport> {
  const file = join(home.state('sealer'), 'organisation.json');
  const founding = join(home.dir, 'public', 'keys.json');
  let record: { current: Version; old?: Version; staged?: Version };
  try {
    record = existsSync(file)
      ? JSON.parse(readFileSync(file, 'utf8'))
      : { current: { number: 1, source: 'file', key: JSON.parse(readFileSync(founding, 'utf8')).inner } };
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not read it. Give its --home.', { cause });
  }
  const settings = readKeySettings(home);
  const keeper = needsKeeper(settings)
    ? await atKeeper<{ keys: Waiting[] }>(home, 'status', {}).then(
        ({ keys }) => keys,
        () => null,
      )
    : null;
  const { current, old = null, staged = null } = record;
  return {
    current: { ...current, grade: GRADE[current.source] ?? '?' },
    old,
    staged,
    next: settings?.next ?? 'file',
    keeper,
  };
}

/** One line for the start: what a stolen disk of the sealer is worth. */
export function gradeLine({ current }: KeysReport): string {
  return `Organisation key ${current.number}: grade ${current.grade}, ${WORTH[current.source] ?? current.source}.`;
}

function keysLines(report: KeysReport): string[] {
  const { old, staged, next, keeper } = report;
  const lines = [gradeLine(report)];
  if (old !== null)
    lines.push(`Key ${old.number} (${old.source}) is being replaced; it is destroyed when no row is left under it.`);
  if (staged !== null) lines.push(`Key ${staged.number} (${staged.source}) is staged and waits for two people.`);
  lines.push(`The next key will be made in: ${next}.`);
  for (const { source, need, have, fresh } of keeper ?? []) {
    if (source !== 'quorum') continue;
    if (fresh) lines.push('New shares wait: fetch them once with bartizan keys shares.');
    else lines.push(`Shares: ${have} of the ${need} that are needed are here.`);
  }
  return lines;
}

/** A share from a file, or from the terminal without echo, or from a pipe. */
async function readShare(file: string | undefined): Promise<string> {
  if (file !== undefined) {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch (cause) {
      throw new RunError('usage', 'The file with the share cannot be read.', { cause });
    }
  }
  const { stdin } = process;
  if (stdin.isTTY) {
    process.stderr.write('Share (it is not shown): ');
    stdin.setRawMode(true);
  }
  const lines = createInterface({ input: stdin, terminal: false });
  try {
    for await (const line of lines) return line.trim();
    return '';
  } finally {
    lines.close();
    if (stdin.isTTY) {
      stdin.setRawMode(false);
      process.stderr.write('\n');
    }
  }
}

/** `bartizan keys …` and `bartizan unseal`. */
export function keysCommands(program: Command): void {
  const keys = program.command('keys').description('where the organisation’s key lives, and its versions');
  keys
    .command('status')
    .description('versions, sources and grades; what the keeper waits for')
    .option('--json', 'one JSON object', false)
    .option('--home <dir>', 'instance directory')
    .action(async ({ json, home = defaultHome() }: { json: boolean; home?: string }) => {
      const report = await keysReport(openHome(home));
      if (json) say(JSON.stringify(report));
      else for (const line of keysLines(report)) say(line);
    });
  keys
    .command('use')
    .description('say where the next key is to live; it is made and signed for in the console (Keys) after a restart')
    .argument('<file>', 'JSON: next, and pkcs11, kms or quorum (docs/keys.md)')
    .option('--home <dir>', 'instance directory')
    .action((file: string, { home = defaultHome() }: { home?: string }) => {
      const { next } = useKeySettings(openHome(home), file);
      say(`Written: the next key will live in ${next}. Restart Bartizan, then change the key in the console.`);
    });
  keys
    .command('shares')
    .description('fetch the shares of a new key, once; give each to another person')
    .option('--home <dir>', 'instance directory')
    .action(async ({ home = defaultHome() }: { home?: string }) => {
      const { shares, need } = await atKeeper<{ shares: string[]; need: number }>(openHome(home), 'fetch', {});
      say(`${shares.length} shares; any ${need} bring the key. They are shown this once.`);
      for (const share of shares) say(share);
      say(`Prove them before two people sign: bring ${need} of them with bartizan unseal.`);
    });
  program
    .command('unseal')
    .description('bring one share of the organisation’s key')
    .option('--share-file <file>', 'file with the share; default: asked for, or standard input')
    .option('--home <dir>', 'instance directory')
    .action(async ({ shareFile, home = defaultHome() }: { shareFile?: string; home?: string }) => {
      const share = await readShare(shareFile);
      const answer = await atKeeper<{ have: number; need: number; complete: boolean }>(openHome(home), 'share', {
        share,
      });
      say(
        answer.complete
          ? 'The shares make the key. The sealer has it within a second, unless the directory is locked.'
          : `Taken: ${answer.have} of ${answer.need} shares are here.`,
      );
    });
}
