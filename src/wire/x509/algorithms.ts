import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { nullValue, oid, sequence } from '../der/write.ts';
import { WireError } from '../error.ts';

export type Digest = 'sha1' | 'sha256' | 'sha384' | 'sha512';

const DIGEST_OF: Record<string, Digest> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Signature algorithm → the digest it fixes. Plain rsaEncryption and ecPublicKey take the digest from elsewhere. */
const SIGNATURE: Record<string, { key: 'rsa' | 'ec'; digest?: Digest }> = {
  '1.2.840.113549.1.1.1': { key: 'rsa' },
  '1.2.840.113549.1.1.5': { key: 'rsa', digest: 'sha1' },
  '1.2.840.113549.1.1.11': { key: 'rsa', digest: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', digest: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', digest: 'sha512' },
  '1.2.840.10045.2.1': { key: 'ec' },
  '1.2.840.10045.4.1': { key: 'ec', digest: 'sha1' },
  '1.2.840.10045.4.3.2': { key: 'ec', digest: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', digest: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', digest: 'sha512' },
};

/** The digest that an algorithm identifier names. Throws WireError `signature` for one that we do not take. */
export function digestOf(dotted: string): Digest {
  const digest = DIGEST_OF[dotted];
  if (digest === undefined) throw new WireError('signature', 'The message uses a digest that is not accepted.');
  return digest;
}

export function digestOid(digest: Digest): string {
  return Object.entries(DIGEST_OF).find(([, name]) => name === digest)![0];
}

/** Verifies RSA PKCS#1 v1.5 or ECDSA (DER) by algorithm identifier; `digest` where the identifier leaves it open. */
export function verifyWith(
  algorithm: string,
  digest: Digest | undefined,
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  const known = SIGNATURE[algorithm];
  const hash = known?.digest ?? digest;
  if (
    known === undefined ||
    hash === undefined ||
    (known.digest !== undefined && digest !== undefined && known.digest !== digest)
  ) {
    throw new WireError('signature', 'The message uses a signature algorithm that is not accepted.');
  }
  if (key.asymmetricKeyType !== known.key) return false;
  return verify(hash, data, key, signature);
}

/** The AlgorithmIdentifier of signatures by this key, private or public: RSA or P-256/P-384. */
export function signatureAlgorithm(key: KeyObject, digest: Digest): Buffer {
  const type = key.asymmetricKeyType;
  const entry = Object.entries(SIGNATURE).find(([, value]) => value.key === type && value.digest === digest);
  if (entry === undefined)
    throw new WireError('signature', 'This key cannot sign here: use RSA or a P-256 or P-384 key.');
  return type === 'rsa' ? sequence(oid(entry[0]), nullValue()) : sequence(oid(entry[0]));
}

/** Signs with an RSA or P-256/P-384 key; returns the AlgorithmIdentifier that goes with it. */
export function signWith(key: KeyObject, digest: Digest, data: Uint8Array): { algorithm: Buffer; signature: Buffer } {
  return { algorithm: signatureAlgorithm(key, digest), signature: sign(digest, data, key) };
}

/** Imports a SubjectPublicKeyInfo; only RSA of 1024 to 4096 bits and P-256/P-384. */
export function publicKeyOf(spki: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new WireError('certificate', 'The public key cannot be read.', { cause });
  }
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  const rsa = key.asymmetricKeyType === 'rsa' && modulusLength >= 1024 && modulusLength <= 4096;
  const ec = key.asymmetricKeyType === 'ec' && (namedCurve === 'prime256v1' || namedCurve === 'secp384r1');
  if (!rsa && !ec) throw new WireError('certificate', 'The public key is of a kind that is not accepted.');
  return key;
}
