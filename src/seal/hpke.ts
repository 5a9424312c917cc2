import { createCipheriv, createDecipheriv, createHmac, diffieHellman, type KeyObject } from 'node:crypto';
import { SealError } from './errors.ts';
import { freshKey, type Kem, kemOf, kemOfKey, packPoint, publicOf, rawPublic, unpackPoint } from './kem.ts';

// HPKE, RFC 9180: base mode (and auth mode between X25519 keys), single shot, HKDF-SHA256 0x0001, DHKEM(X25519, HKDF-SHA256) 0x0020 or, for keys in tokens,
// DHKEM(P-256, HKDF-SHA256) 0x0010: which one it is, the recipient's public key says by its length.
// AEAD 2 (AES-256-GCM) is what the product uses; AEAD 1 (AES-128-GCM) exists for the RFC's test vectors.
const KEM_ID: { readonly [kem in Kem]: number } = { x25519: 0x20, p256: 0x10 };
const KEY_BYTES = { 1: 16, 2: 32 } as const;
const CIPHER = { 1: 'aes-128-gcm', 2: 'aes-256-gcm' } as const;
type Aead = keyof typeof KEY_BYTES;

const EMPTY = Buffer.alloc(0);
/** Length of the encapsulated key as we write it, bytes: an X25519 key, or the x-coordinate of a P-256 point with an even y. */
const ENC_BYTES = 32;
/** Length of the AEAD tag, bytes. */
const TAG_BYTES = 16;

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

/** Who takes part: `sender` is the public key of whoever sealed in auth mode (RFC 9180 section 5.1.3). */
interface Parties {
  readonly enc: Uint8Array;
  readonly recipient: Uint8Array;
  readonly sender?: Uint8Array;
}

/** RFC 9180 sections 4.1 and 5.1. Wipes `dh`. */
function schedule(kem: Kem, dh: Buffer, { enc, recipient, sender }: Parties, context: HpkeContext) {
  const aead = context.aead ?? 2;
  const kemSuite = Buffer.from([0x4b, 0x45, 0x4d, 0, KEM_ID[kem]]);
  const eaePrk = labeledExtract(kemSuite, EMPTY, 'eae_prk', dh);
  const keys = Buffer.concat([enc, recipient, sender ?? EMPTY]);
  const shared = labeledExpand(kemSuite, eaePrk, 'shared_secret', keys, 32);
  const suite = Buffer.from([0x48, 0x50, 0x4b, 0x45, 0, KEM_ID[kem], 0, 1, 0, aead]);
  const pskIdHash = labeledExtract(suite, EMPTY, 'psk_id_hash', EMPTY);
  const infoHash = labeledExtract(suite, EMPTY, 'info_hash', Buffer.from(context.info));
  const mode = sender === undefined ? 0 : 2;
  const hashes = Buffer.concat([Buffer.from([mode]), pskIdHash, infoHash]);
  const secret = labeledExtract(suite, shared, 'secret', EMPTY);
  const key = labeledExpand(suite, secret, 'key', hashes, KEY_BYTES[aead]);
  const nonce = labeledExpand(suite, secret, 'base_nonce', hashes, 12);
  for (const used of [dh, eaePrk, shared, secret]) used.fill(0);
  return { key, nonce, cipher: CIPHER[aead], aad: context.aad ?? EMPTY };
}

/** What the message is about (`info`), and which labels it is bound to (`aad`). */
export interface HpkeContext {
  readonly info: string | Uint8Array;
  readonly aad?: Uint8Array;
  /** AEAD id of RFC 9180 section 7.3. Default 2. */
  readonly aead?: Aead;
}

/**
 * The RFC's own form (section 6.1): the serialised encapsulated key (32 bytes, for P-256 65) apart from ciphertext ‖ tag.
 * `ephemeral` is for test vectors only. Throws SealError `key` for a recipient that is no usable public key.
 */
export function hpkeSealParts(
  recipient: Uint8Array,
  plaintext: Uint8Array,
  context: HpkeContext,
  ephemeral?: KeyObject,
): { readonly enc: Buffer; readonly ct: Buffer } {
  const kem = kemOf(recipient);
  const own = ephemeral ?? freshKey(kem);
  const enc = rawPublic(own);
  let dh: Buffer;
  try {
    dh = diffieHellman({ privateKey: own, publicKey: publicOf(recipient) });
  } catch (cause) {
    throw new SealError('key', 'This public key cannot be sealed to.', { cause });
  }
  return { enc, ct: sealShared(kem, dh, { enc, recipient }, plaintext, context) };
}

function sealShared(kem: Kem, dh: Buffer, parties: Parties, plaintext: Uint8Array, context: HpkeContext): Buffer {
  const { key, nonce, cipher: name, aad } = schedule(kem, dh, parties, context);
  const cipher = createCipheriv(name, key, nonce);
  cipher.setAAD(aad);
  const ct = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return ct;
}

const shut = () => new SealError('open-failed', 'A sealed value does not open.');

