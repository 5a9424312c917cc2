import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessName } from '../../src/run/home.ts';
import { until } from '../../src/run/stage.ts';
import type { Product } from '../../src/run/supervisor.ts';
import type { Dice } from '../fuzz/dice.ts';

/** What may be killed. A backend is one of PostgreSQL's: the server then throws all connections away and recovers. */
export const VICTIMS = ['core', 'edge', 'worker', 'ledger', 'postgres', 'backend'] as const;
export type Victim = (typeof VICTIMS)[number];

const UP_MS = 180_000;

/** Kills with SIGKILL and returns its process id, or undefined if there was nothing to kill just now. */
export function strike(product: Product, victim: Victim, dice: Dice): number | undefined {
  const pids = product.pids();
  const pid =
    victim === 'worker'
      ? pickChild(pids['edge'], () => true, dice)
      : victim === 'backend'
        ? pickChild(pids['postgres'], (title) => title.includes('bartizan_'), dice)
        : pids[victim];
  if (pid === undefined) return undefined;
  try {
    process.kill(pid, 'SIGKILL');
    return pid;
  } catch {
    return undefined;
  }
}

function pickChild(parent: number | undefined, fits: (title: string) => boolean, dice: Dice): number | undefined {
  if (parent === undefined) return undefined;
  const children = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const of = Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]!.split(' ')[1]);
      return of === parent && fits(readFileSync(`/proc/${name}/cmdline`, 'utf8'));
    } catch {
      return false;
    }
  });
  return children.length === 0 ? undefined : Number(dice.pick(children));
}

/**
 * Brings back what was killed, at once instead of after the supervisor's growing pause, and waits until it is at work.
 * Workers and the database are brought back by their own keepers. Throws if nothing comes back.
 */
export async function revive(product: Product, victim: Victim, killed: number): Promise<void> {
  const own: ProcessName = victim === 'worker' || victim === 'backend' || victim === 'postgres' ? 'edge' : victim;
  if (own === victim) {
    const child = product.process(own);
    await until(() => child.pid !== killed, 10_000, 5);
    await child.stop();
    child.start();
    if (!(await settles(child.ready))) throw new Error(`${victim} did not come back`);
    return;
  }
  if (
    victim === 'postgres' &&
    !(await until(() => ![undefined, killed].includes(product.pids()['postgres']), UP_MS, 50))
  )
    throw new Error('postgres did not come back');
}

const settles = (ready: Promise<void>): Promise<boolean> =>
  Promise.race([ready.then(() => true), new Promise<boolean>((resolve) => setTimeout(resolve, UP_MS, false).unref())]);
