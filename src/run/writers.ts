import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { newPen, type PublicKeys, penFile, penPublic, WRITERS, type Writer } from '#seal';
import { RunError } from './config.ts';
import { type Home, uidOf } from './home.ts';
import { initProcess } from './init.ts';

/**
 * Makes the key that each writing process signs values with, in its private folder and owned by it; one that is there
 * already is kept. Returns the public halves, for `keys.json` and for the ledger to pin.
 */
export function makePens(home: Home): PublicKeys['writers'] {
  const made = WRITERS.map((writer): [Writer, string] => {
    const file = penFile(home.state(writer));
    if (existsSync(file)) return [writer, penPublic({ writer, key: createPrivateKey(readFileSync(file)) })];
    const { pen, pem } = newPen(writer);
    writePen(home, writer, pem);
    return [writer, penPublic(pen)];
  });
  return Object.fromEntries(made) as PublicKeys['writers'];
}

function writePen(home: Home, writer: Writer, pem: string, suffix = ''): void {
  const file = `${penFile(home.state(writer))}${suffix}`;
  writeFileSync(file, pem, { mode: 0o600, flag: suffix === '' ? 'wx' : 'w' });
  const uid = uidOf(writer);
  if (uid !== undefined) chownSync(file, uid, uid);
}

/** As the ledger takes them on standard input. */
export const pinsOf = (writers: PublicKeys['writers']) => WRITERS.map((writer) => ({ writer, key: writers[writer] }));

/** Throws RunError for an installation from before values were signed. */
export function mustHaveWriters(keys: PublicKeys): PublicKeys {
  const { writers, intake }: Partial<PublicKeys> = keys;
  if (writers !== undefined && intake !== undefined) return keys;
  throw new RunError(
    'not-founded',
    'This installation is from before values were signed by whoever writes them. Run \u2018bartizan found-writers\u2019 once, then start again.',
  );
}

/**
 * Gives an installation from before values were signed its writers, while it is stopped: keys for edge, intake and glass,
 * their pins in the ledger with an entry in the log, and last the public keys. Whatever it stops at, it is run again. With
 * `renew` one writer of any installation gets a new key instead, after its process was in other hands. Throws RunError if the ledger has pinned others.
 */
export async function foundWriters(home: Home, renew?: Writer): Promise<PublicKeys['writers']> {
  const file = join(home.dir, 'public', 'keys.json');
  let keys: PublicKeys;
  try {
    keys = JSON.parse(readFileSync(file, 'utf8')) as PublicKeys;
  } catch (cause) {
    throw new RunError('not-founded', 'There is no installation in this --home.', { cause });
  }
  const made = renew === undefined ? undefined : newPen(renew);
  const known = renew === undefined ? makePens(home) : keys.writers;
  const writers = made === undefined ? known : { ...known, [made.pen.writer]: penPublic(made.pen) };
  if (made !== undefined) writePen(home, made.pen.writer, made.pem, '.new');
  await pin(home, writers, renew);
  // Intake had no keys of its own either.
  const intake = keys.intake === undefined ? await initProcess(home, 'intake', '') : {};
  writeFileSync(`${file}.new`, JSON.stringify({ ...keys, ...intake, writers }), { mode: 0o644 });
  renameSync(`${file}.new`, file);
  if (renew !== undefined) {
    const own = penFile(home.state(renew));
    renameSync(`${own}.new`, own);
  }
  return writers;
}

async function pin(home: Home, writers: PublicKeys['writers'], renew?: Writer): Promise<void> {
  const uid = uidOf('ledger');
  const program = join(home.code, 'src', 'run', 'ledger.ts');
  const child = spawn(
    home.node,
    ['--disable-warning=ExperimentalWarning', program, '--config', home.config('ledger'), '--pin-writers'],
    {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', TZ: 'UTC' },
      stdio: ['pipe', 'ignore', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
  child.stdin.end(JSON.stringify({ writers: pinsOf(writers), ...(renew === undefined ? {} : { renew }) }));
  const said = text(child.stderr);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status === 0) return;
  throw new RunError('start-failed', 'The ledger did not pin the writers. Nothing was changed in it.', {
    cause: new Error((await said).slice(-2000)),
  });
}
