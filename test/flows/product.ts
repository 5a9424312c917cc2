import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { buildPages } from '../../src/run/pages.ts';
import { playApns, type Stage, type StageOptions, setStage } from '../../src/run/stage.ts';
import { type Product, type ProductOptions, startProduct } from '../../src/run/supervisor.ts';

/** Four neighbouring free ports on loopback; returns the first. */
export async function freePorts(): Promise<number> {
  const free = (port: number) =>
    new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
  // Below the ports that the system gives to whoever connects somewhere.
  for (let base = 20_000 + (process.pid % 1_500) * 8; ; base += 8) {
    const all = await Promise.all([0, 1, 2, 3, 4, 5].map((offset) => free(base + offset)));
    if (all.every(Boolean)) return base;
  }
}

/** A new directory that the uids of all processes can enter. */
export function openDir(prefix: string): string {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(dir, 0o711);
  return dir;
}

export interface Living {
  readonly product: Product;
  readonly stage: Stage;
  readonly home: string;
}

export interface LivingOptions
  extends Partial<StageOptions>,
    Pick<ProductOptions, 'caps' | 'founders' | 'edgeWorkers' | 'recovery'> {
  /** Runs before anything is started, with the empty home. */
  readonly prepare?: (home: string) => void;
  /** Runs when the processes are up and the directory is still empty. */
  readonly before?: (product: Product) => Promise<void>;
}

/** The whole product with people, admins and phones, as `npm run demo` starts it, in a directory of its own; gone when the test ends. */
export async function living(t: TestContext, options: LivingOptions): Promise<Living> {
  const { close, ...all } = await live(options);
  t.after(close);
  return all;
}

/** The same for a program: whoever calls it ends it. */
export async function live(options: LivingOptions): Promise<Living & { close(): Promise<void> }> {
  await buildPages();
  const home = openDir('btz-flow-');
  options.prepare?.(home);
  const apns = await playApns();
  let product: Product | undefined;
  let stage: Stage | undefined;
  const close = async () => {
    await stage?.close();
    await product?.stop();
    await apns.service.close();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    product = await startProduct({
      home,
      push: apns.push,
      founders: options.founders ?? 3,
      demo: true,
      portBase: await freePorts(),
      ...(options.caps === undefined ? {} : { caps: options.caps }),
      ...(options.recovery === undefined ? {} : { recovery: options.recovery }),
      ...(options.edgeWorkers === undefined ? {} : { edgeWorkers: options.edgeWorkers }),
    });
    await options.before?.(product);
    stage = await setStage(product, { people: 12, phones: 6, admins: 2, pollMs: 500, push: apns.service, ...options });
    return { product, stage, home, close };
  } catch (error) {
    await close();
    throw error;
  }
}
