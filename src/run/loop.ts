import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '#base';

const LAST_BACKOFF_MS = 5_000;

/** A piece of work that is repeated until the process stops. */
export interface Loop {
  /** Runs the next step at once instead of after the pause. */
  wake(): void;
  close(): Promise<void>;
}

/**
 * Repeats `step` for ever: at once while it reports at least `full` pieces of work done (default 1), after `pauseMs`
 * otherwise, with growing pauses while it fails. One failing loop stops no other. A `full` above 1 lets work gather
 * where each step costs a commit.
 */
export function startLoop(name: string, pauseMs: number, step: () => Promise<number>, log: Logger, full = 1): Loop {
  let closed = false;
  let woken = new AbortController();
  let failures = 0;
  const run = (async () => {
    while (!closed) {
      let pause = pauseMs;
      try {
        if ((await step()) >= full) pause = 0;
        failures = 0;
      } catch (error) {
        failures += 1;
        if (closed) return;
        log.error(`${name} failed and is tried again`, error);
        pause = Math.min(LAST_BACKOFF_MS, pauseMs + 50 * 2 ** Math.min(failures, 8));
      }
      if (pause > 0 && !closed) {
        await sleep(pause, undefined, { signal: woken.signal }).catch(() => {});
        woken = new AbortController();
      } else await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  return {
    wake: () => {
      // A failing loop keeps its pause: hints must not turn it into a busy one.
      if (failures === 0) woken.abort();
    },
    close: async () => {
      closed = true;
      woken.abort();
      await run;
    },
  };
}
