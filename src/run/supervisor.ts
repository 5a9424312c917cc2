import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { PublicKeys } from '#seal';
import { type DatabaseConfig, ensureRoles, migrate } from '#store';
import { Child, UNUSABLE } from './child.ts';
import { type Level, RunError } from './config.ts';
import { type Server, startServer } from './database.ts';
import { mustHaveCourier } from './found-courier.ts';
import { type Home, ledgerElsewhere, openHome, PROCESSES, type ProcessName, prepareHome } from './home.ts';
import { found, type InstanceOptions, isFounded, ORIGINS, readFounders, writeConfigs } from './init.ts';
import { needsKeeper, readKeySettings } from './key-settings.ts';
import { mustBeRestored } from './restore/mark.ts';
import { mustHaveSearchKeys } from './search-settings.ts';
import { installFirstHost, levelOf } from './two-hosts.ts';
import { mustHaveWriters } from './writers.ts';

export interface ProductOptions extends Partial<InstanceOptions> {
  readonly home: string;
  /** Start order is fixed; a subset serves tests. */
  readonly processes?: readonly ProcessName[];
  /** Throw-away database without fsync, for tests only. */
  readonly fsync?: boolean;
  readonly prefer?: 'distribution' | 'package';
  /** First start only: the bundle of this host for a ledger on another one. */
  readonly ledgerBundle?: string;
  /** Called when a process stopped for good: its state cannot be used, and starting it again would not help. */
  readonly onFailed?: (name: ProcessName) => void;
}

/** The running product. */
export interface Product {
  readonly home: Home;
  readonly level: Level;
  readonly urls: { readonly console: string; readonly glass: string; readonly edge: string };
  readonly keys: PublicKeys;
  /** APNs topic that phones are enrolled with. */
  readonly topic: string;
  /** Superuser of the embedded database: for the operator's own tools and outside observers, never for a process. */
  readonly admin: DatabaseConfig;
  readonly postgresOrigin: string;
  readonly postgresPid: number | undefined;
  /** PostgreSQL's programs and what they need in their environment. */
  readonly postgresDir: string;
  readonly postgresEnv: Readonly<Record<string, string>>;
  /** Founders' one-time links, used ones included; the guards know which. */
  readonly founders: readonly { readonly admin: string; readonly token: string; readonly link: string }[];
  process(name: ProcessName): Child;
  /** Every process of ours that runs now, by name, with `postgres`. */
  pids(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

const DEFAULTS: InstanceOptions = {
  org: 'example-agency',
  portBase: 8440,
  founders: 3,
  topic: 'com.apple.mgmt.External.bartizan',
  demo: false,
  // One core is left to PostgreSQL and to core.
  edgeWorkers: Math.max(1, Math.min(4, availableParallelism() - 1)),
};

/**
 * Starts PostgreSQL and every process, each as its own user when we are root. Resolves when all doors are open; throws
 * RunError with what to do otherwise, and leaves nothing running.
 */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const home = openHome(options.home);
  const release = lockHome(home);
  let database: Server | undefined;
  const children = new Map<ProcessName, Child>();
  const stop = async () => {
    for (const child of [...children.values()].reverse()) await child.stop();
    await database?.stop();
    release();
  };
  try {
    if (options.ledgerBundle !== undefined) {
      if (isFounded(home))
        throw new RunError('usage', 'This installation is founded. Renewed bundles are installed otherwise.');
      installFirstHost(home, options.ledgerBundle);
    }
    mustBeRestored(home);
    prepareHome(home);
    const settings: InstanceOptions = { ...DEFAULTS, ...savedInstance(home), ...pick(options) };
    for (const offset of [0, 1, 2, 3]) await portIsFree(settings.portBase + offset);
    database = await startServer(home, {
      ...(options.fsync === undefined ? {} : { fsync: options.fsync }),
      ...(options.prefer === undefined ? {} : { prefer: options.prefer }),
    });
    const { admin } = database;
    const passwords = await ensureRoles(admin);
    await migrate(admin, join(home.code, 'migrations'));
    const read = isFounded(home) ? mustHaveWriters(readKeys(home)) : await found(home, settings, { admin, passwords });
    writeConfigs(home, settings, { admin, passwords }, read);
    const keys = await mustHaveCourier(home, read);
    if (keys !== read) writeConfigs(home, settings, { admin, passwords }, keys);
    await mustHaveSearchKeys(home, settings.search);
    for (const name of processesOf(home).filter((one) => options.processes?.includes(one) ?? true)) {
      const child = new Child(home, name, (failed, status) => {
        process.stderr.write(
          `${failed} stopped for good (status ${status}): its state cannot be used. Nothing is read until this is mended.\n`,
        );
        options.onFailed?.(failed);
      });
      children.set(name, child);
    }
    await bringUp(children, home);
    const urls = ORIGINS(settings.portBase);
    const server = database;
    return {
      home,
      level: levelOf(home),
      urls,
      keys,
      topic: settings.topic,
      admin,
      postgresOrigin: database.origin,
      get postgresPid() {
        return server.pid;
      },
      postgresDir: database.binaries?.dir ?? '/usr/bin',
      postgresEnv: database.binaries?.env ?? {},
      founders: readFounders(home).map(({ admin: founder, token }) => ({
        admin: founder,
        token,
        link: `${urls.glass}/#join=${token}&admin=${founder}`,
      })),
      process: (name) => children.get(name)!,
      pids: () => {
        const running = [...children].map(([name, child]) => [name, child.pid] as const);
        const all = [['postgres', server.pid] as const, ...running];
        return Object.fromEntries(all.filter((entry): entry is [ProcessName, number] => entry[1] !== undefined));
      },
      stop,
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** Those that this installation runs on this host, in the order in which they start. */
export function processesOf(home: Home): readonly ProcessName[] {
  const keeper = needsKeeper(readKeySettings(home));
  return PROCESSES.filter((one) => (one !== 'ledger' || !ledgerElsewhere(home)) && (one !== 'keeper' || keeper));
}

/** Guards and core first, all that need them after; each wave starts together. */
async function bringUp(children: ReadonlyMap<ProcessName, Child>, home: Home): Promise<void> {
  for (const wave of [
    ['keeper', 'ledger', 'sealer'],
    ['core', 'edge', 'intake', 'console', 'glass', 'courier'],
  ] as const) {
    const started = wave.flatMap((name) => children.get(name) ?? []);
    for (const child of started) child.start();
    for (const child of started) await opened(child, home);
  }
}

/** Waits until a process is ready; one that fails again and again, or for good, is not waited for. */
async function opened(child: Child, home: Home): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const startedAt = Date.now();
  const late = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      if (child.failed !== UNUSABLE && child.failures < 4 && Date.now() - startedAt < 45_000) return;
      const log = join(home.dir, 'logs', `${child.name}.log`);
      reject(new RunError('start-failed', `${child.name} did not become ready. Its log says why: ${log}`));
    }, 100);
  });
  try {
    await Promise.race([child.ready, late]);
  } finally {
    clearInterval(timer);
  }
}

