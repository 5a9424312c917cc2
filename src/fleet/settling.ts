import type { Queryable } from '#store';

/** Ticks that are looked at after the last change was counted: it counts before it is committed. */
const AFTER = 5;

/**
 * Says whether a loop over the whole fleet has anything to look for: something changed that decides what devices should
 * have (the tables with the trigger `to_settle`), or it was not looked at for `everyMs`. One for each loop.
 */
export class Settling {
  readonly #everyMs: number;
  #seen: string | undefined;
  #left = 0;
  #lookedAt = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** `now` in milliseconds. */
  async due(db: Queryable, now: number): Promise<boolean> {
    const { rows } = await db.query<{ count: string }>('select fleet.settling_count()::text as count');
    const { count } = rows[0]!;
    if (count !== this.#seen) this.#left = AFTER;
    else if (this.#left > 0) this.#left -= 1;
    else if (now - this.#lookedAt < this.#everyMs) return false;
    this.#seen = count;
    this.#lookedAt = now;
    return true;
  }

  /** Runs `work` if it is due; else there was nothing to do. */
  async when(db: Queryable, now: number, work: () => Promise<number>): Promise<number> {
    return (await this.due(db, now)) ? work() : 0;
  }
}
