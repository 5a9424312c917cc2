import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// Somebody who has a process's user and nothing else: goes for the keys of all others, by every way that a host offers. Reads what to go
// for from standard input, prints what it got as one JSON line. Holds no code of the product, as an intruder's tool would not.
interface Target {
  readonly name: string;
  readonly pid: number;
  readonly folders: readonly string[];
  readonly sockets: readonly string[];
}
interface Orders {
  /** Hexadecimal secrets, by name, to be found in whatever is read. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly targets: readonly Target[];
  /** Ports on which Node's inspector would answer. */
  readonly inspectors: readonly number[];
}

/** What the product's keys are called: no secret, it is in the source. */
const NAMES = [
  'organisation.key',
  'outer.key',
  'receipts.key',
  'log.key',
  'signing.key',
  'wrap.key',
  'ca.key',
  'command.key',
  'push.pem',
];

const orders = JSON.parse(readFileSync(0, 'utf8')) as Orders;
const needles = Object.entries(orders.secrets).map(([name, hex]) => ({ name, bytes: Buffer.from(hex, 'hex') }));
const got: { way: string; target: string; keys: string[] }[] = [];

/** Every form in which a secret would lie about: bytes, hexadecimal, base64 in both alphabets. */
const forms = (bytes: Buffer) => [
  ...[bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('base64').replace(/=+$/, ''))],
  Buffer.from(bytes.toString('base64url')),
];
const keysIn = (loot: Buffer): string[] =>
  needles.filter(({ bytes }) => forms(bytes).some((form) => loot.includes(form))).map(({ name }) => name);

function attempt(way: string, target: string, work: () => Buffer | boolean): void {
  try {
    const loot = work();
    if (loot === false) return;
    got.push({ way, target, keys: loot === true ? [] : keysIn(loot) });
  } catch {
    // Refused, which is what the wall is for.
  }
}

/** A file, or all that can be read below a folder; files whose names are known are tried though the folder lists nothing. */
function take(folder: string): Buffer | boolean {
  const parts: Buffer[] = [];
  for (const name of ['', ...NAMES]) {
    try {
      parts.push(readFileSync(join(folder, name)));
    } catch {
      // a folder, closed, or not there
    }
  }
  if (parts.length > 0) return Buffer.concat(parts);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    try {
      parts.push(readFileSync(join(entry.parentPath, entry.name)));
    } catch {
      // one file more that is closed
    }
  }
  return parts.length === 0 ? false : Buffer.concat(parts);
}

function memory(pid: number): Buffer | boolean {
  const handle = openSync(`/proc/${pid}/mem`, 'r');
  const found = new Set<string>();
  let read = 0;
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined || to === undefined) continue;
    const end = Number.parseInt(to, 16);
    for (let at = Number.parseInt(from, 16); at < end; at += 1 << 22) {
      const part = Buffer.alloc(Math.min((1 << 22) + 128, end - at));
      try {
        read += readSync(handle, part, 0, part.length, at);
      } catch {
        continue;
      }
      for (const name of keysIn(part)) found.add(name);
    }
  }
  closeSync(handle);
  if (read === 0) return false;
  // What was found is handed on as the secrets' own bytes, so that it counts like any other loot.
  return Buffer.concat(needles.filter(({ name }) => found.has(name)).map(({ bytes }) => bytes));
}

function connects(options: { path: string } | { port: number; host: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(options);
    const done = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.setTimeout(500, () => done(false));
    socket.on('connect', () => done(true));
    socket.on('error', () => done(false));
  });
}

for (const { name, pid, folders, sockets } of orders.targets) {
  for (const folder of folders) attempt('files', name, () => take(folder));
  for (const what of ['environ', 'auxv', 'maps', 'stack']) {
    attempt(what, name, () => {
      const loot = readFileSync(`/proc/${pid}/${what}`);
      // The kernel lets some of them be opened and gives nothing.
      return loot.length > 0 && loot;
    });
  }
  attempt('open files', name, () => {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return links.length > 0;
  });
  attempt('root folder', name, () => readdirSync(`/proc/${pid}/root/`).length > 0);
  attempt('memory', name, () => memory(pid));
  attempt('signals', name, () => process.kill(pid, 'SIGUSR1'));
  for (const path of sockets) if (await connects({ path })) got.push({ way: 'sockets', target: name, keys: [] });
}
await sleep(200);
for (const port of orders.inspectors) {
  if (await connects({ port, host: '127.0.0.1' })) got.push({ way: 'inspector', target: String(port), keys: [] });
}
process.stdout.write(`${JSON.stringify(got)}\n`);
