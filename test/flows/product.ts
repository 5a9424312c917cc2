import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { buildPages } from '../../src/run/pages.ts';
import { playApns, type Stage, type StageOptions, setStage } from '../../src/run/stage.ts';
import { type Product, type ProductOptions, startProduct } from '../../src/run/supervisor.ts';

/** Three neighbouring free ports on loopback; returns the first. */
export async function freePorts(): Promise<number> {
  const free = (port: number) =>
    new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
  for (let base = 20_000 + (process.pid % 4_000) * 5; ; base += 5) {
    const all = await Promise.all([0, 1, 2].map((offset) => free(base + offset)));
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

/**
 * The whole product with people, admins and phones, as `npm run demo` starts it, in a directory of its own; gone when the
 * test ends. `before` runs when the processes are up and the directory is still empty.
 */
export async function living(
  t: TestContext,
  options: Partial<StageOptions> &
    Pick<ProductOptions, 'caps' | 'founders'> & { before?(product: Product): Promise<void> },
): Promise<Living> {
  await buildPages();
  const home = openDir('btz-flow-');
  const apns = await playApns();
  const product = await startProduct({
    home,
    push: apns.push,
    founders: options.founders ?? 3,
    demo: true,
    portBase: await freePorts(),
    ...(options.caps === undefined ? {} : { caps: options.caps }),
  });
  let stage: Stage | undefined;
  t.after(async () => {
    await stage?.close();
    await product.stop();
    await apns.service.close();
    rmSync(home, { recursive: true, force: true });
  });
  await options.before?.(product);
  stage = await setStage(product, { people: 12, phones: 6, admins: 2, pollMs: 500, push: apns.service, ...options });
  return { product, stage, home };
}
