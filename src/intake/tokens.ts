import { readFileSync, statSync } from 'node:fs';
import { equalBytes, fromBase64url, sha256 } from '#base';

/** A token as the operator's file holds it: of the token itself only the hash is kept. */
export interface TokenRecord {
  readonly id: string;
  /** Whose people these are; several tokens of one source follow each other. */
  readonly source: string;
  /** base64url SHA-256 of the whole token. */
  readonly sha256: string;
  readonly notAfter: number;
}

export const TOKEN_PREFIX = 'btz-scim-';
export const SOURCE = /^[a-z0-9][a-z0-9-]{0,30}$/;
/** The operator's file, which intake reads and cannot write. */
export const TOKENS_FILE = 'scim-tokens.json';

/** Requests that one token may send at once, and in a second after that. */
const BURST = 200;
const PER_SECOND = 50;

export interface Bearer {
  readonly id: string;
  readonly source: string;
}

/** Who may push people. Read anew whenever the file changes: a revoked token is refused from the next request on. */
export class Tokens {
  readonly #file: string;
  readonly #now: () => number;
  readonly #onChange: (records: readonly TokenRecord[]) => void;
  readonly #buckets = new Map<string, { left: number; at: number }>();
  #records: readonly TokenRecord[] = [];
  #seen = '';

  constructor(file: string, now: () => number, onChange: (records: readonly TokenRecord[]) => void) {
    this.#file = file;
    this.#now = now;
    this.#onChange = onChange;
  }

  /** The token of an `Authorization: Bearer …` header (RFC 6750 section 2.1), if it counts now. */
  bearer(header: string | undefined): Bearer | undefined {
    this.#read();
    const [, token] = /^Bearer ([A-Za-z0-9_-]{20,100})$/i.exec(header ?? '') ?? [];
    if (token === undefined) return undefined;
    const hash = sha256(token);
    let found: TokenRecord | undefined;
    for (const record of this.#records) {
      if (equalBytes(hash, fromBase64url(record.sha256)) && record.notAfter > this.#now()) found = record;
    }
    return found === undefined ? undefined : { id: found.id, source: found.source };
  }

  /** False if this token has sent too much in too short a time. */
  admit({ id }: Bearer): boolean {
    const now = this.#now();
    const bucket = this.#buckets.get(id) ?? { left: BURST, at: now };
    const left = Math.min(BURST, bucket.left + ((now - bucket.at) / 1000) * PER_SECOND);
    this.#buckets.set(id, { left: Math.max(0, left - 1), at: now });
    return left >= 1;
  }

  /** What cannot be read holds nobody's token: then nobody is let in. */
  #read(): void {
    let seen: string;
    try {
      const { mtimeMs, ino, size } = statSync(this.#file);
      seen = `${mtimeMs} ${ino} ${size}`;
    } catch {
      seen = 'none';
    }
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#records = seen === 'none' ? [] : readTokens(this.#file);
    this.#buckets.clear();
    this.#onChange(this.#records);
  }
}

/** The records of the file; none if it is damaged. */
export function readTokens(file: string): readonly TokenRecord[] {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as readonly TokenRecord[];
    const sound = (one: TokenRecord) =>
      typeof one.id === 'string' &&
      SOURCE.test(one.source) &&
      fromBase64url(one.sha256).length === 32 &&
      Number.isSafeInteger(one.notAfter);
    return Array.isArray(read) && read.every(sound) ? read : [];
  } catch {
    return [];
  }
}
