import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LEDGER_CALLERS, SEALER_CALLERS } from '#guard';
import type { ProcessConfig } from '../../src/run/config.ts';
import { type Guards, ORG, ORIGIN } from '../spec/guards/fixture.ts';

export type GuardName = 'sealer' | 'ledger';
const ROOT = join(import.meta.dirname, '..', '..');
const NODE = ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', '--disallow-code-generation-from-strings'];
const READY_MS = 60_000;

/** A guard as the product runs it, in a process of its own, on the folder and the sockets of founded guards. */
export class GuardProcess {
  readonly name: GuardName;
  readonly #file: string;
  #child: ChildProcess | undefined;
  #gone: Promise<number | null> = Promise.resolve(null);
  log = '';

  constructor(guards: Guards, name: GuardName) {
    this.name = name;
    this.#file = join(guards.folder, `${name}.json`);
    const callers = name === 'ledger' ? LEDGER_CALLERS : SEALER_CALLERS;
    const config: ProcessConfig = {
      ...{ name, home: guards.folder, org: ORG, level: 'L0', topic: '', demo: false, caps: guards.caps },
      ...{ state: join(guards.folder, name), logDir: guards.logDir, publicKeys: guards.keys },
      origins: { console: 'http://localhost:8440', glass: ORIGIN, edge: 'http://127.0.0.1:8442' },
      sockets: {
        ...(name === 'sealer' ? { ledger: guards.socketPath('ledger', 'sealer') } : {}),
        listen: Object.fromEntries(callers.map((caller) => [caller, guards.socketPath(name, caller)])),
      },
    };
    writeFileSync(this.#file, JSON.stringify(config), { mode: 0o600 });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and waits until its doors are open; how long that took, milliseconds. Throws with its last words. */
  async start(): Promise<number> {
    const at = performance.now();
    const child = spawn(
      process.execPath,
      [...NODE, join(ROOT, 'src', 'run', `${this.name}.ts`), '--config', this.#file],
      {
        cwd: '/',
        env: { PATH: '/usr/bin:/bin', TZ: 'UTC', NODE_ENV: 'production' },
        stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      },
    );
    this.#child = child;
    this.#gone = new Promise((resolve) => child.once('exit', (status) => resolve(status)));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (part: Buffer) => {
        this.log = (this.log + part.toString()).slice(-8_000);
      });
    for (const fd of [3, 4]) child.stdio[fd]?.on('error', () => {});
    const ready = new Promise<true>((resolve) => {
      child.stdio[3]?.on('data', (part: Buffer) => (part.toString().includes('READY=1') ? resolve(true) : undefined));
    });
    const late = new Promise<false>((resolve) => setTimeout(resolve, READY_MS, false).unref());
    const first = await Promise.race([ready, this.#gone, late]);
    if (first !== true) throw new Error(`the ${this.name} did not become ready: ${this.log.slice(-1_500)}`);
    return performance.now() - at;
  }

  /** Kills it with SIGKILL and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#gone;
  }

  /** Stops it in order; its exit status. */
  async stop(): Promise<number | null> {
    this.#child?.kill('SIGTERM');
    return this.#gone;
  }
}
