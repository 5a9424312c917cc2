import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { fromBase64url, type Sealed } from '#base';
import { SealError } from './errors.ts';
import { hpkeOpen, hpkeSeal } from './hpke.ts';
import type { Field, PublicKeys } from './messages.ts';

/** Every value is padded to this many bytes, so that all rows are of one size. */
export const PADDED_BYTES = 128;
export const INNER_BYTES = 176;
export const OUTER_BYTES = 224;
export const ROW_BYTES = 204;
/** Longest value that fits, UTF-8 bytes. */
export const VALUE_BYTES = PADDED_BYTES - 2;

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

/** 2-byte big-endian length, UTF-8, zeros: 128 bytes. Throws SealError `value-too-long` above 126 bytes. */
export function padValue(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > VALUE_BYTES) {
    throw new SealError('value-too-long', `A value may have at most ${VALUE_BYTES} bytes in UTF-8.`);
  }
  const padded = Buffer.alloc(PADDED_BYTES);
  padded.writeUInt16BE(bytes.length, 0);
  bytes.copy(padded, 2);
  bytes.fill(0);
  return padded;
}

/** Reverses `padValue`. Throws SealError `open-failed` if the padding is not exactly as `padValue` makes it. */
export function unpadValue(padded: Uint8Array): string {
  const bytes = Buffer.from(padded.buffer, padded.byteOffset, padded.byteLength);
  const length = bytes.length === PADDED_BYTES ? bytes.readUInt16BE(0) : Number.POSITIVE_INFINITY;
  if (length > VALUE_BYTES || bytes.subarray(2 + length).some((byte) => byte !== 0)) {
    throw new SealError('open-failed', 'A sealed value does not open.');
  }
  return bytes.toString('utf8', 2, 2 + length);
}

/**
 * The writer's side: seals a value twice, first to the sealer (inner layer), then to the ledger (outer layer in
 * transit). Needs public keys only; who sealed it cannot open it again. Returns 224 bytes.
 */
export function sealField(options: {
  readonly keys: Pick<PublicKeys, 'org' | 'inner' | 'outer'>;
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly value: Sealed<string>;
}): Buffer {
  const { keys, subject, field, version } = options;
  const aad = rowAad({ org: keys.org, subject, field, version });
  const padded = options.value.use(padValue);
  const inner = hpkeSeal(fromBase64url(keys.inner), padded, { info: INNER_INFO, aad });
  padded.fill(0);
  return hpkeSeal(fromBase64url(keys.outer), inner, { info: OUTER_INFO, aad });
}

/** The ledger's step: takes the transit layer off. 224 → 176 bytes. Throws SealError `open-failed`. */
export function openOuter(privateKey: KeyObject, outer: Uint8Array, label: RowLabel): Buffer {
  if (outer.byteLength !== OUTER_BYTES) throw new SealError('open-failed', 'A sealed value does not open.');
  return hpkeOpen(privateKey, outer, { info: OUTER_INFO, aad: rowAad(label) });
}

/** The sealer's step: opens the inner layer to the padded value, 176 → 128 bytes. Throws SealError `open-failed`. */
export function openInner(privateKey: KeyObject, inner: Uint8Array, label: RowLabel): Buffer {
  if (inner.byteLength !== INNER_BYTES) throw new SealError('open-failed', 'A sealed value does not open.');
  return hpkeOpen(privateKey, inner, { info: INNER_INFO, aad: rowAad(label) });
}

/** The stored form: the inner ciphertext under the person's 32-byte lock. nonce 12 ‖ 176 ‖ tag 16 = 204 bytes. */
export function lockRow(lock: Uint8Array, inner: Uint8Array, label: RowLabel): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', lock, nonce);
  cipher.setAAD(rowAad(label));
  return Buffer.concat([nonce, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
}

/** Reverses `lockRow`. Throws SealError `open-failed` for another person's, field's or version's row. */
export function unlockRow(lock: Uint8Array, row: Uint8Array, label: RowLabel): Buffer {
  if (row.byteLength !== ROW_BYTES) throw new SealError('open-failed', 'A sealed value does not open.');
  try {
    const decipher = createDecipheriv('aes-256-gcm', lock, row.subarray(0, 12));
    decipher.setAAD(rowAad(label));
    decipher.setAuthTag(row.subarray(-16));
    return Buffer.concat([decipher.update(row.subarray(12, -16)), decipher.final()]);
  } catch {
    throw new SealError('open-failed', 'A sealed value does not open.');
  }
}
