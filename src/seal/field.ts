import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { fromBase64url, type Sealed } from '#base';
import { SealError } from './errors.ts';
import { hpkeEnc, hpkeOpen, hpkeOpenDerived, hpkeSeal } from './hpke.ts';
import { DEVICE_SECRETS, type Field, type PublicKeys } from './messages.ts';
import { thirdPad } from './third.ts';
import { THIRD_BYTES, underThird } from './third-types.ts';

/** What HPKE adds to a value: its encapsulated key and tag. */
const HPKE_BYTES = 48;
/** What a lock adds: nonce and tag. */
const LOCK_BYTES = 28;

/**
 * Every value is padded to the size of its field's class, so that all rows of a class are of one size: 128 bytes, and
 * 6144 for the secrets of devices.
 */
export const paddedBytes = (field: Field): number => (DEVICE_SECRETS.has(field) ? 6144 : 128);
export const innerBytes = (field: Field): number => paddedBytes(field) + HPKE_BYTES;
export const outerBytes = (field: Field): number => innerBytes(field) + HPKE_BYTES;
export const rowBytes = (field: Field): number => innerBytes(field) + LOCK_BYTES;
/** Longest value that fits, UTF-8 bytes. */
export const valueBytes = (field: Field): number => paddedBytes(field) - 2;

const INNER_INFO = 'bartizan inner v1';
const OUTER_INFO = 'bartizan outer v1';

/** Which value a ciphertext is: bound into both layers as associated data. */
export interface RowLabel {
  readonly org: string;
  readonly subject: string;
  readonly field: Field;
  /** From 1, raised by every change of the value. */
  readonly version: number;
}

/** Associated data of both layers: `org|subject|field|version`. */
export function rowAad(label: RowLabel): Buffer {
  return Buffer.from(`${label.org}|${label.subject}|${label.field}|${label.version}`);
}

/** 2-byte big-endian length, UTF-8, zeros. Throws SealError `value-too-long` above the field's `valueBytes`. */
export function padValue(text: string, field: Field): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > valueBytes(field)) {
    throw new SealError('value-too-long', `A value may have at most ${valueBytes(field)} bytes in UTF-8.`);
  }
  const padded = Buffer.alloc(paddedBytes(field));
  padded.writeUInt16BE(bytes.length, 0);
  bytes.copy(padded, 2);
  bytes.fill(0);
  return padded;
}

/** Reverses `padValue`. Throws SealError `open-failed` if the padding is not exactly as `padValue` makes it. */
export function unpadValue(padded: Uint8Array, field: Field): string {
  const bytes = Buffer.from(padded.buffer, padded.byteOffset, padded.byteLength);
  const length = bytes.length === paddedBytes(field) ? bytes.readUInt16BE(0) : Number.POSITIVE_INFINITY;
  if (length > valueBytes(field) || bytes.subarray(2 + length).some((byte) => byte !== 0)) {
    throw new SealError('open-failed', 'A sealed value does not open.');
  }
  return bytes.toString('utf8', 2, 2 + length);
}

/** What a phone calls itself is cut to what fits: its check-in must not fail for it. */
function thirdBytes(text: string, field: Field): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (field !== 'device-name' || bytes.length <= THIRD_BYTES) return bytes;
  let end = THIRD_BYTES;
  // Not within a character (RFC 3629: continuation bytes are 10xxxxxx).
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/**
 * The writer's side: seals a value twice, first to the sealer (inner layer), then to the ledger (outer layer in
 * transit). Needs public keys only; who sealed it cannot open it again. Returns `outerBytes` of the field.
 */
export function sealField(options: {
  readonly keys: Pick<PublicKeys, 'org' | 'inner' | 'outer' | 'third'>;
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly value: Sealed<string>;
}): Buffer {
  const { keys, subject, field, version } = options;
  const label = { org: keys.org, subject, field, version };
  const aad = rowAad(label);
  const { third } = keys;
  const padded = options.value.use((text) =>
    third !== undefined && underThird(field) ? thirdPad(third, label, thirdBytes(text, field)) : padValue(text, field),
  );
  const inner = sealInner(fromBase64url(keys.inner), padded, label);
  padded.fill(0);
  return hpkeSeal(fromBase64url(keys.outer), inner, { info: OUTER_INFO, aad });
}

/** The inner layer alone: a padded value sealed to the organisation's raw public key, `innerBytes` of the field. */
export function sealInner(recipient: Uint8Array, padded: Uint8Array, label: RowLabel): Buffer {
  return hpkeSeal(recipient, padded, { info: INNER_INFO, aad: rowAad(label) });
}

/** The ledger's step: takes the transit layer off, `outerBytes` → `innerBytes`. Throws SealError `open-failed`. */
export function openOuter(privateKey: KeyObject, outer: Uint8Array, label: RowLabel): Buffer {
  if (outer.byteLength !== outerBytes(label.field)) throw new SealError('open-failed', 'A sealed value does not open.');
  return hpkeOpen(privateKey, outer, { info: OUTER_INFO, aad: rowAad(label) });
}

/** The sealer's step: opens the inner layer to the padded value. Throws SealError `open-failed`. */
export function openInner(privateKey: KeyObject, inner: Uint8Array, label: RowLabel): Buffer {
  if (inner.byteLength !== innerBytes(label.field)) throw new SealError('open-failed', 'A sealed value does not open.');
  return hpkeOpen(privateKey, inner, { info: INNER_INFO, aad: rowAad(label) });
}

/** What the token that holds a P-256 organisation key needs to derive an inner layer's secret: a point, 65 bytes. */
export function innerPoint(inner: Uint8Array, label: RowLabel): Buffer {
  if (inner.byteLength !== innerBytes(label.field)) throw new SealError('open-failed', 'A sealed value does not open.');
  return hpkeEnc('p256', inner);
}

/** As `openInner`, with the secret that the token derived. Wipes `dh`. Throws SealError `open-failed`. */
export function openInnerDerived(dh: Buffer, recipient: Uint8Array, inner: Uint8Array, label: RowLabel): Buffer {
  if (inner.byteLength !== innerBytes(label.field)) throw new SealError('open-failed', 'A sealed value does not open.');
  return hpkeOpenDerived(dh, recipient, inner, { info: INNER_INFO, aad: rowAad(label) });
}

/** The stored form: the inner ciphertext under the person's 32-byte lock. nonce 12 ‖ inner ‖ tag 16 = `rowBytes`. */
export function lockRow(lock: Uint8Array, inner: Uint8Array, label: RowLabel): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', lock, nonce);
  cipher.setAAD(rowAad(label));
  return Buffer.concat([nonce, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
}

/** Reverses `lockRow`. Throws SealError `open-failed` for another person's, field's or version's row. */
export function unlockRow(lock: Uint8Array, row: Uint8Array, label: RowLabel): Buffer {
  if (row.byteLength !== rowBytes(label.field)) throw new SealError('open-failed', 'A sealed value does not open.');
  try {
    const decipher = createDecipheriv('aes-256-gcm', lock, row.subarray(0, 12));
    decipher.setAAD(rowAad(label));
    decipher.setAuthTag(row.subarray(-16));
    return Buffer.concat([decipher.update(row.subarray(12, -16)), decipher.final()]);
  } catch {
    throw new SealError('open-failed', 'A sealed value does not open.');
  }
}
