import type { Logger } from '#base';
import type { Pool } from '#store';

/** Counts what is refused, by reason, and writes one event for each reason every few seconds, however many there were. */
export class IntakeRefusals {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, number>();

  constructor(pool: Pool, log: Logger, everyMs = 2_000) {
    this.#pool = pool;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), everyMs);
    this.#timer.unref();
  }

  count(reason: string): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  /** What could not be written is counted again. */
  async flush(): Promise<void> {
    if (this.#counts.size === 0) return;
    const counted = this.#counts;
    this.#counts = new Map();
    try {
      await this.#pool.query('select people.intake_refused($1)', [JSON.stringify(Object.fromEntries(counted))]);
    } catch (error) {
      this.#log.error('refusals could not be reported yet', error);
      for (const [reason, n] of counted) this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + n);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
