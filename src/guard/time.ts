import { performance } from 'node:perf_hooks';
import type { Clock } from '#base';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** How far the clock may be ahead of what has passed before it counts as moved. */
const SLACK = 5 * MINUTE;

/**
 * Three readings of one clock. `now` never goes back: after a clock that ran ahead, time stands still until the real one has
 * caught up; documents then count as expired. `lived` is how long this guard has been running: no setting of the clock moves
 * it, so delays are counted by it. `metered` is `now` held to the pace of `lived`, so that a clock set forward frees no budget.
 */
export class SteadyTime {
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #start: number;
  #latest = 0;
  #before = 0;
  #lived = 0;
  #anchor: { wall: number; lived: number } | undefined;
  #heldSince: number | undefined;

  /** `elapsed` is a clock that nobody can set, in milliseconds. */
  constructor(clock: Clock, elapsed: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#elapsed = elapsed;
    this.#start = elapsed();
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

  /** Milliseconds that this guard has been running, over all its starts. */
  lived(): number {
    this.#lived = Math.max(this.#lived, this.#before + Math.floor(this.#elapsed() - this.#start));
    return this.#lived;
  }

  /** Takes up a count that was written down; what passed while the guard stood still does not count. */
  resume(lived: number): void {
    const ahead = lived - this.lived();
    if (ahead > 0) this.#before += ahead;
  }

  /**
   * The time by which budgets are spent. A clock that jumped ahead is followed after a day of running, or at the next start;
   * the meters' sliding window holds in between (`Meters`).
   */
  metered(): number {
    const now = this.now();
    const lived = this.lived();
    this.#anchor ??= { wall: now, lived };
    const paced = this.#anchor.wall + (lived - this.#anchor.lived) + SLACK;
    if (now <= paced) {
      this.#heldSince = undefined;
      return now;
    }
    this.#heldSince ??= lived;
    if (lived - this.#heldSince < DAY) return paced;
    this.#anchor = { wall: now, lived };
    this.#heldSince = undefined;
    return now;
  }
}

/** Number of the UTC day. */
export const dayOf = (time: number): number => Math.floor(time / DAY);
