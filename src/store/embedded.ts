import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Binaries, findBinaries } from './binaries.ts';
import { StoreError } from './error.ts';
import type { DatabaseConfig } from './pool.ts';

/** A PostgreSQL server that we started or adopted. */
export interface Embedded {
  /** The superuser, for migrations and roles; its password never leaves the supervisor. */
  readonly admin: DatabaseConfig;
  readonly binaries: Binaries;
  readonly pid: number;
  /** True if a living server of an earlier run was found and kept. */
  readonly adopted: boolean;
  /** False once the server's first process is gone, whoever ended it. */
  alive(): boolean;
  /** Fast shutdown (SIGINT): open transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Data directory; made on the first start. */
  readonly dir: string;
  /** Directory of the Unix socket; at most 90 bytes. */
  readonly socketDir: string;
  /** File with the superuser's password; made on the first start, 0600. */
  readonly passwordFile: string;
  /** False: nothing is durable, for tests alone. */
  readonly fsync?: boolean;
  readonly prefer?: Binaries['origin'];
  readonly log?: (line: string) => void;
}

/** An eighth of the machine's memory, 128 MiB to 1 GiB; taken only as it is used. */
const sharedBuffersMib = () => Math.round(Math.min(1024, Math.max(128, totalmem() / 8 / 2 ** 20)));

const ADMIN = 'bartizan_admin';
const PORT = 5432;

/**
 * Starts the embedded server: Unix socket only, SCRAM for everybody, data checksums, UTF-8. As root it runs as user
 * `postgres`, else `nobody`, because PostgreSQL refuses root. A living orphan of an earlier run is adopted; a dead or
 * dying one is waited for (up to 10 s).
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const owner = serverUser();
  const scratch = dirname(options.dir);
  mkdirSync(scratch, { recursive: true, mode: 0o755 });
  const binaries = findBinaries(scratch, options.prefer);
  mkdirSync(options.socketDir, { recursive: true, mode: 0o755 });
  if (owner) chownSync(options.socketDir, owner.uid, owner.gid);
  if (!existsSync(join(options.dir, 'PG_VERSION'))) initialise(options, binaries, owner);
  if (!existsSync(options.passwordFile)) {
    throw new StoreError('no-password', 'The password of the database is missing. Restore it from a backup.');
  }
  const password = readFileSync(options.passwordFile, 'utf8').trim();
  const admin: DatabaseConfig = { host: options.socketDir, port: PORT, database: 'postgres', user: ADMIN, password };

  const living = await settleOldServer(options.dir, admin);
  if (living !== undefined) return handle(admin, binaries, living, true);

  const child = spawn(
    join(binaries.dir, 'postgres'),
    [
      ...['-D', options.dir, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${options.socketDir}`],
      ...['-c', `port=${PORT}`, '-c', 'unix_socket_permissions=0777', '-c', 'password_encryption=scram-sha-256'],
      ...[
        '-c',
        'max_connections=160',
        '-c',
        `shared_buffers=${sharedBuffersMib()}MB`,
        '-c',
        'log_min_error_statement=panic',
      ],
      // Fewer checkpoints, and smaller page images after each: a command to the whole fleet touches pages at random.
      ...['-c', 'max_wal_size=4GB', '-c', 'checkpoint_timeout=15min', '-c', 'wal_compression=on'],
      // Statements and their parameters never reach the server's log: they can carry what must not be there.
      ...['-c', 'log_statement=none', '-c', 'log_parameter_max_length_on_error=0', '-c', 'log_error_verbosity=terse'],
      ...(options.fsync === false
        ? ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off']
        : []),
    ],
    {
      ...(owner ?? {}),
      cwd: '/',
      env: { ...binaries.env, PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    },
  );
  collectLog(child, options.log);
  await untilReady(child, admin);
  return handle(admin, binaries, child.pid!, false);
}

function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${name}:`));
    const [, , uid, gid] = line?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new StoreError('start-failed', 'PostgreSQL refuses to run as root and there is no user postgres or nobody.');
}

function initialise(
  options: EmbeddedOptions,
  binaries: Binaries,
  owner: { uid: number; gid: number } | undefined,
): void {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  if (owner) chownSync(options.dir, owner.uid, owner.gid);
  mkdirSync(dirname(options.passwordFile), { recursive: true, mode: 0o700 });
  if (!existsSync(options.passwordFile)) {
    writeFileSync(options.passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  }
  // initdb reads the password as the server's user, so it gets a copy that lives only that long.
  const copy = join(options.dir, '..', `.initdb-${process.pid}`);
  writeFileSync(copy, readFileSync(options.passwordFile), { mode: 0o600 });
  try {
    if (owner) chownSync(copy, owner.uid, owner.gid);
    execFileSync(
      join(binaries.dir, 'initdb'),
      [
        ...['-D', options.dir, '-U', ADMIN, '--auth=scram-sha-256', `--pwfile=${copy}`, '--encoding=UTF8'],
        ...['--locale=C.UTF-8', '--data-checksums', ...(options.fsync === false ? ['--no-sync'] : [])],
      ],
      { ...(owner ?? {}), cwd: '/', env: { ...binaries.env, PATH: '/usr/bin:/bin', TZ: 'UTC' }, stdio: 'pipe' },
    );
  } catch (cause) {
    // A half-made cluster would be taken for a real one by the next start.
    rmSync(options.dir, { recursive: true, force: true });
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n').at(-1) : '';
    throw new StoreError('start-failed', `PostgreSQL's initdb failed: ${said ?? ''}`, { cause });
  } finally {
    rmSync(copy, { force: true });
  }
}

/**
 * Returns the pid of a living server on our data, or undefined once nothing is in the way any more. The mark of a dead
 * postmaster is removed only when none of its children works in the data directory: they would still write to it.
 */
