import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Caps, PublicKeys } from '#seal';
import { Child, UNUSABLE } from './child.ts';
import { type ProcessConfig, RunError } from './config.ts';
import { type Home, ledgerDoor, ledgerElsewhere, openHome, prepareLedgerHome, uidOf } from './home.ts';
import { FOUNDING, firstToEnd, type LedgerAddress } from './hosts.ts';
import { initProcess } from './init.ts';
import { lockHome } from './supervisor.ts';
import { addressOf, installLedgerHost, type Meeting, removeCaller } from './two-hosts.ts';

export interface LedgerHostOptions {
  readonly home: string;
  /** First start only: the bundle that was prepared for this host. */
  readonly bundle?: string;
  /** Address to listen on, if not the one that the first host calls. */
  readonly listen?: string;
  readonly say: (line: string) => void;
  /** Called when the ledger stopped for good: its log cannot be used. */
  readonly onFailed?: () => void;
}

/** The ledger alone, on its own host. */
export interface LedgerHost {
  readonly home: Home;
  readonly address: LedgerAddress;
  readonly ledger: Child;
  stop(): Promise<void>;
}

/** What is kept of the founding: `<home>/supervisor/founded`. */
type Founded = Pick<Meeting, 'org' | 'origins' | 'caps'>;

/**
 * Runs the ledger with its own supervisor, state and log folder. The first start takes the bundle, waits for the first host and
 * is founded by it. Resolves when the ledger's door is open; throws RunError otherwise and leaves nothing running.
 */
export async function startLedgerHost(options: LedgerHostOptions): Promise<LedgerHost> {
  const home = openHome(options.home);
  const release = lockHome(home);
  let child: Child | undefined;
  try {
    const founded = join(home.dir, 'supervisor', 'founded');
    if (options.bundle !== undefined) {
      if (existsSync(founded))
        throw new RunError('usage', 'This ledger is founded. Renewed bundles are installed otherwise.');
      installLedgerHost(home, options.bundle);
    }
    if (!ledgerElsewhere(home)) throw new RunError('usage', 'The first start of the ledger’s host needs its --bundle.');
    prepareLedgerHome(home);
    const address = addressOf(home);
    const listen = { ...address, host: options.listen ?? address.host };
    if (isIP(listen.host) === 0) throw new RunError('usage', 'The address to listen on must be an IP address.');
    if (!existsSync(founded)) await meet(home, listen, options.say);
    writeConfig(home, listen, JSON.parse(readFileSync(founded, 'utf8')) as Founded);
    child = new Child(home, 'ledger', (_, status) => {
      process.stderr.write(
        `the ledger stopped for good (status ${status}): its log cannot be used. Nothing is read until this is mended.\n`,
      );
      options.onFailed?.();
    });
    child.start();
    await opened(child);
    const ledger = child;
    const stop = async () => {
      await ledger.stop();
      release();
    };
    return { home, address, ledger, stop };
  } catch (error) {
    await child?.stop();
    release();
    throw error;
  }
}

/** Days until the certificate of the ledger ends. */
export const ledgerCertificateDays = (home: Home, now: number): number =>
  firstToEnd(ledgerDoor(home), ['ledger'], now)?.days ?? 0;

async function opened(child: Child): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const startedAt = Date.now();
  const late = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      if (child.failed !== UNUSABLE && child.failures < 4 && Date.now() - startedAt < 45_000) return;
      reject(new RunError('start-failed', 'The ledger did not become ready. Its log file says why.'));
    }, 100);
  });
  try {
    await Promise.race([child.ready, late]);
  } finally {
    clearInterval(timer);
  }
}

/** Waits for the first host, founds the ledger as its own user with what that says, and answers with the ledger's keys. */
async function meet(home: Home, listen: LedgerAddress, say: (line: string) => void): Promise<void> {
  if (existsSync(join(home.state('ledger'), 'journal')))
    throw new RunError(
      'not-founded',
      'An earlier first start did not finish. Start anew with an empty --home on both hosts.',
    );
  say(`waiting for the first host on ${listen.host} port ${listen.port}`);
  const uid = uidOf('ledger');
  const args = ['--door', ledgerDoor(home), '--host', listen.host, '--port', String(listen.port)];
  const child = spawn(
    home.node,
    ['--disable-warning=ExperimentalWarning', join(home.code, 'src', 'run', 'meeting.ts'), ...args],
    {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', TZ: 'UTC' },
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    const { keys, founding, ...founded } = await firstLine<Meeting>(child.stdout, ended);
    const file = join(home.dir, 'public', 'keys.json');
    writeFileSync(file, JSON.stringify(keys), { mode: 0o644 });
    writeConfig(home, listen, founded);
    const own = await initProcess(home, 'ledger', JSON.stringify(founding));
    writeFileSync(file, JSON.stringify({ ...keys, ...own }), { mode: 0o644 });
    child.stdin.write(`${JSON.stringify(own)}\n`);
    if ((await ended) !== 0)
      throw new RunError('start-failed', 'The first host did not hear that the ledger is founded.');
    // Whoever finds the founding certificate later finds a door that does not know it.
    removeCaller(home, FOUNDING);
    writeFileSync(join(home.dir, 'supervisor', 'founded'), JSON.stringify(founded), { mode: 0o600 });
    const { founders = [] } = founding as { founders?: { admin: string }[] };
    say(`founded for ${founded.org}; founders: ${founders.map(({ admin }) => admin).join(', ')}`);
  } finally {
    child.kill('SIGTERM');
  }
}

/** The first line that a process says, as JSON. Throws RunError if it ends before. */
async function firstLine<T>(from: NodeJS.ReadableStream, ended: Promise<number | null>): Promise<T> {
  let out = '';
  const line = new Promise<string>((resolve) => {
    from.on('data', (part: Buffer) => {
      out += part.toString();
      if (out.includes('\n')) resolve(out);
    });
  });
  const first = await Promise.race([line, ended]);
  if (typeof first !== 'string')
    throw new RunError('start-failed', 'The ledger was not founded. The lines above say why.');
  return JSON.parse(first) as T;
}

function writeConfig(home: Home, listen: LedgerAddress, { org, origins, caps }: Founded): void {
  const publicKeys = JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as PublicKeys;
  const state = home.state('ledger');
  const config: ProcessConfig = {
    ...{ name: 'ledger', home: home.dir, org, level: 'L2', state, logDir: join(state, 'log'), publicKeys },
    ...{ sockets: { listen: {} }, remote: { ...listen, folder: ledgerDoor(home) } },
    ...{ origins, caps: caps as Caps, topic: '', demo: false },
  };
  const file = home.config('ledger');
  if (existsSync(file)) chmodSync(file, 0o600);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const uid = uidOf('ledger');
  if (uid !== undefined) chownSync(file, uid, uid);
  chmodSync(file, 0o400);
}
