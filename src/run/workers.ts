import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '#base';
import type { Running } from './process.ts';

const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 10_000;
const HEALTHY_MS = 30_000;

/**
 * Starts `count` copies of this process as workers that share its listening socket, and replaces whichever ends.
 * Resolves when all of them are open; throws if one ends before that.
 */
export async function superviseWorkers(count: number, running: Running, log: Logger): Promise<void> {
  let stopping = false;
  running.onStop(async () => {
    stopping = true;
    const gone = Object.values(cluster.workers ?? {}).flatMap((worker) => {
      if (worker === undefined) return [];
      worker.kill('SIGTERM');
      return [new Promise<void>((resolve) => worker.once('exit', () => resolve()))];
    });
    await Promise.all(gone);
  });
  const replace = (worker: Worker, startedAt: number, backoff: number): void => {
    worker.once('exit', (status, signal) => {
      if (stopping) return;
      log.warn('a worker ended and is replaced', { status: status ?? 0, signal: signal ?? 'none' });
      const next = Date.now() - startedAt > HEALTHY_MS ? FIRST_BACKOFF_MS : Math.min(backoff * 2, LAST_BACKOFF_MS);
      void sleep(backoff).then(() => {
        if (!stopping) replace(cluster.fork(), Date.now(), next);
      });
    });
  };
  await Promise.all(
    Array.from({ length: count }, async () => {
      const worker = cluster.fork();
      await new Promise<void>((resolve, reject) => {
        worker.once('message', () => resolve());
        worker.once('exit', () => reject(new Error('a worker ended before it was open')));
      });
      replace(worker, Date.now(), FIRST_BACKOFF_MS);
    }),
  );
}