/** Opens the RFC's own form with a private key. Throws SealError `open-failed`, never says why. */
export function hpkeOpenParts(privateKey: KeyObject, enc: Uint8Array, ct: Uint8Array, context: HpkeContext): Buffer {
  let dh: Buffer;
  let recipient: Buffer;
  try {
    if (kemOf(enc) !== kemOfKey(privateKey)) throw shut();
    recipient = rawPublic(privateKey);
    // RFC 9180 section 7.1.4: OpenSSL refuses an all-zero X25519 result, and P-256 points that are not on the curve.
    dh = diffieHellman({ privateKey, publicKey: publicOf(enc) });
  } catch {
    throw shut();
  }
  return openShared(dh, { enc, recipient }, ct, context);
}

function openShared(dh: Buffer, parties: Parties, ct: Uint8Array, context: HpkeContext): Buffer {
  if (ct.byteLength < TAG_BYTES) throw shut();
  const { key, nonce, cipher: name, aad } = schedule(kemOf(parties.recipient), dh, parties, context);
  try {
    const decipher = createDecipheriv(name, key, nonce);
    decipher.setAAD(aad);
    decipher.setAuthTag(ct.subarray(-TAG_BYTES));
    // In this mode the plaintext is whole before the tag is checked; it is in one piece, so that its owner can wipe it.
    const plaintext = decipher.update(ct.subarray(0, -TAG_BYTES));
    decipher.final();
    return plaintext;
  } catch {
    throw shut();
  } finally {
    key.fill(0);
  }
}

/**
 * Seals one message to a raw public key: X25519 (32 bytes) or P-256 (65). Returns enc (32) ‖ ciphertext ‖ tag (16), of one
 * size for both: the ephemeral P-256 key is chosen so that its x-coordinate says all.
 */
export function hpkeSeal(recipient: Uint8Array, plaintext: Uint8Array, context: HpkeContext): Buffer {
  const { enc, ct } = hpkeSealParts(recipient, plaintext, context);
  return Buffer.concat([packPoint(enc), ct]);
}

/** The encapsulated key of what `hpkeSeal` made, as the RFC serialises it. Throws SealError `open-failed`. */
export function hpkeEnc(kem: Kem, sealed: Uint8Array): Buffer {
  if (sealed.byteLength < ENC_BYTES + TAG_BYTES) throw shut();
  return unpackPoint(kem, sealed.subarray(0, ENC_BYTES)) ?? raise();
}

const raise = (): never => {
  throw shut();
};

/** Opens what `hpkeSeal` made with the recipient's private key. Throws SealError `open-failed`, never says why. */
export function hpkeOpen(privateKey: KeyObject, sealed: Uint8Array, context: HpkeContext): Buffer {
  const enc = hpkeEnc(kemOfKey(privateKey), sealed);
  return hpkeOpenParts(privateKey, enc, sealed.subarray(ENC_BYTES), context);
}

/**
 * The same for a private key that is elsewhere: `dh` is the shared secret (32 bytes; for P-256 the x-coordinate, RFC 9180
 * section 7.1.2) that its holder derived from `hpkeEnc`, `recipient` its public key. Wipes `dh`. Throws SealError `open-failed`.
 */
export function hpkeOpenDerived(dh: Buffer, recipient: Uint8Array, sealed: Uint8Array, context: HpkeContext): Buffer {
  const enc = hpkeEnc(kemOf(recipient), sealed);
  if (dh.length !== 32 || dh.every((byte) => byte === 0)) throw shut();
  return openShared(dh, { enc, recipient }, sealed.subarray(ENC_BYTES), context);
}

/** Seals as `hpkeSeal` does, in auth mode between X25519 keys: it opens only as a message of `sender`. */
export function hpkeSealAuth(
  recipient: Uint8Array,
  sender: KeyObject,
  plaintext: Uint8Array,
  context: HpkeContext,
  ephemeral?: KeyObject,
): Buffer {
  const own = ephemeral ?? freshKey('x25519');
  const enc = rawPublic(own);
  const publicKey = publicOf(recipient);
  const secrets = [own, sender].map((privateKey) => diffieHellman({ privateKey, publicKey }));
  const dh = Buffer.concat(secrets);
  for (const secret of secrets) secret.fill(0);
  const parties = { enc, recipient, sender: rawPublic(sender) };
  return Buffer.concat([enc, sealShared('x25519', dh, parties, plaintext, context)]);
}

/** Opens what `hpkeSealAuth` made, if this sender sealed it. Throws SealError `open-failed`, never says why. */
export function hpkeOpenAuth(
  privateKey: KeyObject,
  sender: Uint8Array,
  sealed: Uint8Array,
  context: HpkeContext,
): Buffer {
  const enc = hpkeEnc('x25519', sealed);
  let dh: Buffer;
  try {
    const secrets = [enc, sender].map((raw) => diffieHellman({ privateKey, publicKey: publicOf(raw) }));
    dh = Buffer.concat(secrets);
    for (const secret of secrets) secret.fill(0);
  } catch {
    throw shut();
  }
  return openShared(dh, { enc, recipient: rawPublic(privateKey), sender }, sealed.subarray(ENC_BYTES), context);
}
