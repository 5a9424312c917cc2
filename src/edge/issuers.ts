import type { Logger } from '#base';
import type { Pool } from '#store';
import { type Certificate, parseCertificate, verifyIssuedBy } from '#wire';

const EVERY_MS = 5_000;
const MOST = 200_000;

/** Authorities of other servers whose devices were taken over, besides our own; asked for every few seconds. */
export class Issuers {
  readonly #pool: Pool;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #known: readonly Certificate[] = [];
  /** Certificates that one of them issued, by hash; forgotten when the list changes. */
  #good = new Set<string>();

  constructor(pool: Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    this.#timer = setInterval(() => void this.refresh(), EVERY_MS);
    this.#timer.unref();
    void this.refresh();
  }

  /** Whether one of them issued this certificate, and it is valid at `now`. */
  issued(certificate: Certificate, now: number): boolean {
    if (this.#known.length === 0) return false;
    const id = certificate.sha256.toString('latin1');
    if (this.#good.has(id)) return now <= certificate.notAfter;
    if (!this.#known.some((issuer) => verifyIssuedBy(certificate, issuer, now))) return false;
    if (this.#good.size >= MOST) this.#good.clear();
    this.#good.add(id);
    return true;
  }

  /** Reads the list anew; keeps the old one while the database does not answer. */
  async refresh(): Promise<void> {
    try {
      const { rows } = await this.#pool.query<{ der: Buffer }>('select * from edge.trusted_issuers() as der');
      const same = rows.length === this.#known.length && rows.every(({ der }, i) => der.equals(this.#known[i]!.der));
      if (same) return;
      this.#known = rows.map(({ der }) => parseCertificate(der));
      this.#good = new Set();
    } catch (error) {
      this.#log.error('the list of trusted issuers could not be read', error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
