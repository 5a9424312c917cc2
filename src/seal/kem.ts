import { createPrivateKey, createPublicKey, ECDH, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SealError } from './errors.ts';

/** The two key encapsulations of RFC 9180 that organisation keys use: P-256 where the key lives in a token. */
export type Kem = 'x25519' | 'p256';

const CURVE = 'prime256v1';
// SubjectPublicKeyInfo up to the raw key: RFC 8410 section 4, RFC 5480 section 2.
const SPKI: { readonly [kem in Kem]: Buffer } = {
  x25519: Buffer.from('302a300506032b656e032100', 'hex'),
  p256: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
};
/** Serialised public keys, RFC 9180 section 7.1.1: raw X25519, uncompressed P-256 point. */
const BYTES: { readonly [kem in Kem]: number } = { x25519: 32, p256: 65 };
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Which kind of key a serialised public key is. Throws SealError `key`. */
export function kemOf(raw: Uint8Array): Kem {
  if (raw.byteLength === BYTES.x25519) return 'x25519';
  if (raw.byteLength === BYTES.p256 && raw[0] === 4) return 'p256';
  throw new SealError('key', 'A public key has 32 bytes (X25519) or 65 (P-256, uncompressed).');
}

/** Which kind of key this is. Throws SealError `key` for others. */
export function kemOfKey(key: KeyObject): Kem {
  if (key.asymmetricKeyType === 'x25519') return 'x25519';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVE) return 'p256';
  throw new SealError('key', 'This kind of key is not used for sealing.');
}

/** A serialised public key as a key object; a P-256 point must be on the curve. Throws SealError `key`. */
export function publicOf(raw: Uint8Array): KeyObject {
  const kem = kemOf(raw);
  try {
    return createPublicKey({ key: Buffer.concat([SPKI[kem], raw]), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new SealError('key', 'This is not a public key.', { cause });
  }
}

/** The serialised public half of a key. */
export function rawPublic(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI[kemOfKey(key)].length);
}

/** A raw X25519 public key (32 bytes) as a key object. Throws SealError `key`. */
export function x25519Public(raw: Uint8Array): KeyObject {
  if (raw.byteLength !== 32) throw new SealError('key', 'An X25519 public key has 32 bytes.');
  return publicOf(raw);
}

/** A raw X25519 private key (32 bytes) as a key object. Throws SealError `key`. */
export function x25519Private(raw: Uint8Array): KeyObject {
  if (raw.byteLength !== 32) throw new SealError('key', 'An X25519 private key has 32 bytes.');
  const der = Buffer.concat([PKCS8_X25519, raw]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

/** The raw 32 bytes of a private X25519 key in PKCS #8 (RFC 8410 section 7), copied out. Throws SealError `key`. */
export function x25519Secret(pkcs8: Uint8Array): Buffer {
  const der = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.byteLength);
  if (der.length !== 48 || !der.subarray(0, 16).equals(PKCS8_X25519)) {
    throw new SealError('key', 'This is not a private X25519 key.');
  }
  const secret = Buffer.alloc(32);
  der.copy(secret, 0, 16);
  return secret;
}

/** The raw 32 bytes of an X25519 key's public part. */
export function x25519Raw(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== 'x25519') throw new SealError('key', 'This is not an X25519 key.');
  return rawPublic(key);
}

/** A new ephemeral key; of P-256 one whose point has an even y (every second one). */
export function freshKey(kem: Kem): KeyObject {
  if (kem === 'x25519') return generateKeyPairSync('x25519').privateKey;
  for (;;) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE });
    if ((rawPublic(privateKey)[64]! & 1) === 0) return privateKey;
  }
}

/** A serialised key of `freshKey` in 32 bytes. */
export function packPoint(raw: Buffer): Buffer {
  return raw.length === BYTES.p256 ? raw.subarray(1, 33) : raw;
}

/** The reverse of `packPoint`; undefined if there is no such point. */
export function unpackPoint(kem: Kem, packed: Uint8Array): Buffer | undefined {
  if (kem === 'x25519') return Buffer.from(packed);
  try {
    return ECDH.convertKey(
      Buffer.concat([Buffer.from([2]), packed]),
      CURVE,
      undefined,
      undefined,
      'uncompressed',
    ) as Buffer;
  } catch {
    return undefined;
  }
}
