import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { canonicalJson, fromBase64url, sha256, toBase64url } from '#base';
import { SealError } from '#seal';

/** The header by which a browser shows that it holds its session's key: `<time>.<nonce>.<signature>`. */
export const PROOF = 'x-bartizan-proof';

/** How far the browser's time may be from ours; it learns ours with its session. */
const WINDOW_MS = 60_000;
const FORM = /^(\d{13})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{86})$/;

/** One request as its session's key signs it: good for this console, method, address and body, once, for a minute. */
export interface Proven {
  readonly console: string;
  readonly method: string;
  /** Path and query as sent. */
  readonly path: string;
  readonly body: Uint8Array;
}

/** The bytes that are signed. */
export function proofBytes(request: Proven, time: number, nonce: string): Buffer {
  const { console, method, path } = request;
  const body = toBase64url(sha256(request.body));
  return Buffer.from(canonicalJson({ v: 1, op: 'request', console, method, path, body, time, nonce }));
}

/** A browser's session key: P-256, SubjectPublicKeyInfo DER in base64url. Throws SealError `shape` for anything else. */
export function sessionKey(spki: string): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(fromBase64url(spki)), format: 'der', type: 'spki' });
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  } catch {
    // said below
  }
  throw new SealError('shape', 'A session’s key is a P-256 key.');
}

export const sessionKeyDigest = (spki: string): string => toBase64url(sha256(fromBase64url(spki)));

/** What was wrong with a request's proof; `stale` is a matter of clocks, the others of somebody else's hands. */
export type ProofFault = 'missing' | 'signature' | 'stale' | 'replayed';

/**
 * Proofs that were used, for as long as they would be good again. In memory: what was signed before this process began is
 * stale, so a restart forgets nothing that counts.
 */
export class Proofs {
  readonly #used = new Map<string, number>();
  readonly #now: () => number;
  readonly #since: number;
  #swept = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** Judges a proof under a session's key. Returns what is wrong, or undefined. */
  fault(header: string | undefined, spki: string, request: Proven): ProofFault | undefined {
    if (header === undefined) return 'missing';
    const [, when, nonce, signature] = FORM.exec(header) ?? [];
    if (when === undefined || nonce === undefined || signature === undefined) return 'signature';
    const time = Number(when);
    const signed = proofBytes(request, time, nonce);
    const key = { key: sessionKey(spki), dsaEncoding: 'ieee-p1363' } as const;
    if (!verify('sha256', signed, key, fromBase64url(signature))) return 'signature';
    const now = this.#now();
    // One that was made before this process started, by the browser's reckoning of our time, may have been used before.
    if (Math.abs(now - time) > WINDOW_MS || time < this.#since - 2_000) return 'stale';
    this.#sweep(now);
    const used = `${spki}|${nonce}`;
    if (this.#used.has(used)) return 'replayed';
    this.#used.set(used, time + 2 * WINDOW_MS);
    return undefined;
  }

  #sweep(now: number): void {
    if (now - this.#swept < 10_000) return;
    this.#swept = now;
    for (const [used, until] of this.#used) if (until < now) this.#used.delete(used);
  }
}
