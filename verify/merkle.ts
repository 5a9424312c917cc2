import { createHash } from 'node:crypto';

const digest = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

/** RFC 6962 section 2.1. */
export const leafHash = (entry: Uint8Array): Buffer => digest(LEAF, entry);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => digest(NODE, left, right);
export const EMPTY_ROOT: Buffer = digest();

/** The right edge of a growing tree: enough for its root at every size, in a few hundred bytes. */
export class Edge {
  /** Complete subtrees, largest first. */
  readonly #stack: { readonly leaves: number; readonly hash: Buffer }[] = [];
  size = 0;

  push(leaf: Buffer): void {
    let top = { leaves: 1, hash: leaf };
    for (let last = this.#stack.at(-1); last?.leaves === top.leaves; last = this.#stack.at(-1)) {
      this.#stack.pop();
      top = { leaves: top.leaves * 2, hash: nodeHash(last.hash, top.hash) };
    }
    this.#stack.push(top);
    this.size += 1;
  }

  root(): Buffer {
    if (this.#stack.length === 0) return EMPTY_ROOT;
    return this.#stack.map(({ hash }) => hash).reduceRight((right, left) => nodeHash(left, right));
  }
}

/** Root of a complete subtree: the number of hashes is a power of two. */
export function rootOf(hashes: readonly Buffer[]): Buffer {
  let level = [...hashes];
  while (level.length > 1) {
    const next: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) next.push(nodeHash(level[i]!, level[i + 1]!));
    level = next;
  }
  return level[0]!;
}

/** The root that an inclusion proof leads to, or undefined if it has the wrong length. RFC 9162 section 2.1.3.2. */
export function rootFromInclusion(
  leaf: Buffer,
  index: number,
  size: number,
  proof: readonly Buffer[],
): Buffer | undefined {
  if (index >= size) return undefined;
  let [node, last, hash] = [BigInt(index), BigInt(size - 1), leaf];
  for (const sibling of proof) {
    if (last === 0n) return undefined;
    if (node % 2n === 1n || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2n === 0n && node !== 0n) [node, last] = [node >> 1n, last >> 1n];
    } else hash = nodeHash(hash, sibling);
    [node, last] = [node >> 1n, last >> 1n];
  }
  return last === 0n ? hash : undefined;
}
