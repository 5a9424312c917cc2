import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Product } from '../supervisor.ts';
import { observe } from './observer.ts';

export interface EdgeAttack {
  readonly stepsTried: number;
  /** Steps whose loot holds a planted value, as the observer found. */
  readonly stepsThatReadSomething: number;
  /** Those steps' names. */
  readonly read: readonly string[];
  /** Guards whose files the attacker could take, keys among them: with those and the database he opens everything. */
  readonly guardsTaken: readonly string[];
  /** Steps that obtained any bytes at all, planted or not. */
  readonly stepsThatGotBytes: number;
  readonly steps: readonly { readonly step: string; readonly outcome: string; readonly bytes: number }[];
}

/**
 * (a) Runs the attacker's code inside the real edge process: edge is restarted with the implant loaded, the implant tries
 * everything with edge's uid, environment, sockets and database login, and an outside observer searches what it took.
 * Edge is restarted clean afterwards and the loot is destroyed.
 */
export function attackEdge(product: Product, planted: readonly string[]): Promise<EdgeAttack> {
  return attackInside(product, 'edge', planted);
}

/** The same inside another process of ours. */
export async function attackInside(
  product: Product,
  name: 'edge' | 'console' | 'glass',
  planted: readonly string[],
): Promise<EdgeAttack> {
  const edge = product.process(name);
  const state = product.home.state(name);
  const loot = join(state, 'loot');
  const go = join(state, 'go');
  rmSync(loot, { recursive: true, force: true });
  await edge.restart(['--import', join(product.home.code, 'sim', 'attackers', 'inside-edge.ts')]);
  try {
    writeFileSync(go, '');
    const report = join(loot, 'report.json');
    for (let waited = 0; !existsSync(report); waited += 250) {
      if (waited > 240_000) throw new Error('the attacker did not finish in 4 minutes');
      await sleep(250);
    }
    const steps = JSON.parse(readFileSync(report, 'utf8')) as EdgeAttack['steps'];
    const verdict = await observe({ planted, places: [loot] });
    const files = new Set(verdict.finds.map((find) => find.where.split('/').at(-1)!));
    const read = steps.flatMap(({ step }, index) =>
      [...files].some((file) => file.startsWith(String(index).padStart(3, '0'))) ? [step] : [],
    );
    return {
      stepsTried: steps.length,
      stepsThatReadSomething: read.length,
      read,
      guardsTaken: ['sealer', 'ledger'].filter((guard) =>
        steps.some(({ step, bytes }) => step === `files of ${guard}` && bytes > 0),
      ),
      stepsThatGotBytes: steps.filter((step) => step.bytes > 0).length,
      steps: steps.map(({ step, outcome, bytes }) => ({ step, outcome, bytes })),
    };
  } finally {
    rmSync(go, { force: true });
    rmSync(loot, { recursive: true, force: true });
    await edge.restart();
  }
}
