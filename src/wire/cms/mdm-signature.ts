import type { KeyObject } from 'node:crypto';
import { WireError } from '../error.ts';
import { type Certificate, certificateKey } from '../x509/certificate.ts';
import { parseSigned, type VerifyOptions, verifySigned } from './signed.ts';

/** Base64 of a SignedData with one RSA-4096 certificate stays far below this. */
const MAX_HEADER = 12_000;
const CACHE = 4_096;

/** Imported public keys by certificate hash; the oldest goes first. Importing costs more than verifying. */
const keys = new Map<string, KeyObject>();

function cachedKey(certificate: Certificate): KeyObject {
  const id = certificate.sha256.toString('latin1');
  const known = keys.get(id);
  if (known !== undefined) return known;
  const key = certificateKey(certificate);
  if (keys.size >= CACHE) keys.delete(keys.keys().next().value!);
  keys.set(id, key);
  return key;
}

/**
 * Verifies an `Mdm-Signature` header: base64 CMS over the HTTP body, detached or attached; what is embedded is ignored.
 * Returns the signer's certificate, which the caller must still trust and pin. Throws WireError.
 */
export function verifyMdmSignature(
  header: string,
  body: Uint8Array,
  options: Pick<VerifyOptions, 'allowLegacyDigest' | 'onLegacy'>,
): Certificate {
  const compact = header.replace(/\s+/g, '');
  if (compact.length === 0 || compact.length > MAX_HEADER || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) {
    throw new WireError('signature', 'The Mdm-Signature header is missing or malformed.');
  }
  const message = parseSigned(Buffer.from(compact, 'base64'));
  return verifySigned(message, body, { ...options, keyOf: cachedKey });
}