function pick(options: ProductOptions): Partial<InstanceOptions> {
  const { identity, attestationRoots, devicePolicy, releases, people, search, recovery } = options;
  const { org, portBase, founders, caps, topic, demo, edgeWorkers, push, certificates, signProfiles, caKey } = options;
  return Object.fromEntries(
    Object.entries({
      org,
      portBase,
      founders,
      caps,
      topic,
      demo,
      edgeWorkers,
      push,
      certificates,
      identity,
      attestationRoots,
      signProfiles,
      recovery,
      caKey,
      devicePolicy,
      releases,
      people,
      search,
    }).filter(([, value]) => value !== undefined),
  );
}

function savedInstance(home: Home): Partial<InstanceOptions> {
  const file = join(home.dir, 'supervisor', 'instance.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as InstanceOptions) : {};
}

function readKeys(home: Home): PublicKeys {
  try {
    return JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as PublicKeys;
  } catch (cause) {
    throw new RunError('not-founded', 'The public keys of this installation are missing. Restore them from a backup.', {
      cause,
    });
  }
}

/** One supervisor per home: a living one is named, a dead one's mark is taken over. */
export function lockHome(home: Home): () => void {
  mkdirSync(home.dir, { recursive: true, mode: 0o755 });
  mkdirSync(join(home.dir, 'supervisor'), { recursive: true, mode: 0o700 });
  const file = join(home.dir, 'supervisor', 'pid');
  for (let attempt = 1; ; attempt += 1) {
    try {
      writeFileSync(file, String(process.pid), { mode: 0o600, flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (cause) {
      const pid = readSupervisorPid(home);
      if (pid !== undefined || attempt > 3) {
        throw new RunError(
          'in-use',
          `This installation is running already (process ${pid ?? 'unknown'}). Stop it first, or choose another --home.`,
          { cause },
        );
      }
      rmSync(file, { force: true });
    }
  }
}

/** The process id of the living supervisor of a home, if there is one. */
function readSupervisorPid(home: Home): number | undefined {
  try {
    const pid = Number(readFileSync(join(home.dir, 'supervisor', 'pid'), 'utf8'));
    return isOurs(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isOurs(pid: number): boolean {
  try {
    return /src\/run\/|test\//.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

function portIsFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause) => {
      reject(
        new RunError('in-use', `Port ${port} is in use. Free it, or choose other ports with --port-base.`, { cause }),
      );
    });
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()));
  });
}
