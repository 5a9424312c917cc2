import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { PublicKeys } from '#seal';
import { type DatabaseConfig, type Embedded, ensureRoles, migrate, startEmbedded } from '#store';
import { Child } from './child.ts';
import { RunError } from './config.ts';
import { type Home, isRoot, openHome, PROCESSES, type ProcessName, prepareHome } from './home.ts';
import { found, type InstanceOptions, isFounded, ORIGINS, readFounders, writeConfigs } from './init.ts';

export interface ProductOptions extends Partial<InstanceOptions> {
  readonly home: string;
  /** Start order is fixed; a subset serves tests. */
  readonly processes?: readonly ProcessName[];
  /** Throw-away database without fsync, for tests only. */
  readonly fsync?: boolean;
  readonly prefer?: 'distribution' | 'package';
}

/** The running product. */
export interface Product {
  readonly home: Home;
  readonly level: 'L0' | 'L1';
  readonly urls: { readonly console: string; readonly glass: string; readonly edge: string };
  readonly keys: PublicKeys;
  /** Superuser of the embedded database: for the operator's own tools and outside observers, never for a process. */
  readonly admin: DatabaseConfig;
  readonly postgresOrigin: string;
  readonly postgresPid: number;
  /** Founders' one-time links, used ones included; the guards know which. */
  readonly founders: readonly { readonly admin: string; readonly token: string; readonly link: string }[];
  process(name: ProcessName): Child;
  stop(): Promise<void>;
}

const DEFAULTS: InstanceOptions = {
  org: 'Example Agency',
  portBase: 8440,
  founders: 3,
  topic: 'com.apple.mgmt.External.bartizan',
  demo: false,
};

/**
 * Starts PostgreSQL and every process, each as its own user when we are root. Resolves when all doors are open; throws
 * RunError with what to do otherwise, and leaves nothing running.
 */
export async function startProduct(options: ProductOptions): Promise<Product> {
  const home = openHome(options.home);
  prepareHome(home);
  const release = lockHome(home);
  const settings: InstanceOptions = { ...DEFAULTS, ...savedInstance(home), ...pick(options) };
  for (const offset of [0, 1, 2]) await portIsFree(settings.portBase + offset);
  let database: Embedded | undefined;
  const children = new Map<ProcessName, Child>();
  const stop = async () => {
    for (const child of [...children.values()].reverse()) await child.stop();
    await database?.stop();
    release();
  };
  try {
    database = await startEmbedded({
      dir: join(home.dir, 'pg', 'data'),
      socketDir: join(home.run, 'pg'),
      passwordFile: join(home.dir, 'supervisor', 'pg-admin'),
      log: (line) => appendFileSync(join(home.dir, 'logs', 'postgres.log'), `${line}\n`, { mode: 0o600 }),
      ...(options.fsync === undefined ? {} : { fsync: options.fsync }),
      ...(options.prefer === undefined ? {} : { prefer: options.prefer }),
    });
    const { admin } = database;
    const passwords = await ensureRoles(admin);
    await migrate(admin, join(home.code, 'migrations'));
    const keys = isFounded(home) ? readKeys(home) : await found(home, settings, { admin, passwords });
    writeConfigs(home, settings, { admin, passwords }, keys);
    for (const name of PROCESSES.filter((one) => options.processes?.includes(one) ?? true)) {
      const child = new Child(home, name, (failed, status) => {
        process.stderr.write(
          `${failed} stopped for good (status ${status}): its log cannot be used. Nothing is read until this is mended.\n`,
        );
      });
      children.set(name, child);
    }
    await bringUp(children, home);
    const urls = ORIGINS(settings.portBase);
    return {
      home,
      level: isRoot() ? 'L1' : 'L0',
      urls,
      keys,
      admin,
      postgresOrigin: `${database.binaries.origin} ${database.binaries.major}`,
      postgresPid: database.pid,
      founders: readFounders(home).map(({ admin: founder, token }) => ({
        admin: founder,
        token,
        link: `${urls.glass}/#join=${token}&admin=${founder}`,
      })),
      process: (name) => children.get(name)!,
      stop,
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** Guards and core first, all that need them after; each wave starts together. */
async function bringUp(children: ReadonlyMap<ProcessName, Child>, home: Home): Promise<void> {
  for (const wave of [
    ['ledger', 'sealer'],
    ['core', 'edge', 'intake', 'console', 'glass'],
  ] as const) {
    const started = wave.flatMap((name) => children.get(name) ?? []);
    for (const child of started) child.start();
    for (const child of started) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () =>
            reject(
              new RunError(
                'start-failed',
                `${child.name} did not become ready. Its log is ${join(home.dir, 'logs', `${child.name}.log`)}.`,
              ),
            ),
          45_000,
        );
      });
      try {
        await Promise.race([child.ready, late]);
      } finally {
        clearTimeout(timer);
      }
    }
  }
}

function pick(options: ProductOptions): Partial<InstanceOptions> {
  const { org, portBase, founders, caps, topic, demo } = options;
  return Object.fromEntries(
    Object.entries({ org, portBase, founders, caps, topic, demo }).filter(([, value]) => value !== undefined),
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
function lockHome(home: Home): () => void {
  const file = join(home.dir, 'supervisor', 'pid');
  if (existsSync(file)) {
    const pid = Number(readFileSync(file, 'utf8'));
    if (pid !== process.pid && isOurs(pid)) {
      throw new RunError(
        'in-use',
        `This installation is running already (process ${pid}). Stop it first, or choose another --home.`,
      );
    }
  }
  writeFileSync(file, String(process.pid), { mode: 0o600 });
  return () => rmSync(file, { force: true });
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