async function settleOldServer(dir: string, admin: DatabaseConfig): Promise<number | undefined> {
  const pidFile = join(dir, 'postmaster.pid');
  for (let waited = 0; existsSync(pidFile); waited += 250) {
    const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
    const state = processState(pid);
    const dead = state === undefined || state === 'Z' || !isPostgres(pid);
    if (dead && !inUse(dir)) {
      rmSync(pidFile, { force: true });
      return undefined;
    }
    if (!dead && (await answers(admin))) return pid;
    if (waited > 10_000) {
      throw new StoreError('in-use', 'Another PostgreSQL server holds our data and does not answer. Stop it first.');
    }
    await sleep(250);
  }
  return undefined;
}

/** True while any process has the data directory as its working directory, as every PostgreSQL process has. */
function inUse(dir: string): boolean {
  const real = realpathSync(dir);
  return readdirSync('/proc').some((entry) => {
    if (!/^[0-9]+$/.test(entry) || processState(Number(entry)) === 'Z') return false;
    try {
      return readlinkSync(`/proc/${entry}/cwd`) === real;
    } catch {
      return false;
    }
  });
}

function processState(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

const isLiving = (pid: number): boolean => ![undefined, 'Z'].includes(processState(pid));

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres');
  } catch {
    return false;
  }
}

async function answers(admin: DatabaseConfig): Promise<boolean> {
  const client = new pg.Client({ ...admin, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

async function untilReady(child: ChildProcess, admin: DatabaseConfig): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new StoreError('start-failed', 'PostgreSQL stopped while starting. Its log says why.');
    }
    if (await answers(admin)) return;
    await sleep(50);
  }
  throw new StoreError('start-failed', 'PostgreSQL did not answer within 30 seconds.');
}

function collectLog(child: ChildProcess, log: ((line: string) => void) | undefined): void {
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) log?.(line);
  });
  // The server outlives a crash of ours on purpose (it is adopted by the next start), so it must not hold us open.
  (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
  child.unref();
}

function handle(admin: DatabaseConfig, binaries: Binaries, pid: number, adopted: boolean): Embedded {
  return {
    admin,
    binaries,
    pid,
    adopted,
    alive: () => isLiving(pid),
    stop: async () => {
      try {
        process.kill(pid, 'SIGINT');
      } catch {
        return;
      }
      for (let waited = 0; waited < 20_000; waited += 50) {
        if (!isLiving(pid)) return;
        await sleep(50);
      }
      throw new StoreError('stop-failed', 'PostgreSQL did not stop within 20 seconds.');
    },
  };
}
