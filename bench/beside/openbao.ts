import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../../test/flows/product.ts';

// What an OpenBao server does when its audit log cannot be written: the left side of the table in docs/guards.md, run.
// `npm run beside -- PATH/TO/bao`. Needs root for a small file system in memory. Loopback alone; all ends with the program.

const WAIT_MS = 10_000;
const [bao] = process.argv.slice(2);
if (bao === undefined || !existsSync(bao)) {
  process.stderr.write('Name an OpenBao binary: npm run beside -- /usr/bin/bao\n');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'btz-bao-'));

interface Answer {
  readonly what: string;
  readonly ms: number;
}

class Server {
  readonly #child: ChildProcess;
  readonly #url: string;
  #token = '';

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
  }

  /** A server of its own, with these audit devices, initialised and unsealed, with one secret. */
  static async start(devices: readonly string[]): Promise<Server> {
    const port = await freePorts();
    const place = mkdtempSync(join(folder, 'server-'));
    const config = join(place, 'config.hcl');
    writeFileSync(
      config,
      [
        `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n}`,
        `storage "file" {\n  path = "${join(place, 'data')}"\n}`,
        `api_addr = "http://127.0.0.1:${port}"`,
        ...devices,
      ].join('\n'),
    );
    const child = spawn(bao!, ['server', '-config', config], { stdio: ['ignore', 'pipe', 'pipe'], cwd: place });
    child.stdout!.resume();
    child.stderr!.resume();
    const server = new Server(child, `http://127.0.0.1:${port}`);
    for (let n = 0; n < 100; n += 1) {
      if ((await server.ask('GET', 'sys/seal-status')).what.startsWith('200')) break;
      await pause(200);
    }
    const init = (await server.json('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })) as {
      keys_base64: string[];
      root_token: string;
    };
    server.#token = init.root_token;
    await server.json('PUT', 'sys/unseal', { key: init.keys_base64[0] });
    for (let n = 0; n < 50 && !(await server.ask('GET', 'sys/health')).what.startsWith('200'); n += 1) await pause(200);
    await server.json('POST', 'sys/mounts/kv', { type: 'kv' });
    await server.json('POST', 'kv/person', { number: '+447700900123' });
    return server;
  }

  async json(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await this.#fetch(method, path, body);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 200)}`);
    return text === '' ? {} : JSON.parse(text);
  }

  #fetch(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`${this.#url}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': this.#token },
      signal: AbortSignal.timeout(WAIT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Status, or that nothing came within 10 s; and whether the secret was in the answer. */
  async ask(method = 'GET', path = 'kv/person'): Promise<Answer> {
    const from = performance.now();
    const what = await this.#fetch(method, path).then(
      async (answer) => {
        const text = await answer.text();
        return `${answer.status}${text.includes('+447700900123') ? ', the value was read' : ''}`;
      },
      (error: Error) => (error.name === 'TimeoutError' ? `no answer in ${WAIT_MS / 1000} s` : error.name),
    );
    return { what, ms: Math.round(performance.now() - from) };
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}

const device = (name: string, path: string) =>
  `audit "file" "${name}" {\n  options {\n    file_path = "${path}"\n    mode = "0600"\n  }\n}`;

async function none(): Promise<string> {
  const server = await Server.start([]);
  const { what, ms } = await server.ask();
  await server.stop();
  return `${what} (${ms} ms), with no audit device`;
}

async function deleted(): Promise<string> {
  const file = join(folder, 'deleted.log');
  const server = await Server.start([device('one', file)]);
  rmSync(file);
  const answers = [await server.ask(), await server.ask()];
  const back = existsSync(file);
  await server.stop();
  return `${answers.map(({ what }) => what).join('; ')}; the file is ${back ? 'there again' : 'still gone: the entries are in no file'}`;
}

async function full(): Promise<string> {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const mount = spawn('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'ignore' });
  if ((await once(mount, 'exit'))[0] !== 0) return 'not run: it needs root';
  try {
    const file = join(disk, 'audit.log');
    const server = await Server.start([device('one', file)]);
    try {
      writeFileSync(join(disk, 'fill'), Buffer.alloc(256 * 1024));
    } catch {}
    const answers: Answer[] = [];
    for (let n = 0; n < 6; n += 1) answers.push(await server.ask());
    const size = statSync(file).size;
    const cut = !readFileSync(file, 'utf8').endsWith('\n');
    rmSync(join(disk, 'fill'));
    const after = await server.ask();
    await server.stop();
    const said = [...new Set(answers.map(({ what }) => what))].join('; ');
    return `${said} (6 requests); the log has ${size} bytes and ends ${cut ? 'within an entry' : 'with a whole entry'}; with room again: ${after.what}`;
  } finally {
    const off = spawn('umount', ['-l', disk], { stdio: 'ignore' });
    await once(off, 'exit');
  }
}

/** A pipe whose reader has stopped, alone or beside a file that works. */
async function hanging(second: boolean): Promise<string> {
  const pipe = join(folder, second ? 'two.pipe' : 'one.pipe');
  await once(spawn('mkfifo', [pipe], { stdio: 'ignore' }), 'exit');
  const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'ignore'] });
  reader.stdout!.resume();
  const good = join(folder, 'good.log');
  const server = await Server.start([device('pipe', pipe), ...(second ? [device('file', good)] : [])]);
  reader.kill('SIGSTOP');
  let last: Answer = { what: '', ms: 0 };
  let served = 0;
  for (; served < 400; served += 1) {
    last = await server.ask();
    if (!last.what.startsWith('200')) break;
  }
  const other = await server.ask('GET', 'sys/mounts');
  const health = await server.ask('GET', 'sys/health');
  reader.kill('SIGKILL');
  await server.stop();
  return `after ${served} readings (the pipe’s buffer): ${last.what}; another request: ${other.what}; sys/health: ${health.what}`;
}

try {
  const version = spawn(bao, ['version'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  version.stdout.on('data', (part: Buffer) => {
    said += part.toString();
  });
  await once(version, 'exit');
  process.stdout.write(`${said.trim()}\n`);
  const say = (what: string, found: string) => process.stdout.write(`${what}: ${found}\n`);
  say('no log is configured', await none());
  say('its file is deleted', await deleted());
  say('its disk is full', await full());
  say('its sink hangs', await hanging(false));
  say('its sink hangs, a second device works', await hanging(true));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
