import type { KeyObject } from 'node:crypto';
import { decryptEnvelope } from '../cms/enveloped.ts';
import { WireError } from '../error.ts';
import type { Certificate } from '../x509/certificate.ts';

/** What opens the device assignment service: OAuth 1.0a credentials with an end. A secret from the first byte to the last. */
export interface ServerToken {
  readonly consumerKey: string;
  readonly consumerSecret: string;
  readonly accessToken: string;
  readonly accessSecret: string;
  /** Milliseconds. */
  readonly notAfter: number;
}

const MAX_BYTES = 64 * 1024;

function bad(what: string): never {
  throw new WireError('ade-token', `The server token cannot be used: ${what}.`);
}

/**
 * Opens the server token that Apple Business Manager hands out: S/MIME (RFC 8551) with an EnvelopedData to the certificate
 * that was uploaded there; inside, a MIME part with JSON between BEGIN and END MESSAGE. Throws WireError.
 */
export function openServerToken(
  file: Uint8Array,
  recipient: { readonly certificate: Certificate; readonly key: KeyObject },
): ServerToken {
  if (file.length > MAX_BYTES) bad('it is too long');
  let plain: Buffer;
  try {
    plain = decryptEnvelope(smimeBody(file), recipient, { allowLegacyCiphers: true });
  } catch (cause) {
    if (cause instanceof WireError && cause.code === 'ade-token') throw cause;
    throw new WireError('ade-token', 'The server token is not encrypted to this server’s certificate.', { cause });
  }
  const json = /-----BEGIN MESSAGE-----([\s\S]*?)-----END MESSAGE-----/.exec(plain.toString('utf8'))?.[1];
  if (json === undefined) bad('it holds no message');
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return bad('its message is not JSON');
  }
  const text = (name: string): string => {
    const member = value[name];
    if (typeof member !== 'string' || !/^[\x21-\x7e]{1,512}$/.test(member)) return bad(`${name} is missing`);
    return member;
  };
  const notAfter = Date.parse(text('access_token_expiry'));
  if (Number.isNaN(notAfter)) bad('its end is not a time');
  return {
    consumerKey: text('consumer_key'),
    consumerSecret: text('consumer_secret'),
    accessToken: text('access_token'),
    accessSecret: text('access_secret'),
    notAfter,
  };
}

/** The CMS bytes of an S/MIME message, of bare base64, of PEM or of DER. */
function smimeBody(file: Uint8Array): Buffer {
  if (file[0] === 0x30) return Buffer.from(file);
  const text = Buffer.from(file).toString('latin1');
  const split = /\r?\n\r?\n/.exec(text);
  const body =
    split !== null && /^[\w-]+:/.test(text) ? text.slice(split.index) : text.replace(/-----[A-Z0-9 ]+-----/g, '');
  const base64 = body.replace(/\s+/g, '');
  if (base64.length === 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) bad('it is not an S/MIME message');
  return Buffer.from(base64, 'base64');
}
