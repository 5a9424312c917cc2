import type { Pool } from '#store';
import { type Answer, notFound, ok } from './answer.ts';

const FRESH_MS = 10_000;

/** The list of revoked certificates as core signed it, kept for ten seconds: strangers may ask for it as often as they like. */
export class CrlSource {
  readonly #pool: Pool;
  readonly #now: () => number;
  #kept: { at: number; answer: Promise<Answer> } | undefined;

  constructor(pool: Pool, now: () => number) {
    this.#pool = pool;
    this.#now = now;
  }

  /** `GET /crl` (RFC 5280, section 4.2.1.13; media type of RFC 2585). */
  answer(): Promise<Answer> {
    const kept = this.#kept;
    if (kept !== undefined && this.#now() - kept.at < FRESH_MS) return kept.answer;
    const answer = this.#read();
    this.#kept = { at: this.#now(), answer };
    answer.catch(() => {
      this.#kept = undefined;
    });
    return answer;
  }

  async #read(): Promise<Answer> {
    const { rows } = await this.#pool.query<{ der: Buffer | null }>('select edge.crl() as der');
    const der = rows[0]?.der ?? undefined;
    return der === undefined ? notFound : ok(der, 'application/pkix-crl');
  }
}
