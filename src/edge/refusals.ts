import type { Logger } from '#base';
import type { Pool } from '#store';

/** Why a request to the device plane was refused; nothing of the request itself is kept. */
export type Refusal =
  | 'unknown-route'
  | 'method'
  | 'too-large'
  | 'too-slow'
  | 'too-busy'
  | 'link'
  | 'signature'
  | 'legacy'
  | 'certificate'
  | 'claim'
  | 'too-often'
  | 'message'
  | 'scep'
  | 'challenge'
  | 'acme'
  | 'attestation'
  | 'machine-info'
  | 'serial'
  | 'account'
  | 'probe'
  | 'decoy-path'
  | 'inbound';

const LEGACY_EVERY_MS = 600_000;

/** Counts refusals and reports them once a second as events, one per reason, however many requests. */
export class Refusals {
  #counts: Partial<Record<Refusal, number>> = {};
  #legacy = 0;
  #legacyAt = 0;
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;

  constructor(pool: Pool, log: Logger, everyMs = 1_000) {
    this.#pool = pool;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), everyMs);
    this.#timer.unref();
  }

  count(reason: Refusal): void {
    this.#counts[reason] = (this.#counts[reason] ?? 0) + 1;
  }

  /** Old cryptography was accepted. Reported every ten minutes at most: whole fleets of old phones say it each minute. */
  legacy(): void {
    this.#legacy += 1;
  }

  /** Writes what was counted; what could not be written is counted again. */
  async flush(last = false): Promise<void> {
    await this.#flushLegacy(last);
    const counts = this.#counts;
    if (Object.keys(counts).length === 0) return;
    this.#counts = {};
    try {
      await this.#pool.query('select edge.count_refused($1)', [JSON.stringify(counts)]);
    } catch (error) {
      this.#log.error('refusals could not be reported yet', error);
      for (const [reason, count] of Object.entries(counts)) {
        this.#counts[reason as Refusal] = (this.#counts[reason as Refusal] ?? 0) + count;
      }
    }
  }

  async #flushLegacy(last: boolean): Promise<void> {
    const count = this.#legacy;
    if (count === 0 || (!last && Date.now() - this.#legacyAt < LEGACY_EVERY_MS)) return;
    this.#legacy = 0;
    this.#legacyAt = Date.now();
    try {
      await this.#pool.query('select edge.count_legacy($1)', [count]);
    } catch (error) {
      this.#log.error('old cryptography could not be reported yet', error);
      this.#legacy += count;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush(true);
  }
}
