import type { Logger } from '#base';
import type { Pool } from '#store';
import { emit } from './emit.ts';

/** Counts refused requests of an origin by code and writes them as events, one per code and interval, however many there were. */
export class Refusals {
  readonly #counts = new Map<string, { count: number; actor: string | null }>();
  readonly #origin: 'console' | 'glass';
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;

  constructor(origin: 'console' | 'glass', pool: Pool, log: Logger, everyMs = 1_000) {
    this.#origin = origin;
    this.#pool = pool;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), everyMs);
    this.#timer.unref();
  }

  count(code: string, actor: string | null): void {
    const key = `${code} ${actor ?? ''}`;
    this.#counts.set(key, { count: (this.#counts.get(key)?.count ?? 0) + 1, actor });
  }

  /** Writes what was counted; what could not be written is counted again. */
  async flush(): Promise<void> {
    const counted = [...this.#counts];
    this.#counts.clear();
    for (const [key, { count, actor }] of counted) {
      const code = key.slice(0, key.indexOf(' '));
      try {
        await emit(this.#pool, { kind: 'console.refused', actor, detail: { origin: this.#origin, code, count } });
      } catch (error) {
        this.#log.error('refusals could not be reported yet', error);
        this.#counts.set(key, { count: (this.#counts.get(key)?.count ?? 0) + count, actor });
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
