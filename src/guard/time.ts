import type { Clock } from '#base';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/**
 * A clock that never goes back: budgets are spent per UTC day, so a clock set back must not free any. After a clock
 * that ran ahead, time stands still until the real one has caught up; documents then count as expired.
 */
export class SteadyTime {
  readonly #clock: Clock;
  #latest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the Unix epoch, never less than before. */
  now(): number {
    this.see(this.#clock());
    return this.#latest;
  }

  /** Takes note of a time that is known to have been: from the journal or the other guard. */
  see(time: number): void {
    if (time > this.#latest) this.#latest = time;
  }
}

/** Number of the UTC day. */
export const dayOf = (time: number): number => Math.floor(time / DAY);
