import { createHash, randomBytes } from 'node:crypto';
import { GuardError } from '#seal';
import type { Group, Point } from './noble.ts';

// The oblivious pseudorandom function of RFC 9497, base mode, suite ristretto255-SHA512: the sealer blinds, the ledger
// evaluates with its key, the sealer finishes. The ledger sees a random point, the sealer never has the key.
const CONTEXT = Buffer.concat([Buffer.from('OPRFV1-'), Buffer.from([0]), Buffer.from('-ristretto255-SHA512')]);
const GROUP_DST = Buffer.concat([Buffer.from('HashToGroup-'), CONTEXT]);
const KEY_DST = Buffer.concat([Buffer.from('DeriveKeyPair'), CONTEXT]);
const BLOCK_BYTES = 128;
/** Of elements and of scalars. */
export const ELEMENT_BYTES = 32;

const sha512 = (...parts: Uint8Array[]) => {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const short = (n: number) => Buffer.from([n >> 8, n & 0xff]);

/** expand_message_xmd of RFC 9380 section 5.3.1 with SHA-512 to 64 bytes: one block. */
function expand(message: Uint8Array, dst: Uint8Array): Buffer {
  const tail = Buffer.concat([dst, Buffer.from([dst.length])]);
  const first = sha512(Buffer.alloc(BLOCK_BYTES), message, short(64), Buffer.from([0]), tail);
  return sha512(first, Buffer.from([1]), tail);
}

/** Little-endian bytes as a number. */
const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base % modulus, left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

const bad = () => new GuardError('refused', 'This is no element of the group.');

/** Both sides of the function over one group. */
export class Oprf {
  readonly #group: Group;

  constructor(group: Group) {
    this.#group = group;
  }

  /** A scalar from 1 up to the order, from 64 random bytes: no bias that could be measured. */
  randomScalar(uniform: Uint8Array = randomBytes(64)): bigint {
    const scalar = number(uniform) % this.#group.order;
    if (scalar === 0n) throw new GuardError('internal', 'There is no randomness.');
    return scalar;
  }

  /** RFC 9497 section 3.2.1: a key from a seed, for the RFC's vectors and to keep 32 bytes in a file. */
  deriveKey(seed: Uint8Array, info: Uint8Array): bigint {
    for (let counter = 0; counter <= 255; counter++) {
      const input = Buffer.concat([seed, short(info.length), info, Buffer.from([counter])]);
      const key = number(expand(input, KEY_DST)) % this.#group.order;
      if (key !== 0n) return key;
    }
    throw new GuardError('internal', 'This seed gives no key.');
  }

  /** Section 3.3.1, Blind: what the ledger gets tells nothing of the input. */
  blind(input: Uint8Array, scalar: bigint = this.randomScalar()): { blind: bigint; blinded: Buffer } {
    const point = this.#group.derive(expand(input, GROUP_DST));
    if (point.equals(this.#group.zero)) throw bad();
    return { blind: scalar, blinded: Buffer.from(point.multiply(scalar).toBytes()) };
  }

  /** BlindEvaluate, at the ledger. Throws GuardError `refused` for what is no element, or the identity (section 3.3). */
  evaluate(key: bigint, blinded: Uint8Array): Buffer {
    return Buffer.from(this.#element(blinded).multiply(key).toBytes());
  }

  /** Finalize: 64 bytes. */
  finish(input: Uint8Array, blind: bigint, evaluated: Uint8Array): Buffer {
    const { order } = this.#group;
    // The order is prime, so this is the inverse (Fermat).
    const inverse = power(blind, order - 2n, order);
    const element = this.#element(evaluated).multiply(inverse).toBytes();
    return sha512(short(input.length), input, short(element.length), element, Buffer.from('Finalize'));
  }

  #element(bytes: Uint8Array): Point {
    let point: Point;
    try {
      point = this.#group.decode(bytes);
    } catch {
      throw bad();
    }
    if (point.equals(this.#group.zero)) throw bad();
    return point;
  }
}
