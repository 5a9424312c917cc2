import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { confined } from './confine.ts';
import { type Home, ledgerElsewhere, type ProcessName, uidOf } from './home.ts';

const LOG_BYTES = 20 * 1024 * 1024;
const FIRST_BACKOFF_MS = 200;
const LAST_BACKOFF_MS = 30_000;
const HEALTHY_MS = 60_000;
/** EX_IOERR: a guard found its log unusable. Starting it again would not mend that. */
export const UNUSABLE = 74;

/** No inspector by signal, no code from strings, a bounded heap. */
const NODE_ARGS = [
  ...['--disable-warning=ExperimentalWarning', '--disable-sigusr1', '--disallow-code-generation-from-strings'],
  '--max-old-space-size=768',
];

/** The sealer drops what it has read of a key at once, and has OpenSSL wipe its copies: lock means gone. */
export const nodeArgsOf = (name: ProcessName): readonly string[] =>
  name === 'sealer' ? [...NODE_ARGS, '--expose-gc'] : NODE_ARGS;

/** What systemd gave us for the guards (LoadCredential). The folder's own permissions say who can read it. */
function credentialsOf(name: ProcessName): { CREDENTIALS_DIRECTORY?: string } {
  const folder = process.env['CREDENTIALS_DIRECTORY'];
  return folder !== undefined && (name === 'sealer' || name === 'ledger') ? { CREDENTIALS_DIRECTORY: folder } : {};
}

/** One process of the product, kept alive until it is told to stop. */
export class Child {
  readonly name: ProcessName;
  /** More arguments for Node; the drill loads its attacker this way. */
  nodeArgs: readonly string[] = [];
  restarts = 0;
  /** Exits since it was ready for the last time. */
  failures = 0;
  /** The exit status with which a process left for good, if it did. */
  failed: number | undefined;
  readonly #home: Home;
  readonly #onFailed: (name: ProcessName, status: number) => void;
  #process: ChildProcess | undefined;
  #ready = Promise.withResolvers<void>();
  #open = false;
  #stopping = false;
  #backoff = FIRST_BACKOFF_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(home: Home, name: ProcessName, onFailed: (name: ProcessName, status: number) => void) {
    this.#home = home;
    this.name = name;
    this.#onFailed = onFailed;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Resolves when the process, or the one that follows it after a failure, has opened its doors. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  start(): void {
    this.#stopping = false;
    this.failed = undefined;
    const startedAt = Date.now();
    const how = confined(
      this.name,
      [
        this.#home.node,
        ...nodeArgsOf(this.name),
        ...this.nodeArgs,
        ...[join(this.#home.code, 'src', 'run', `${this.name}.ts`), '--config', this.#home.config(this.name)],
      ],
      uidOf(this.name),
      // With the ledger on another host the guards speak TLS to each other.
      { network: ledgerElsewhere(this.#home) },
    );
    const child = spawn(how.file, how.args, {
      cwd: '/',
      // Nothing of our own environment: it can hold what they must not know.
      env: { PATH: '/usr/bin:/bin', TZ: 'UTC', NODE_ENV: 'production', ...credentialsOf(this.name) },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      ...(how.uid === undefined ? {} : { uid: how.uid, gid: how.gid }),
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part: Buffer) => this.#log(part));
    child.stdio[3]?.on('data', (part: Buffer) => {
      if (part.toString().includes('READY=1')) {
        this.#open = true;
        this.failures = 0;
        this.#ready.resolve();
      }
    });
    // The lifeline: held open, never written.
    for (const fd of [3, 4]) child.stdio[fd]?.on('error', () => {});
    child.on('error', () => this.#ended(1, startedAt));
    child.on('exit', (status, signal) => this.#ended(status ?? (signal === null ? 1 : 128), startedAt));
  }

  /** Asks for a clean stop; kills after 5 s. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(killer);
  }

  /** Stops and starts anew; resolves when it is ready. */
  async restart(nodeArgs: readonly string[] = []): Promise<void> {
    await this.stop();
    this.nodeArgs = nodeArgs;
    this.#ready = Promise.withResolvers();
    this.#open = false;
    this.start();
    await this.ready;
  }

  #ended(status: number, startedAt: number): void {
    this.#process = undefined;
    if (this.#stopping) return;
    if (this.#open) this.#ready = Promise.withResolvers();
    this.#open = false;
    this.failures += 1;
    this.#log(
      Buffer.from(
        `${JSON.stringify({ time: new Date().toISOString(), process: 'supervisor', level: 'warn', message: `${this.name} ended`, status })}\n`,
      ),
    );
    if (status === UNUSABLE) {
      this.failed = status;
      this.#onFailed(this.name, status);
      return;
    }
    if (Date.now() - startedAt > HEALTHY_MS) this.#backoff = FIRST_BACKOFF_MS;
    this.restarts += 1;
    this.#timer = setTimeout(() => this.start(), this.#backoff);
    this.#backoff = Math.min(this.#backoff * 2, LAST_BACKOFF_MS);
  }

  #log(part: Buffer): void {
    const file = join(this.#home.dir, 'logs', `${this.name}.log`);
    if (existsSync(file) && statSync(file).size > LOG_BYTES) renameSync(file, `${file}.1`);
    appendFileSync(file, part, { mode: 0o600 });
  }
}
