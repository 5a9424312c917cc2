import { hkdfSync, type KeyObject } from 'node:crypto';
import { fromBase64url, toBase64url } from '#base';
import { SealError } from './errors.ts';
import type { RowLabel } from './field.ts';
import { admin, uuid } from './handles.ts';
import { hpkeOpen, hpkeSeal } from './hpke.ts';
import { x25519Private, x25519Raw } from './kem.ts';
import { base64url, integer, list, object, oneOf, optional, type Shape } from './shape.ts';
import {
  BOX_BYTES,
  BOX_INFO,
  LOCK_KEY_SEED,
  type LockKey,
  THIRD_BYTES,
  THIRD_INFO,
  THIRD_MARK,
  THIRD_PADDED,
  type ThirdLock,
} from './third-types.ts';

const PADDED = 128;
const labels = ({ org, subject, field, version }: RowLabel) => Buffer.from(`${org}|${subject}|${field}|${version}`);

/** Whether a padded value is under the third lock. */
export const isThird = (padded: Uint8Array): boolean =>
  padded.length === PADDED && padded[0] === THIRD_MARK >> 8 && padded[1] === (THIRD_MARK & 0xff);

/**
 * Puts the third lock on a value: 128 bytes as any padded value, but with `THIRD_MARK` and a box. Throws SealError
 * `value-too-long` above `THIRD_BYTES`.
 */
export function thirdPad(third: string, label: RowLabel, value: Uint8Array): Buffer {
  if (value.length > THIRD_BYTES) {
    throw new SealError(
      'value-too-long',
      `Under the third lock a value may have at most ${THIRD_BYTES} bytes in UTF-8.`,
    );
  }
  const inside = Buffer.alloc(THIRD_PADDED);
  inside.writeUInt16BE(value.length, 0);
  inside.set(value, 2);
  const box = hpkeSeal(fromBase64url(third), inside, { info: THIRD_INFO, aad: labels(label) });
  inside.fill(0);
  const padded = Buffer.alloc(PADDED);
  padded.writeUInt16BE(THIRD_MARK, 0);
  padded.set(box, 2);
  return padded;
}

/**
 * A padded value under the third lock, if it is not already; undefined if it is longer than fits. Wipes what it was given if it
 * returns something else.
 */
export function withThird(third: string, label: RowLabel, padded: Buffer): Buffer | undefined {
  if (isThird(padded)) return padded;
  const length = padded.readUInt16BE(0);
  if (length > THIRD_BYTES) return undefined;
  const locked = thirdPad(third, label, padded.subarray(2, 2 + length));
  padded.fill(0);
  return locked;
}

/** Opens a value with the third key. Only who has a seed can: recovery and tests here, pages elsewhere. Throws SealError. */
export function openThird(key: KeyObject, label: RowLabel, padded: Uint8Array): string {
  if (!isThird(padded)) throw new SealError('open-failed', 'A sealed value does not open.');
  const inside = hpkeOpen(key, padded.subarray(2), { info: THIRD_INFO, aad: labels(label) });
  const length = inside.readUInt16BE(0);
  if (length > THIRD_BYTES) throw new SealError('open-failed', 'A sealed value does not open.');
  return inside.toString('utf8', 2, 2 + length);
}

const derived = (seed: Uint8Array, what: string): KeyObject => {
  if (seed.byteLength !== 32) throw new SealError('key', 'A seed has 32 bytes.');
  const raw = Buffer.from(hkdfSync('sha256', seed, new Uint8Array(0), what, 32));
  const key = x25519Private(raw);
  raw.fill(0);
  return key;
};

/** The third key of a seed. */
export const thirdKey = (seed: Uint8Array): KeyObject => derived(seed, THIRD_INFO);
/** A passkey's lock key, of what its PRF gave. */
export const lockKey = (prf: Uint8Array): KeyObject => derived(prf, LOCK_KEY_SEED);
/** The public half as documents name it. */
export const publicOfThird = (key: KeyObject): string => toBase64url(x25519Raw(key));

const boxAad = (org: string, third: string, whose: string) => Buffer.from(`${org}|${third}|${whose}`);

/** A seed for a lock key (`whose`: its credential) or for the recovery key (`RECOVERY_BOX`). `BOX_BYTES`. */
export function sealBox(options: {
  readonly org: string;
  readonly third: string;
  readonly whose: string;
  /** Raw X25519. */
  readonly to: Uint8Array;
  readonly seed: Uint8Array;
}): string {
  const { org, third, whose, to, seed } = options;
  return toBase64url(hpkeSeal(to, seed, { info: BOX_INFO, aad: boxAad(org, third, whose) }));
}

/** Opens a box; what is in it must be the seed of the third key that is named. Throws SealError `open-failed`. */
export function openBox(options: {
  readonly org: string;
  readonly third: string;
  readonly whose: string;
  readonly key: KeyObject;
  readonly box: string;
}): Buffer {
  const { org, third, whose, key, box } = options;
  const seed = hpkeOpen(key, fromBase64url(box), { info: BOX_INFO, aad: boxAad(org, third, whose) });
  if (seed.length !== 32 || publicOfThird(thirdKey(seed)) !== third) {
    throw new SealError('open-failed', 'This box does not hold the third lock’s seed.');
  }
  return seed;
}

const credential = base64url(1, 1023);
const box = base64url(BOX_BYTES);

/** Reads a lock key. Throws SealError `shape`. */
export const parseLockKey: Shape<LockKey> = object({
  v: oneOf(1),
  op: oneOf('lock-key'),
  id: uuid,
  admin,
  credential,
  key: base64url(32),
  notAfter: integer(0),
});

/** Most passkeys that one document gives boxes to. */
const MOST_BOXES = 200;
const thirdLock = object({
  v: oneOf(1),
  op: oneOf('third-lock'),
  id: uuid,
  act: oneOf('make', 'add'),
  admin,
  key: base64url(32),
  boxes: list(object({ credential, box }), MOST_BOXES, 1),
  recovery: optional(box),
  notAfter: integer(0),
});

/** Reads a third lock: each passkey once, sorted. Throws SealError `shape`. */
export const parseThirdLock: Shape<ThirdLock> = (value, where) => {
  const read = thirdLock(value, where);
  for (let i = 1; i < read.boxes.length; i++) {
    if (read.boxes[i - 1]!.credential >= read.boxes[i]!.credential) {
      throw new SealError('shape', 'A list in a document is not sorted and unique.');
    }
  }
  return read;
};
