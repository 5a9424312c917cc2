import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { DatabaseConfig } from '#store';
import { toPem, writePlist } from '#wire';
import { findGo, goEnvironment } from '../src/run/foreign.ts';
import type { BenchDevice } from './devices.ts';

/** The version that is built; its module's hash is checked against Go's checksum database. */
const MODULE = 'github.com/micromdm/nanomdm';
const VERSION = 'v0.9.0';
/** Key of its API. */
export const KEY = 'bench';
/** PostgreSQL takes 65 535 parameters a statement and NanoMDM two a device; a URL of ids has at most about 1 MB. */
const IDS_A_CALL = 20_000;

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly database: DatabaseConfig;
  /** Seconds to queue one command for all of these through its API. */
  enqueue(uuid: string, udids: readonly string[]): Promise<number>;
  stop(): void;
}

/** Builds NanoMDM from its Go module and starts it on a database of its own in the given server. */
export async function startNanomdm(options: {
  readonly admin: DatabaseConfig;
  readonly dir: string;
  readonly caPem: string;
  readonly port: number;
  /** Where it sends declarative management, which it leaves to others. */
  readonly declarative?: string;
}): Promise<Peer> {
  const go = findGo();
  if (go === undefined) throw new Error('There is no Go on this machine, so NanoMDM cannot be built. Use --no-peer.');
  const env = { ...goEnvironment(), GOBIN: options.dir, GOFLAGS: '-mod=mod' };
  execFileSync(go, ['install', `${MODULE}/cmd/nanomdm@${VERSION}`], { env, cwd: options.dir, timeout: 300_000 });
  const cache = execFileSync(go, ['env', 'GOMODCACHE'], { env, encoding: 'utf8' }).trim();
  const database = { ...options.admin, database: 'nanomdm' };
  // An earlier test or bench on the same server may have left its own.
  await sql(options.admin, 'drop database if exists nanomdm with (force)');
  await sql(options.admin, 'create database nanomdm');
  await sql(database, readFileSync(join(cache, `${MODULE}@${VERSION}`, 'storage/pgsql/schema.sql'), 'utf8'));
  const ca = join(options.dir, 'ca.pem');
  writeFileSync(ca, options.caPem);
  const { host, port, user, password } = options.admin;
  const child: ChildProcess = spawn(
    join(options.dir, 'nanomdm'),
    [
      ...['-storage', 'pgsql', '-ca', ca, '-api', KEY, '-listen', `127.0.0.1:${options.port}`],
      ...(options.declarative === undefined ? [] : ['-checkin', '-dm', options.declarative]),
      ...['-storage-dsn', `host=${host} port=${port} user=${user} password=${password} dbname=nanomdm sslmode=disable`],
    ],
    // It writes a line a request; nobody reads them, so that is free for it.
    { stdio: 'ignore' },
  );
  const url = `http://127.0.0.1:${options.port}`;
  for (let tries = 0; ; tries += 1) {
    if (
      await fetch(`${url}/version`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      break;
    if (tries > 100) throw new Error('NanoMDM did not start.');
    await sleep(100);
  }
  return {
    ...{ name: `NanoMDM ${VERSION}`, port: options.port, pid: child.pid!, database },
    enqueue: async (uuid, udids) => {
      const startedAt = performance.now();
      for (let at = 0; at < udids.length; at += IDS_A_CALL) {
        // One command cannot be given to more devices later, so each part is a command of its own.
        const part = at === 0 ? uuid : `${uuid.slice(0, -2)}${(at / IDS_A_CALL + 16).toString(16)}`;
        const answer = await fetch(`${url}/v1/enqueue/${udids.slice(at, at + IDS_A_CALL).join(',')}?nopush=1`, {
          method: 'PUT',
          headers: { authorization: `Basic ${Buffer.from(`nanomdm:${KEY}`).toString('base64')}` },
          body: writePlist({ Command: { RequestType: 'SecurityInfo' }, CommandUUID: part }),
        });
        if (!answer.ok)
          throw new Error(`NanoMDM did not queue: ${answer.status} ${(await answer.text()).slice(0, 200)}`);
      }
      return (performance.now() - startedAt) / 1000;
    },
    stop: () => void child.kill('SIGTERM'),
  };
}

/** Writes enrolments as NanoMDM would have them after Authenticate and TokenUpdate, and `history` answered commands each. */
export async function seedNanomdm(
  database: DatabaseConfig,
  devices: readonly BenchDevice[],
  others: readonly string[],
  history: number,
): Promise<void> {
  const client = new pg.Client(database);
  await client.connect();
  const authenticate = writePlist({ MessageType: 'Authenticate', Topic: 'bench' }).toString();
  try {
    const udids = [...devices.map(({ udid }) => udid), ...others];
    const hashes = [...devices.map(({ certificate }) => certificate.sha256.toString('hex')), ...others.map(() => '')];
    const one = devices[0]!;
    await client.query(
      `insert into devices (id, identity_cert, authenticate, authenticate_at, token_update, token_update_at)
       select unnest($1::text[]), $2, $3, now(), $3, now()`,
      [udids, toPem('CERTIFICATE', one.certificate.der), authenticate],
    );
    await client.query(
      `insert into enrollments (id, device_id, type, topic, push_magic, token_hex, enabled, token_update_tally, last_seen_at)
       select id, id, 'Device', 'bench', 'magic', repeat('00', 32), true, 1, now() from unnest($1::text[]) id`,
      [udids],
    );
    await client.query(
      `insert into cert_auth_associations (id, sha256)
       select id, case when sha256 = '' then encode(sha256(convert_to(id, 'UTF8')), 'hex') else sha256 end
       from unnest($1::text[], $2::text[]) x(id, sha256)`,
      [udids, hashes],
    );
    await client.query(
      `insert into commands (command_uuid, request_type, command) select 'past-' || n, 'SecurityInfo', $2 from generate_series(1, $1::int) n`,
      [history, writePlist({ Command: { RequestType: 'SecurityInfo' }, CommandUUID: 'past' }).toString()],
    );
    await addHistory(client, 'true', [], 1, history);
    await client.query('vacuum analyze');
  } finally {
    await client.end();
  }
}

async function addHistory(
  client: pg.Client,
  where: string,
  params: unknown[],
  from: number,
  to: number,
): Promise<void> {
  const result = writePlist({ CommandUUID: 'past', SecurityInfo: { PasscodePresent: true }, Status: 'Acknowledged' });
  await client.query(
    `insert into enrollment_queue (id, command_uuid) select e.id, 'past-' || n from enrollments e, generate_series(${from}, ${to}) n where ${where}`,
    params,
  );
  await client.query(
    `insert into command_results (id, command_uuid, status, result)
     select e.id, 'past-' || n, 'Acknowledged', '${result.toString().replaceAll("'", "''")}' from enrollments e, generate_series(${from}, ${to}) n where ${where}`,
    params,
  );
}

/** More answered commands for some devices, up to `history` each. */
export async function lengthenNanomdm(
  database: DatabaseConfig,
  udids: readonly string[],
  from: number,
  history: number,
) {
  const client = new pg.Client(database);
  await client.connect();
  try {
    await client.query(
      `insert into commands (command_uuid, request_type, command)
       select 'past-' || n, request_type, command from commands, generate_series($1::int, $2::int) n where command_uuid = 'past-1'`,
      [from, history],
    );
    await addHistory(client, 'e.id = any($1)', [udids], from, history);
    await client.query('vacuum analyze');
  } finally {
    await client.end();
  }
}

async function sql(database: DatabaseConfig, text: string): Promise<void> {
  const client = new pg.Client(database);
  await client.connect();
  await client.query(text).finally(() => client.end());
}
