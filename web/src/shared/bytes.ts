import { canonicalJson, type Json } from './canonical.ts';

/** Bytes to unpadded base64url (RFC 4648 section 5). */
export function toBase64url(bytes: Uint8Array | ArrayBuffer): string {
  let text = '';
  for (const byte of bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Strict unpadded base64url to bytes: one value has one spelling. Throws RangeError. */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  const refuse = () => new RangeError('not canonical base64url');
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw refuse();
  const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(raw, (char) => char.charCodeAt(0));
  if (toBase64url(bytes) !== text) throw refuse();
  return bytes;
}

export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** SHA-256 of a value's canonical JSON: the WebAuthn challenge of a signed document. 32 bytes. */
export async function challengeOf(document: object): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(canonicalJson(document as Json))));
}

/** Any JSON value as base64url of its canonical form, for the fragment of a link. */
export const packJson = (value: unknown): string => toBase64url(utf8(canonicalJson(value as Json)));

/** The reverse of packJson. Throws on anything that is not JSON in base64url. */
export const unpackJson = (text: string): unknown =>
  JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(fromBase64url(text)));
