import type { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { SealError, shape } from '#seal';

const FINGERPRINT = /^[0-9a-f]{64}$/;
const MOST_CALLERS = 32;
/** Certificates of one caller that count at the same time: the old, the new, and one to spare. */
const MOST_EACH = 8;
const fingerprints = shape.list(shape.text(64, { min: 64, pattern: FINGERPRINT }), MOST_EACH);

/** SHA-256 of the whole certificate, lower-case hex. */
export const fingerprintOf = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(':', '').toLowerCase();

/**
 * Which certificate is which caller: the file `callers.json`, `{"sealer": ["<SHA-256 of the certificate>", …], …}`. It is read
 * again when it changes, so taking a line out takes the caller out. A list that cannot be read admits nobody.
 */
export class Callers<Caller extends string> {
  readonly #file: string;
  readonly #known: readonly Caller[];
  #stamp = '';
  #byFingerprint = new Map<string, Caller>();

  constructor(file: string, known: readonly Caller[]) {
    this.#file = file;
    this.#known = known;
  }

  /** The caller that a certificate proves: it is on the list, names that very caller, and has not expired. */
  of(certificate: X509Certificate | undefined, now: number): Caller | undefined {
    if (certificate === undefined) return undefined;
    this.#read();
    const caller = this.#byFingerprint.get(fingerprintOf(certificate));
    if (caller === undefined || certificate.subject !== `CN=${caller}`) return undefined;
    return now < Date.parse(certificate.validTo) && now >= Date.parse(certificate.validFrom) ? caller : undefined;
  }

  #read(): void {
    let stamp = '';
    try {
      const { ino, mtimeMs, size } = statSync(this.#file);
      stamp = `${ino} ${mtimeMs} ${size}`;
      if (stamp === this.#stamp) return;
      this.#byFingerprint = this.#parse(readFileSync(this.#file, 'utf8'));
    } catch {
      this.#byFingerprint = new Map();
    }
    this.#stamp = stamp;
  }

  #parse(text: string): Map<string, Caller> {
    const given = JSON.parse(text) as Record<string, unknown>;
    const found = new Map<string, Caller>();
    if (Object.keys(given).length > MOST_CALLERS) throw new SealError('shape', 'Too many callers.');
    for (const caller of this.#known) {
      if (!Object.hasOwn(given, caller)) continue;
      for (const fingerprint of fingerprints(given[caller], caller)) {
        // One certificate is one caller; a list that says otherwise says nothing.
        if (found.has(fingerprint)) throw new SealError('shape', 'A certificate is listed for two callers.');
        found.set(fingerprint, caller);
      }
    }
    return found;
  }
}
