import { child, oidOf, readDer, TAG } from '../der/read.ts';
import { WireError } from '../error.ts';
import type { Certificate } from '../x509/certificate.ts';

export interface Extension {
  readonly critical: boolean;
  /** Contents of extnValue. */
  readonly value: Uint8Array;
}

/** The extensions of a certificate by object identifier (RFC 5280 section 4.2). One that occurs twice is refused. */
export function extensionsOf(certificate: Certificate): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  const wrapper = readDer(certificate.tbs).children.find((node) => node.tag === 0xa3);
  for (const extension of wrapper?.children[0]?.children ?? []) {
    const oid = oidOf(child(extension, 0));
    const value = extension.children.at(-1);
    const flag = extension.children.length > 2 ? child(extension, 1, TAG.boolean) : undefined;
    if (value?.tag !== TAG.octetString || found.has(oid)) {
      throw new WireError('certificate', 'The extensions of the certificate cannot be read.');
    }
    found.set(oid, { critical: flag !== undefined && flag.value[0] !== 0, value: value.value });
  }
  return found;
}

/** Critical extensions that we act on; another one forbids the certificate (RFC 5280 section 4.2). */
const KNOWN = new Set(['2.5.29.15', '2.5.29.19']);
const SHA1 = new Set(['1.2.840.113549.1.1.5', '1.2.840.10045.4.1']);

/** Signed over a digest for which collisions can be made. */
export const isWeak = (certificate: Certificate): boolean => SHA1.has(certificate.algorithm);

/**
 * Whether a CA certificate may stand in a chain with `below` CA certificates between it and the leaf: keyCertSign if it
 * limits its key's usage, its path length, and nothing critical that we do not understand.
 */
export function mayIssue(issuer: Certificate, below: number): boolean {
  if (!issuer.isCa) return false;
  const extensions = extensionsOf(issuer);
  for (const [oid, { critical }] of extensions) if (critical && !KNOWN.has(oid)) return false;
  const usage = extensions.get('2.5.29.15');
  // keyCertSign is bit 5 from the left
  if (usage !== undefined && ((readDer(usage.value).value[1] ?? 0) & 0x04) === 0) return false;
  const limit = readDer(extensions.get('2.5.29.19')!.value).children.find((node) => node.tag === TAG.integer);
  return limit === undefined || Buffer.from(limit.value).readUIntBE(0, Math.min(6, limit.value.length)) >= below;
}
