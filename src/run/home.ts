import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RunError } from './config.ts';

/** In the order in which they start; they stop in reverse. */
export const PROCESSES = [
  'ledger',
  'sealer',
  'core',
  'edge',
  'intake',
  'console',
  'glass',
  'keeper',
  'courier',
] as const;
export type ProcessName = (typeof PROCESSES)[number];

/** Who may speak to whom: server, caller. `operator` is whoever runs the command-line program. */
export const DOORS: readonly (readonly [ProcessName, ProcessName | 'operator'])[] = [
  ['ledger', 'sealer'],
  ['ledger', 'core'],
  ['ledger', 'console'],
  ['ledger', 'glass'],
  ['ledger', 'intake'],
  ['sealer', 'core'],
  ['sealer', 'console'],
  ['sealer', 'glass'],
  ['sealer', 'courier'],
  ['intake', 'operator'],
  ['keeper', 'sealer'],
  ['keeper', 'glass'],
  ['keeper', 'operator'],
  ['intake', 'glass'],
];

/** 60578-61183 is used by no convention; the numbers need no name in passwd. */
const FIRST_UID = 60_600;

export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
export const isRoot = (): boolean => process.getuid?.() === 0;

/** The uid (and gid) of a process, or undefined where all share ours (level L0). */
export function uidOf(name: ProcessName | 'operator'): number | undefined {
  if (!isRoot()) return undefined;
  return name === 'operator' ? 0 : FIRST_UID + PROCESSES.indexOf(name);
}

/** Where things are in an instance directory. */
export interface Home {
  readonly dir: string;
  readonly run: string;
  readonly code: string;
  readonly node: string;
  socket(server: ProcessName, caller: ProcessName | 'operator'): string;
  config(name: ProcessName): string;
  state(name: ProcessName): string;
}

/** `./var` of the checkout for ordinary users; for root a place that other uids can reach. */
export function defaultHome(): string {
  if (!isRoot()) return join(CHECKOUT, 'var');
  return join('/var/lib/bartizan', createHash('sha256').update(CHECKOUT).digest('hex').slice(0, 8));
}

/** Names the paths of a home; makes nothing. */
export function openHome(path: string): Home {
  const dir = resolve(path);
  const plain = join(dir, 'run');
  const hash = createHash('sha256').update(dir).digest('hex').slice(0, 10);
  // A Unix socket's path has at most 107 bytes; PostgreSQL adds /.s.PGSQL.5432.lock to its directory.
  const run = Buffer.byteLength(plain) > 70 ? join(tmpdir(), `btz-${hash}`) : plain;
  const reachable = !isRoot() || (othersReach(CHECKOUT) && othersReach(process.execPath));
  return {
    dir,
    run,
    code: reachable ? CHECKOUT : join(dir, 'code'),
    node: reachable ? process.execPath : join(dir, 'code', 'node'),
    socket: (server, caller) => join(run, `${server}-${caller}`, 'sock'),
    config: (name) => join(dir, 'config', `${name}.json`),
    state: (name) => join(dir, name),
  };
}

/** True if every directory on the way may be entered, and the end read, by any user. */
function othersReach(path: string): boolean {
  const end = resolve(path);
  for (let at = end; ; at = dirname(at)) {
    const needed = at === end ? 0o005 : 0o001;
    if ((statSync(at).mode & needed) !== needed) return false;
    if (at === dirname(at)) return true;
  }
}

/** Where the certificates for a ledger on another host are, or for its callers. */
export const ledgerDoor = (home: Home): string => join(home.dir, 'config', 'ledger-door');

/** What outsiders said of the log, for everybody to read: cosigned checkpoints and time stamps. */
export const evidenceFolder = (home: Pick<Home, 'dir'>): string => join(home.dir, 'evidence');

/** True if this installation's ledger is on another host: this one then holds nothing of it. */
export const ledgerElsewhere = (home: Home): boolean => existsSync(join(ledgerDoor(home), 'door.json'));

/** Makes or mends the directories: owners, groups and modes are the walls between the processes. */
export function prepareHome(home: Home): void {
  common(home);
  own(join(home.dir, 'pg'), 0o755);
  own(home.run, 0o711);
  const elsewhere = ledgerElsewhere(home);
  for (const name of PROCESSES.filter((one) => one !== 'ledger' || !elsewhere))
    own(home.state(name), name === 'ledger' ? 0o711 : 0o700, uidOf(name));
  own(evidenceFolder(home), 0o755, uidOf('core'));
  for (const [server, caller] of DOORS.filter(([one]) => one !== 'ledger' || !elsewhere))
    own(dirname(home.socket(server, caller)), 0o710, uidOf(server), uidOf(caller));
  if (home.code !== CHECKOUT) copyCode(home.code);
}

/** The same on a host where the ledger is alone. */
export function prepareLedgerHome(home: Home): void {
  common(home);
  own(home.state('ledger'), 0o711, uidOf('ledger'));
  if (home.code !== CHECKOUT) copyCode(home.code);
}

function own(path: string, mode: number, uid?: number, gid?: number): void {
  mkdirSync(path, { recursive: true });
  if (uid !== undefined) chownSync(path, uid, gid ?? uid);
  chmodSync(path, mode);
}

function common(home: Home): void {
  if (isRoot() && !existsSync(home.dir)) mkdirSync(home.dir, { recursive: true, mode: 0o755 });
  own(home.dir, 0o755);
  if (isRoot() && !othersReach(home.dir)) {
    throw new RunError(
      'config',
      `Other users cannot reach ${home.dir}. Choose a --home whose parent directories are open (0755).`,
    );
  }
  own(join(home.dir, 'config'), 0o711);
  own(join(home.dir, 'public'), 0o755);
  own(join(home.dir, 'supervisor'), 0o700);
  own(join(home.dir, 'logs'), 0o700);
}

/**
 * A checkout that only root can read (a fresh clone in a private directory) is copied, root-owned, to where the other
 * uids can read it: sources, migrations, built pages, the packages that run, and Node itself.
 */
function copyCode(to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true, mode: 0o755 });
  for (const part of ['src', 'sim', 'migrations', 'package.json', 'rooms.json', 'web/dist']) {
    if (existsSync(join(CHECKOUT, part))) cpSync(join(CHECKOUT, part), join(to, part), { recursive: true });
  }
  const lock = JSON.parse(readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  for (const [path, facts] of Object.entries(lock.packages)) {
    if (path === '' || facts.dev || facts.optional || !existsSync(join(CHECKOUT, path))) continue;
    cpSync(join(CHECKOUT, path), join(to, path), { recursive: true });
  }
  copyFileSync(process.execPath, join(to, 'node'));
  chmodSync(join(to, 'node'), 0o755);
}
