import { ProofError } from './errors.ts';
import { EMPTY_ROOT, nodeHash } from './hash.ts';

const HASH = 32;

/** Largest power of two strictly below n (n > 1). RFC 6962 section 2.1. */
export function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** The hashes of one level's complete subtrees, packed; grows by doubling. */
class Level {
  #bytes = Buffer.alloc(HASH * 4);
  count = 0;

  push(hash: Uint8Array): void {
    if ((this.count + 1) * HASH > this.#bytes.length) {
      const grown = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    this.#bytes.set(hash, this.count * HASH);
    this.count++;
  }

  at(index: number): Buffer {
    return Buffer.from(this.#bytes.subarray(index * HASH, (index + 1) * HASH));
  }

  range(from: number, to: number): Buffer {
    return Buffer.from(this.#bytes.subarray(from * HASH, to * HASH));
  }
}

/**
 * A Merkle tree that only grows (RFC 6962). Keeps the hash of every complete subtree, 64 bytes per leaf in all, so that
 * roots and proofs of every earlier size can be made without reading anything.
 */
export class Tree {
  readonly #levels: Level[] = [];

  /** Number of leaves. */
  get size(): number {
    return this.#levels[0]?.count ?? 0;
  }

  /** Adds one leaf by its hash; returns its index. */
  append(leaf: Uint8Array): number {
    const index = this.size;
    let hash: Uint8Array = leaf;
    for (let level = 0; ; level++) {
      const here = this.#levels[level] ?? new Level();
      this.#levels[level] = here;
      here.push(hash);
      if (here.count % 2 === 1) return index;
      hash = nodeHash(here.at(here.count - 2), hash);
    }
  }

  /** Hash of the complete subtree of 2^level leaves that starts at leaf index · 2^level. Throws ProofError. */
  subtree(level: number, index: number): Buffer {
    const here = this.#levels[level];
    if (here === undefined || index < 0 || index >= here.count) {
      throw new ProofError('proof', 'The tree has no such subtree.');
    }
    return here.at(index);
  }

  /** Packed hashes of one level, `to` exclusive: what a tile holds. */
  packed(level: number, from: number, to: number): Buffer {
    const here = this.#levels[level];
    if (to > (here?.count ?? 0)) throw new ProofError('proof', 'The tree has no such subtree.');
    return here?.range(from, to) ?? Buffer.alloc(0);
  }

  /** Root hash of the first `size` leaves. */
  root(size: number = this.size): Buffer {
    this.#within(size);
    return size === 0 ? EMPTY_ROOT : this.#hash(0, size);
  }

  /** Inclusion proof of a leaf in the tree of `size` leaves, leaf to root. RFC 6962 section 2.1.1. */
  inclusion(index: number, size: number = this.size): Buffer[] {
    this.#within(size);
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
      throw new ProofError('proof', 'The tree has no such leaf.');
    }
    return this.#path(index, 0, size);
  }

  /** Consistency proof from the tree of `old` leaves to that of `size` leaves. RFC 6962 section 2.1.2. */
  consistency(old: number, size: number = this.size): Buffer[] {
    this.#within(size);
    if (!Number.isSafeInteger(old) || old < 1 || old > size) {
      throw new ProofError('proof', 'A consistency proof starts at a size from 1 to the present size.');
    }
    return this.#subproof(old, 0, size, true);
  }

  #within(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.size) {
      throw new ProofError('proof', 'The tree has not grown to that size.');
    }
  }

  #hash(from: number, to: number): Buffer {
    const count = to - from;
    const level = Math.log2(count);
    if (Number.isInteger(level) && from % count === 0) return this.subtree(level, from / count);
    const k = splitPoint(count);
    return nodeHash(this.#hash(from, from + k), this.#hash(from + k, to));
  }

  #path(index: number, from: number, to: number): Buffer[] {
    if (to - from === 1) return [];
    const middle = from + splitPoint(to - from);
    return index < middle
      ? [...this.#path(index, from, middle), this.#hash(middle, to)]
      : [...this.#path(index, middle, to), this.#hash(from, middle)];
  }

  #subproof(old: number, from: number, to: number, whole: boolean): Buffer[] {
    if (old === to) return whole ? [] : [this.#hash(from, to)];
    const middle = from + splitPoint(to - from);
    return old <= middle
      ? [...this.#subproof(old, from, middle, whole), this.#hash(middle, to)]
      : [...this.#subproof(old, middle, to, false), this.#hash(from, middle)];
  }
}
