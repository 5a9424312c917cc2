import { combine, split } from 'shamir-secret-sharing';
import { equalBytes, fromBase64url, sha256, toBase64url } from '#base';
import { KeeperError } from './error.ts';

/** A share as people keep it: `bzs1.<key mark>.<k>.<share>.<check>`; the check finds typing errors. */
const FORM = /^bzs1\.([A-Za-z0-9_-]{8})\.([0-9]{1,2})\.([A-Za-z0-9_-]{20,200})\.([A-Za-z0-9_-]{6})$/;

const markOf = (key: string): string => toBase64url(sha256(fromBase64url(key)).subarray(0, 6));
const checkOf = (text: string): string => toBase64url(sha256(text)).slice(0, 6);
const bad = (why: string) => new KeeperError('share', why);

/** Splits a box into `of` texts, any `shares` of which bring it back. */
export async function splitBox(box: Buffer, key: string, shares: number, of: number): Promise<string[]> {
  const parts = await split(Uint8Array.from(box), of, shares);
  return parts.map((part) => {
    const text = `bzs1.${markOf(key)}.${shares}.${toBase64url(part)}`;
    part.fill(0);
    return `${text}.${checkOf(text)}`;
  });
}

/** What is kept of a key that people bring: never a share. */
export interface QuorumKey {
  readonly key: string;
  readonly shares: number;
  readonly of: number;
  /** base64url SHA-256 of the box: the shares are right if they make this. */
  readonly check: string;
}

/** Most shares that are held for one key: with wrong ones among them all choices are tried. */
const MOST_HELD = 16;

/** Collects shares in memory until they make the box. */
export class Collection {
  readonly #key: QuorumKey;
  #shares: Buffer[] = [];
  #box: Buffer | undefined;

  constructor(key: QuorumKey) {
    this.#key = key;
  }

  get have(): number {
    return this.#box === undefined ? this.#shares.length : this.#key.shares;
  }

  get complete(): boolean {
    return this.#box !== undefined;
  }

  /** Whether this text is a share of this key, well typed. Throws KeeperError `share` for one that is mistyped. */
  static fits(text: string, key: QuorumKey): boolean {
    const [, mark, , , check] = FORM.exec(text) ?? [];
    if (mark === undefined) throw bad('This is not a share: one begins with bzs1.');
    if (check !== checkOf(text.slice(0, text.lastIndexOf('.')))) throw bad('The share is mistyped. Nothing was taken.');
    return mark === markOf(key.key);
  }

  /** Takes a share; the same one twice counts once. Tries whether those at hand make the box. Throws KeeperError `share`. */
  async take(text: string): Promise<void> {
    if (this.#box !== undefined) return;
    const share = Buffer.from(fromBase64url(FORM.exec(text)![3]!));
    if (this.#shares.some((one) => equalBytes(one, share))) return;
    if (this.#shares.length >= MOST_HELD) this.wipe();
    this.#shares.push(share);
    if (this.#shares.length < this.#key.shares) return;
    this.#box = await this.#tryAll();
    if (this.#box === undefined) {
      throw bad(
        'There are enough shares, but they do not make the key: one of them is not of this key. Bring another.',
      );
    }
    for (const one of this.#shares) one.fill(0);
    this.#shares = [];
  }

  async #tryAll(): Promise<Buffer | undefined> {
    // The newest share is in every choice: those without it were tried before.
    const newest = this.#shares.at(-1)!;
    for (const rest of choices(this.#shares.slice(0, -1), this.#key.shares - 1)) {
      const box = await combine([...rest, newest].map((one) => Uint8Array.from(one))).catch(() => undefined);
      if (box === undefined) continue;
      const found = Buffer.from(box.buffer, box.byteOffset, box.byteLength);
      if (toBase64url(sha256(found)) === this.#key.check) return found;
      found.fill(0);
    }
    return undefined;
  }

  /** Hands the box out once and forgets it. */
  hand(): Buffer | undefined {
    const box = this.#box;
    this.#box = undefined;
    return box;
  }

  /** Forgets everything. */
  wipe(): void {
    for (const one of this.#shares) one.fill(0);
    this.#shares = [];
    this.#box?.fill(0);
    this.#box = undefined;
  }
}

function* choices<T>(from: readonly T[], count: number): Generator<readonly T[]> {
  if (count === 0) yield [];
  else {
    for (let i = 0; i + count <= from.length; i++) {
      for (const rest of choices(from.slice(i + 1), count - 1)) yield [from[i]!, ...rest];
    }
  }
}
