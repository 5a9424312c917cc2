import { spawn } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError, combineShares } from '#backup';
import { AgeReader, type PublicKeys, recoveryIdentity, recoverySigner, signRestored } from '#seal';
import { type DatabaseConfig, ensureRoles, findBinaries, migrate, openPool } from '#store';
import { endOf } from '../backup/contents.ts';
import { RunError } from '../config.ts';
import { type Server, startServer } from '../database.ts';
import { type Home, openHome, PROCESSES, prepareHome, uidOf } from '../home.ts';
import { type InstanceOptions, initProcess, writeConfigs } from '../init.ts';
import { lockHome } from '../supervisor.ts';
import { leavesKnown } from './continuity.ts';
import { restoreMark } from './mark.ts';
import { type Chosen, chooseSets, type Places, unpackSets } from './sets.ts';

export interface RestoreOptions {
  /** Where it is restored to: empty, or left by a restore that was interrupted. */
  readonly home: string;
  readonly places: Places;
  /** Three cards as they were typed. */
  readonly shares: readonly string[];
  /** From the sheet that is kept with the cards. */
  readonly fingerprint: string;
  /** The newest checkpoint of the log that anybody kept, as text: the log that came back is held to it. */
  readonly checkpoint?: string;
  readonly prefer?: 'distribution' | 'package';
  readonly now?: number;
  /** Looks at what came back while its database still runs. */
  readonly look?: (found: Found) => Promise<void>;
}

/** What came back, before it is left alone. */
export interface Found {
  readonly home: Home;
  readonly org: string;
  readonly admin: DatabaseConfig;
  readonly facts: RestoredFacts;
  /** Ed25519: the recovery key’s signing half. */
  readonly signer: KeyObject;
}

/** What came back. */
export interface RestoredFacts {
  readonly org: string;
  readonly chosen: Chosen;
  /** Leaves of the log that came back, how many it is known to have had, and under which key it goes on. */
  readonly leaves: number;
  readonly known: number;
  readonly log: string;
  /** Events that the log knows and the database has lost. */
  readonly lostEvents: number;
  readonly seconds: number;
}

/** What this command leaves in a folder before anything is restored into it. */
const OWN: ReadonlySet<string> = new Set(['pid', 'restoring']);

/** An empty folder, or what an interrupted restore left; anything else is somebody's and stays. Throws RunError. */
function mustBeFree(home: Home): void {
  if (existsSync(restoreMark(home)) || !existsSync(home.dir)) return;
  const inside = readdirSync(home.dir);
  const own = inside.every((name) => name === 'supervisor') && inside.every((name) => lists(join(home.dir, name)));
  if (!own) {
    throw new RunError(
      'in-use',
      'There is something in this --home already. A restore goes into an empty folder of its own.',
    );
  }
}

const lists = (folder: string): boolean => readdirSync(folder).every((name) => OWN.has(name));

/** Clears what an interrupted restore left, and marks the folder. Under the folder's lock. */
function takePlace(home: Home): void {
  const supervisor = join(home.dir, 'supervisor');
  for (const name of readdirSync(home.dir))
    if (name !== 'supervisor') rmSync(join(home.dir, name), { recursive: true });
  for (const name of readdirSync(supervisor)) if (!OWN.has(name)) rmSync(join(supervisor, name), { recursive: true });
  writeFileSync(restoreMark(home), new Date().toISOString(), { mode: 0o600 });
}

/**
 * Restores an installation from its three backups with three of the five cards: files under their owners, the organisation's
 * key, the database, and both guards told by the recovery key that they were restored. It is not started; the directory is
 * locked, and two people lift that. Interrupted, it begins anew. Throws RunError or BackupError; the sets are only read.
 */
export async function restore(options: RestoreOptions, say: (line: string) => void): Promise<RestoredFacts> {
  const startedAt = Date.now();
  if (process.env['DATABASE_URL'] !== undefined) {
    throw new RunError(
      'usage',
      'Unset DATABASE_URL: a restore fills a server of its own, never one that is there already.',
    );
  }
  const home = openHome(options.home);
  const { seed, key } = await combineShares(options.shares);
  try {
    const chosen = await chooseSets(options.places);
    mustBeFree(home);
    const release = lockHome(home);
    let server: Server | undefined;
    try {
      takePlace(home);
      say('the sets are opened and checked');
      const { places, fingerprint } = options;
      const manifests = await unpackSets({ places, chosen, seed, key, fingerprint, into: home.dir });
      const { org } = manifests.database;
      organisationKeys(home, seed, key.id);
      prepareHome(home);
      giveToOwners(home);
      const known = leavesKnown(join(home.dir, 'ledger', 'log'), readKeys(home).log, options.checkpoint);

      say('the database is filled');
      server = await startServer(home, options.prefer === undefined ? {} : { prefer: options.prefer });
      const passwords = await ensureRoles(server.admin);
      await fillDatabase(home, server);
      await migrate(server.admin, join(home.code, 'migrations'));
      const settings = JSON.parse(
        readFileSync(join(home.dir, 'supervisor', 'instance.json'), 'utf8'),
      ) as InstanceOptions;
      const database = { admin: server.admin, passwords };
      writeConfigs(home, settings, database, readKeys(home));

      say('the guards are told');
      const statement = signRestored(recoverySigner(seed), {
        ...{ v: 1, op: 'restored', org, at: options.now ?? Date.now(), known },
      });
      const told = await initProcess(home, 'ledger', JSON.stringify(statement), '--restored');
      await initProcess(home, 'sealer', JSON.stringify(statement), '--restored');
      writeFileSync(join(home.dir, 'public', 'keys.json'), JSON.stringify({ ...readKeys(home), log: told['log'] }));
      writeConfigs(home, settings, database, readKeys(home));
      const lostEvents = await followLog(server, Number(told['coreSize']));
      const facts = {
        ...{ org, chosen, leaves: Number(told['size']), known, log: readKeys(home).log, lostEvents },
        seconds: (Date.now() - startedAt) / 1000,
      };
      await options.look?.({ home, org, admin: server.admin, facts, signer: recoverySigner(seed) });
      await server.stop();
      server = undefined;
      rmSync(restoreMark(home));
      return facts;
    } finally {
      await server?.stop();
      release();
    }
  } finally {
    seed.fill(0);
  }
}

