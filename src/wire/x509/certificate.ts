import { type KeyObject, verify } from 'node:crypto';
import { sha256 } from '#base';
import { child, expectTag, type Node, oidOf, readDer, TAG, textOf, timeOf } from '../der/read.ts';
import { WireError } from '../error.ts';
import { publicKeyOf, verifyWith } from './algorithms.ts';

/** What we read of a certificate (RFC 5280 section 4.1). */
export interface Certificate {
  readonly der: Uint8Array;
  /** SHA-256 of the whole certificate. */
  readonly sha256: Buffer;
  /** INTEGER contents, big-endian. */
  readonly serial: Uint8Array;
  /** Complete Name elements, for comparing and for IssuerAndSerialNumber. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string | undefined;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isCa: boolean;
  readonly tbs: Uint8Array;
  readonly algorithm: string;
  readonly signature: Uint8Array;
}

/** Parses one certificate. Throws WireError `der` or `certificate`. */
export function parseCertificate(der: Uint8Array): Certificate {
  const root = expectTag(readDer(der), TAG.sequence);
  const tbs = child(root, 0, TAG.sequence);
  // version [0] is absent in version 1 certificates; those are refused, ours and phones' are version 3
  child(tbs, 0, 0xa0);
  const validity = child(tbs, 4, TAG.sequence);
  const signature = child(root, 2, TAG.bitString).value;
  if (signature[0] !== 0) throw new WireError('certificate', 'The certificate cannot be read.');
  return {
    der,
    sha256: sha256(der),
    serial: child(tbs, 1, TAG.integer).value,
    issuer: child(tbs, 3, TAG.sequence).bytes,
    subject: child(tbs, 5, TAG.sequence).bytes,
    commonName: commonNameOf(child(tbs, 5, TAG.sequence)),
    spki: child(tbs, 6, TAG.sequence).bytes,
    notBefore: timeOf(child(validity, 0)),
    notAfter: timeOf(child(validity, 1)),
    isCa: hasCaFlag(tbs),
    tbs: tbs.bytes,
    algorithm: oidOf(child(child(root, 1, TAG.sequence), 0)),
    signature: signature.subarray(1),
  };
}

/** The last common name of a Name, or undefined. */
function commonNameOf(name: Node): string | undefined {
  let found: string | undefined;
  for (const rdn of name.children) {
    for (const pair of rdn.children) {
      if (pair.children.length === 2 && oidOf(child(pair, 0)) === '2.5.4.3') found = textOf(child(pair, 1));
    }
  }
  return found;
}

function hasCaFlag(tbs: Node): boolean {
  const wrapper = tbs.children.find((node) => node.tag === 0xa3);
  for (const extension of wrapper?.children[0]?.children ?? []) {
    if (oidOf(child(extension, 0)) !== '2.5.29.19') continue;
    const value = extension.children.at(-1);
    if (value === undefined || value.tag !== TAG.octetString) continue;
    const flag = readDer(value.value).children[0];
    return flag !== undefined && flag.tag === TAG.boolean && flag.value[0] !== 0;
  }
  return false;
}

/** True if `certificate` is signed by `issuer`, which must be a CA with that name, and is valid at `now` (milliseconds). */
export function verifyIssuedBy(certificate: Certificate, issuer: Certificate, now: number): boolean {
  if (!issuer.isCa || Buffer.compare(certificate.issuer, issuer.subject) !== 0) return false;
  if (now < certificate.notBefore || now > certificate.notAfter) return false;
  return verifyWith(certificate.algorithm, undefined, certificate.tbs, publicKeyOf(issuer.spki), certificate.signature);
}

/** Whether the certificate's key made this SHA-256 signature over `data`. */
export function verifySignature(certificate: Certificate, data: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyOf(certificate.spki);
  return verify('sha256', data, key, signature);
}

/** The certificate's public key, imported. */
export function certificateKey(certificate: Certificate): KeyObject {
  return publicKeyOf(certificate.spki);
}

export function toPem(label: 'CERTIFICATE' | 'CERTIFICATE REQUEST', der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The first PEM block of a text, decoded. Throws WireError `certificate`. */
export function fromPem(text: string): Buffer {
  const match = /-----BEGIN [A-Z ]+-----([A-Za-z0-9+/=\s]+)-----END [A-Z ]+-----/.exec(text);
  if (match === null) throw new WireError('certificate', 'The text is not PEM.');
  return Buffer.from(match[1]!, 'base64');
}
