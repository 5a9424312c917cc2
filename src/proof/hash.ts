import { sha256 } from '#base';

const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);

/** Root of the empty tree, RFC 6962 section 2.1. */
export const EMPTY_ROOT: Buffer = sha256();

/** Hash of one leaf: SHA-256(0x00 ‖ entry). RFC 6962 section 2.1. */
export function leafHash(entry: Uint8Array): Buffer {
  return sha256(LEAF, entry);
}

/** Hash of an inner node: SHA-256(0x01 ‖ left ‖ right). RFC 6962 section 2.1. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return sha256(NODE, left, right);
}
