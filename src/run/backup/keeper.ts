import { BackupError } from '#backup';
import { openPool } from '#store';
import type { Product } from '../supervisor.ts';
import { coreDatabase } from './doors.ts';
import { dueSets, runBackups } from './run.ts';

const LOOK_MS = 60_000;

/** Runs backups when their time comes, for as long as the product runs. Failures are recorded, and tried again. */
export function keepBackups(product: Product, say: (line: string) => void): { close(): Promise<void> } {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let busy: Promise<void> = Promise.resolve();
  const look = async () => {
    const { home, admin, postgresDir: dir, postgresEnv: env } = product;
    const pool = openPool(coreDatabase(home), { max: 3, name: 'bartizan backup' });
    try {
      const doors = { home, org: product.keys.org, pool, admin, postgres: { dir, env }, now: Date.now };
      const due = await dueSets(doors);
      if (due.length === 0) return;
      for (const { ok, message } of await runBackups(doors, due)) if (!ok) say(`backup: ${message}`);
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      say(`backup: ${error.message}`);
    } finally {
      await pool.end();
    }
  };
  const next = () => {
    if (closed) return;
    timer = setTimeout(() => {
      busy = look()
        .catch(() => say('backup: it could not be looked after; it is tried again in a minute'))
        .finally(next);
    }, LOOK_MS);
    timer.unref();
  };
  next();
  return {
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await busy;
    },
  };
}