const readKeys = (home: Home): PublicKeys =>
  JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as PublicKeys;

/** The organisation's keys come back from what the sealer encrypted to the recovery key; one in a token or a service is there. */
function organisationKeys(home: Home, seed: Uint8Array, recovery: string): void {
  const folder = join(home.state('sealer'), 'recovery');
  if (!existsSync(folder)) return;
  const identity = recoveryIdentity(seed, 'organisation');
  for (const file of readdirSync(folder)) {
    const name = new RegExp(`^(organisation(?:-\\d+)?)\\.${recovery}\\.age$`).exec(file)?.[1];
    if (name === undefined) continue;
    const reader = new AgeReader(identity);
    const der = Buffer.concat([reader.push(readFileSync(join(folder, file))), reader.end()]);
    writeFileSync(join(home.state('sealer'), `${name}.key`), der, { mode: 0o600 });
    der.fill(0);
  }
  identity.fill(0);
}

/** Every file to the user of its process; the public log and keys are readable by all, everything else by its owner alone. */
function giveToOwners(home: Home): void {
  const give = (path: string, uid: number | undefined, [files, folders]: readonly [number, number]) => {
    if (!existsSync(path)) return;
    const folder = statSync(path).isDirectory();
    if (uid !== undefined) chownSync(path, uid, uid);
    chmodSync(path, folder ? folders : files);
    if (folder) for (const name of readdirSync(path)) give(join(path, name), uid, [files, folders]);
  };
  for (const name of PROCESSES) give(home.state(name), uidOf(name), [0o600, 0o700]);
  chmodSync(home.state('ledger'), 0o711);
  give(join(home.state('ledger'), 'log'), uidOf('ledger'), [0o644, 0o755]);
  give(join(home.dir, 'public'), undefined, [0o644, 0o755]);
}

/** Puts the parts of the dump together and loads them into the new server in one transaction. */
async function fillDatabase(home: Home, server: Server): Promise<void> {
  const folder = join(home.dir, 'database.dump');
  const { admin } = server;
  const { dir, env } = server.binaries ?? findBinaries(join(home.dir, 'pg'));
  const args = [
    '--single-transaction',
    '--exit-on-error',
    '-h',
    admin.host,
    '-p',
    String(admin.port),
    '-U',
    admin.user,
  ];
  const child = spawn(join(dir, 'pg_restore'), [...args, '-d', admin.database], {
    env: { ...env, PGPASSWORD: admin.password, PATH: '/usr/bin:/bin', TZ: 'UTC' },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = endOf(child, 'pg_restore');
  ended.catch(() => {});
  child.stdin.on('error', () => {});
  for (const part of readdirSync(folder).sort()) {
    const bytes = readFileSync(join(folder, part));
    if (!child.stdin.write(bytes))
      await Promise.race([new Promise((resolve) => child.stdin.once('drain', resolve)), ended]);
  }
  child.stdin.end();
  await ended;
  rmSync(folder, { recursive: true });
}

/**
 * The log may know more events than the database, which is older: their numbers are never given again. Returns how many.
 * Throws BackupError if it knows fewer: then the log went back, not the database.
 */
async function followLog(server: Server, coreSize: number): Promise<number> {
  const pool = openPool(server.admin, { max: 1, name: 'bartizan restore' });
  try {
    const { rows } = await pool.query<{ shipped: number; last: number }>(
      `select (select coalesce(max(n), 0) from log.event where leaf is not null)::int as shipped, last_n::int as last from log.counter`,
    );
    const { shipped, last } = rows[0]!;
    if (shipped > coreSize) {
      throw new BackupError(
        'tampered',
        'The log has less than the database knows to be in it. Get a newer backup of the ledger.',
      );
    }
    await pool.query('update log.counter set last_n = greatest(last_n, $1)', [coreSize]);
    return Math.max(0, coreSize - last);
  } finally {
    await pool.end();
  }
}
