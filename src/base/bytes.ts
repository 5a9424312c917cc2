import { createHash, timingSafeEqual } from 'node:crypto';

/** Bytes to unpadded base64url (RFC 4648 section 5). */
export function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/**
 * Strict unpadded base64url to bytes: refuses padding, white space and other alphabets, so that one value
 * has exactly one spelling. Throws RangeError.
 */
export function fromBase64url(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new RangeError('not canonical base64url');
  return bytes;
}

/** SHA-256 of the concatenation of the parts, 32 bytes. */
export function sha256(...parts: (Uint8Array | string)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Constant-time comparison; false at once if the lengths differ (lengths are not secret here). */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
