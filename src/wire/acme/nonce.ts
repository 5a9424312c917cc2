import { createHmac, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { equalBytes } from '#base';

/** Milliseconds that a nonce stays good; as long as spent ones must be remembered. */
const NONCE_TTL_MS = 15 * 60_000;
const TAG = 16;

/** The key for nonces, made of a private key that all workers of edge share. */
export function nonceKey(key: KeyObject): Uint8Array {
  const secret = key.export({ format: 'der', type: 'pkcs8' });
  return new Uint8Array(hkdfSync('sha256', secret, '', 'bartizan acme nonce v1', 32));
}

const tag = (key: Uint8Array, body: Uint8Array) => createHmac('sha256', key).update(body).digest().subarray(0, TAG);

/**
 * A nonce that says itself that it is ours and when it was made (RFC 8555 section 6.5): 6 bytes of milliseconds, 16 random
 * bytes, 16 bytes of HMAC-SHA-256. Giving one out writes nothing; only spending one does.
 */
export function makeNonce(key: Uint8Array, now: number): string {
  const body = randomBytes(22);
  body.writeUIntBE(now, 0, 6);
  return Buffer.concat([body, tag(key, body)]).toString('base64url');
}

/** The bytes of a nonce of ours that is not too old, or undefined. Whether it was spent before is the database's to say. */
export function readNonce(key: Uint8Array, text: string, now: number): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]{51}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  const body = bytes.subarray(0, 22);
  if (bytes.toString('base64url') !== text || !equalBytes(tag(key, body), bytes.subarray(22))) return undefined;
  const age = now - body.readUIntBE(0, 6);
  return age >= -1_000 && age <= NONCE_TTL_MS ? body : undefined;
}
