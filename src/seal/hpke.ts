import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { SealError } from './errors.ts';

// HPKE, RFC 9180: base mode, single shot, DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001.
// AEAD 2 (AES-256-GCM) is what the product uses; AEAD 1 (AES-128-GCM) exists for the RFC's test vectors.
const KEM_SUITE = Buffer.from('4b454d0020', 'hex');
const KEY_BYTES = { 1: 16, 2: 32 } as const;
type Aead = keyof typeof KEY_BYTES;

const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const EMPTY = Buffer.alloc(0);

/** Length of the encapsulated key, bytes. */
const ENC_BYTES = 32;
/** Length of the AEAD tag, bytes. */
const TAG_BYTES = 16;

/** A raw X25519 public key (32 bytes) as a key object. Throws SealError `key`. */
export function x25519Public(raw: Uint8Array): KeyObject {
  if (raw.byteLength !== 32) throw new SealError('key', 'An X25519 public key has 32 bytes.');
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
}

/** A raw X25519 private key (32 bytes) as a key object. Throws SealError `key`. */
export function x25519Private(raw: Uint8Array): KeyObject {
  if (raw.byteLength !== 32) throw new SealError('key', 'An X25519 private key has 32 bytes.');
  const der = Buffer.concat([PKCS8_PREFIX, raw]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

/** The raw 32 bytes of an X25519 key's public part. */
export function x25519Raw(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

function hmac(key: Uint8Array, ...parts: Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

const VERSION = Buffer.from('HPKE-v1');

function labeledExtract(suite: Buffer, salt: Uint8Array, label: string, ikm: Uint8Array): Buffer {
  // An empty HKDF salt means HashLen zeros (RFC 5869 section 2.2); HMAC pads a short key with zeros, so it is the same.
  return hmac(salt, VERSION, suite, Buffer.from(label), ikm);
}

function labeledExpand(suite: Buffer, prk: Buffer, label: string, info: Uint8Array, length: number): Buffer {
  // Never more than one HKDF block: length <= 32 everywhere in this suite.
  const size = Buffer.from([0, length]);
  return hmac(prk, size, VERSION, suite, Buffer.from(label), info, Buffer.from([1])).subarray(0, length);
}

function schedule(dh: Buffer, enc: Uint8Array, recipient: Uint8Array, info: Uint8Array, aead: Aead) {
  const eaePrk = labeledExtract(KEM_SUITE, EMPTY, 'eae_prk', dh);
  const shared = labeledExpand(KEM_SUITE, eaePrk, 'shared_secret', Buffer.concat([enc, recipient]), 32);
  const suite = Buffer.from([0x48, 0x50, 0x4b, 0x45, 0, 0x20, 0, 1, 0, aead]);
  const pskIdHash = labeledExtract(suite, EMPTY, 'psk_id_hash', EMPTY);
  const infoHash = labeledExtract(suite, EMPTY, 'info_hash', info);
  const context = Buffer.concat([Buffer.from([0]), pskIdHash, infoHash]);
  const secret = labeledExtract(suite, shared, 'secret', EMPTY);
  const key = labeledExpand(suite, secret, 'key', context, KEY_BYTES[aead]);
  const nonce = labeledExpand(suite, secret, 'base_nonce', context, 12);
  for (const used of [dh, eaePrk, shared, secret]) used.fill(0);
  return { key, nonce };
}

/** Who the message is for, what it is about (`info`), and which labels it is bound to (`aad`). */
export interface HpkeContext {
  readonly info: string | Uint8Array;
  readonly aad?: Uint8Array;
  /** AEAD id of RFC 9180 section 7.3. Default 2. */
  readonly aead?: Aead;
}

/**
 * Seals one message to a raw X25519 public key. Returns enc (32) ‖ ciphertext ‖ tag (16). RFC 9180 section 6.1.
 * `ephemeral` is for test vectors only.
 */
export function hpkeSeal(
  recipient: Uint8Array,
  plaintext: Uint8Array,
  context: HpkeContext,
  ephemeral: KeyObject = generateKeyPairSync('x25519').privateKey,
): Buffer {
  const aead = context.aead ?? 2;
  const enc = x25519Raw(ephemeral);
  const dh = diffieHellman({ privateKey: ephemeral, publicKey: x25519Public(recipient) });
  const { key, nonce } = schedule(dh, enc, recipient, Buffer.from(context.info), aead);
  const cipher = createCipheriv(aead === 1 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce);
  cipher.setAAD(context.aad ?? EMPTY);
  const sealed = Buffer.concat([enc, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return sealed;
}

/** Opens enc ‖ ciphertext ‖ tag with the X25519 private key. Throws SealError `open-failed`, never says why. */
export function hpkeOpen(privateKey: KeyObject, sealed: Uint8Array, context: HpkeContext): Buffer {
  const aead = context.aead ?? 2;
  if (sealed.byteLength < ENC_BYTES + TAG_BYTES) throw new SealError('open-failed', 'A sealed value does not open.');
  try {
    const enc = sealed.subarray(0, ENC_BYTES);
    const dh = diffieHellman({ privateKey, publicKey: x25519Public(enc) });
    const { key, nonce } = schedule(dh, enc, x25519Raw(privateKey), Buffer.from(context.info), aead);
    const decipher = createDecipheriv(aead === 1 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce);
    decipher.setAAD(context.aad ?? EMPTY);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const plaintext = Buffer.concat([decipher.update(sealed.subarray(ENC_BYTES, -TAG_BYTES)), decipher.final()]);
    key.fill(0);
    return plaintext;
  } catch {
    throw new SealError('open-failed', 'A sealed value does not open.');
  }
}
