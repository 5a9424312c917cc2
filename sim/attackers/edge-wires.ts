/** What an attacker inside edge tries on sockets, the database and the other origins. */
import { readdirSync } from 'node:fs';
import { type IncomingMessage, Server } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Keep, Loot } from './loot.ts';

export interface EdgeConfig {
  readonly home: string;
  readonly state: string;
  readonly database: {
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  readonly sockets: { readonly listen?: Readonly<Record<string, string>> };
  readonly origins: { readonly console: string; readonly glass: string };
}

export async function knockOnSockets(run: string, pgDir: string, keep: Keep): Promise<string> {
  let open = 0;
  const frame = (type: string, body: unknown): Buffer => {
    const text = Buffer.from(JSON.stringify({ id: 1, type, body }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, text]);
  };
  const names = [
    'sealer-glass',
    'sealer-core',
    'sealer-console',
    'ledger-sealer',
    'ledger-core',
    'ledger-console',
    'ledger-glass',
    'ledger-intake',
    'intake-operator',
  ];
  const paths = names.map((name) => join(run, name, 'sock'));
  try {
    for (const entry of readdirSync(run)) paths.push(join(run, entry, 'sock'));
  } catch {
    // not listable
  }
  for (const path of new Set(paths)) {
    const answer = await talk(
      path,
      Buffer.concat([frame('roster', {}), frame('exposure', { from: 0, to: Date.now() })]),
    );
    if (answer === undefined) continue;
    open += 1;
    keep(answer);
  }
  try {
    keep(readdirSync(pgDir).join(' '));
  } catch {
    // not listable
  }
  if (open === 0) throw new Error('no guard socket could be opened');
  return `${open} sockets opened`;
}

function talk(path: string, bytes: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let connected = false;
    const socket = createConnection(path, () => {
      connected = true;
      socket.write(bytes);
    });
    const end = () => {
      socket.destroy();
      resolve(connected ? Buffer.concat(parts) : undefined);
    };
    socket.on('data', (part) => parts.push(part));
    socket.on('error', end);
    socket.on('close', end);
    setTimeout(end, 500);
  });
}

export async function sqlAttacks(loot: Loot, config: EdgeConfig): Promise<void> {
  const { Client } = (await import('pg')).default;
  const attempts: readonly [string, string][] = [
    ['sealed rows', 'select * from people.sealed'],
    ['people', 'select * from people.person'],
    ['arrivals', 'select * from people.arriving'],
    ['devices', 'select * from fleet.device'],
    ['commands', 'select * from fleet.command'],
    ['events', 'select * from log.event'],
    ['sessions', 'select * from api.session'],
    ['passwords', 'select rolname, rolpassword from pg_authid'],
    [
      'other sessions',
      "select query from pg_stat_activity where query <> '' and usename <> current_user and query <> '<insufficient privilege>'",
    ],
    ['statistics', 'select most_common_vals::text from pg_stats'],
    ['copy program', "copy (select 1) to program 'id'"],
    ['copy from a file', "create temp table t(a text); copy t from '/etc/passwd'; select * from t"],
    ['server files', "select pg_read_file('/etc/passwd')"],
    ['server directory', 'select pg_ls_dir($$.$$)'],
    ['large object import', "select lo_import('/etc/passwd')"],
    ['become owner', 'set role bartizan_owner; select * from people.sealed'],
    ['become glass', 'set role bartizan_glass; select * from people.sealed'],
    ['session of the superuser', 'set session authorization postgres'],
    [
      'write a command',
      "insert into fleet.command (uuid, device_id, request_type, body, signature) select gen_random_uuid(), 1, 'EraseDevice', 'x', 'x'",
    ],
    [
      'state an intent',
      "insert into fleet.intent (id, verb, risk, targets, requester, purpose, state) values (gen_random_uuid(), 'EraseDevice', 'read', '[]', 'amber-otter-4821', 'because', 'ready')",
    ],
    ['settle function', 'select * from people.take_arriving(1000)'],
    ['erase the log', 'delete from log.event'],
    ['forge an event', "select log.emit('auth.sign_in', 'nobody', null, null, '{}')"],
  ];
  for (const [name, sql] of attempts) {
    await loot.try(`sql: ${name}`, async (keep) => {
      const client = new Client(config.database);
      await client.connect();
      try {
        const result: unknown = await client.query(sql);
        const rows = (Array.isArray(result) ? result : [result]).flatMap(
          (part: { rows?: unknown[] }) => part.rows ?? [],
        );
        if (rows.length > 0) keep(JSON.stringify(rows));
        return `${rows.length} rows`;
      } finally {
        await client.end();
      }
    });
  }
  for (const user of [
    'postgres',
    'bartizan_admin',
    'bartizan_owner',
    'bartizan_glass',
    'bartizan_core',
    'bartizan_console',
    'bartizan_intake',
  ]) {
    await loot.try(`sql: log in as ${user}`, async (keep) => {
      const client = new Client({ ...config.database, user });
      await client.connect();
      keep(JSON.stringify((await client.query('select current_user')).rows));
      await client.end();
    });
  }
}

export async function askOrigins(config: EdgeConfig, keep: Keep): Promise<void> {
  const asks: readonly [string, string, object?][] = [
    [config.origins.console, '/api/people'],
    [config.origins.console, '/api/devices'],
    [
      config.origins.glass,
      '/api/reveal',
      { grant: { v: 1, op: 'reveal', admin: 'amber-otter-4821', field: 'number', subjects: [] }, assertion: {} },
    ],
    [config.origins.glass, '/api/approvals/00000000-0000-0000-0000-000000000000'],
  ];
  for (const [origin, path, body] of asks) {
    // *.localhost need not resolve outside browsers, so connect to loopback and name the host in the header.
    const url = new URL(path, origin);
    const { request } = await import('node:http');
    await new Promise<void>((resolve) => {
      const req = request(
        {
          host: '127.0.0.1',
          port: url.port,
          path,
          method: body === undefined ? 'GET' : 'POST',
          headers: { host: url.host, origin, 'content-type': 'application/json', 'x-bartizan': '1' },
        },
        (res) => {
          res.on('data', (part: Buffer) => keep(part));
          res.on('end', () => resolve());
        },
      );
      req.on('error', () => resolve());
      req.setTimeout(3000, () => req.destroy());
      req.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

/** Patches the living HTTP server, as a sleeper in memory would, and copies every body that arrives. */
export function listenIn(keep: Keep, ms: number): Promise<string> {
  const original = Server.prototype.emit;
  let heard = 0;
  Server.prototype.emit = function (this: Server, event: string, ...rest: unknown[]): boolean {
    if (event === 'request') {
      heard += 1;
      const request = rest[0] as IncomingMessage;
      keep(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
      request.on('data', (part: Buffer) => keep(part));
    }
    return Reflect.apply(original, this, [event, ...rest]) as boolean;
  } as typeof original;
  return new Promise((resolve) => {
    setTimeout(() => {
      Server.prototype.emit = original;
      resolve(`${heard} requests heard`);
    }, ms);
  });
}
