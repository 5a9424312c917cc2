import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PushService } from '#sim';
import { ROOT } from './blocks.ts';
import { layOut } from './props.ts';

/** Where an installation that nobody told otherwise gets its pushes: src/run/supervisor.ts. */
const TOPIC = 'com.apple.mgmt.External.bartizan';
const ENOUGH_MS = 120_000;

export interface Said {
  readonly status: number | null;
  readonly text: string;
}

/**
 * Somebody who follows the texts: in an empty directory with the files that they name, gives the commands as they stand.
 * `bin/bartizan` is the true program, told only where this test's instance, ports and push service are.
 */
export class Reader {
  readonly dir: string;
  readonly home: string;
  readonly #push = new PushService();
  #product: ChildProcess | undefined;
  #said = '';

  constructor(dir: string) {
    this.dir = dir;
    this.home = join(dir, 'home');
  }

  async prepare(port: number): Promise<void> {
    const url = await this.#push.listen();
    layOut(this.dir, this.#push, TOPIC);
    writeFileSync(join(this.dir, 'push-ca.pem'), this.#push.ca);
    const real = join(ROOT, 'bin', 'bartizan');
    const program = join(this.dir, 'bin', 'bartizan');
    mkdirSync(join(this.dir, 'bin'));
    writeFileSync(
      program,
      `#!/bin/sh
case "$*" in
  *--help) exec ${real} "$@" ;;
  start*) exec ${real} "$@" --home ${this.home} --port-base ${port} --push-url ${url} --push-ca push-ca.pem ;;
  sim*|drill*|log*|demo*) exec ${real} "$@" ;;
  *) exec ${real} "$@" --home ${this.home} ;;
esac
`,
    );
    chmodSync(program, 0o755);
  }

  /** Gives a command and waits for its end; one that starts the product is left running once it says its address. */
  async give(command: string): Promise<Said> {
    const text = command.replaceAll('<home>', this.home);
    const starts = /^(bin\/)?bartizan start\b/.test(text);
    if (starts && this.#product !== undefined) throw new Error('the product runs already');
    const { BARTIZAN_TEST_PG: _, DATABASE_URL: __, ...env } = process.env;
    const path = `${join(this.dir, 'bin')}:${env['PATH']}`;
    const child = spawn('sh', ['-c', `exec ${text}`], { cwd: this.dir, env: { ...env, PATH: path } });
    if (starts) this.#product = child;
    const said = listen(child, starts ? /^http\S+$/m : undefined);
    const answer = await said;
    if (starts) this.#said = answer.text;
    return answer;
  }

  /** What the product said when it started. */
  get greeting(): string {
    return this.#said;
  }

  /** Stops the product as the texts say, by SIGTERM; its exit status. */
  async stop(): Promise<number | null> {
    const product = this.#product;
    this.#product = undefined;
    if (product === undefined || product.exitCode !== null) return product?.exitCode ?? null;
    const [ended] = [once(product, 'exit'), product.kill('SIGTERM')];
    return ((await ended) as [number | null])[0];
  }

  async leave(): Promise<void> {
    await this.stop();
    await this.#push.close();
  }
}

function listen(child: ChildProcess, until: RegExp | undefined): Promise<Said> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => {
      child.kill('SIGTERM');
      reject(new Error(`it takes too long; it said: ${text}`));
    }, ENOUGH_MS);
    const done = (status: number | null) => {
      clearTimeout(timer);
      resolve({ status, text });
    };
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (part: Buffer) => {
        text += part.toString();
        if (until?.test(text)) done(0);
      });
    child.once('error', reject);
    child.once('close', (status) => done(status));
  });
}
