import { createHash, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { child, readDer, TAG } from '../der/read.ts';
import {
  bitString,
  boolean,
  element,
  integer,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  utf8String,
} from '../der/write.ts';
import { WireError } from '../error.ts';
import { publicKeyOf, signatureAlgorithm, signWith } from './algorithms.ts';
import { type Certificate, parseCertificate } from './certificate.ts';

const DAY_MS = 86_400_000;
/** Clocks of phones lag; a certificate from the future is refused by them. */
const BACKDATE_MS = 3_600_000;

export interface IssueRequest {
  /** SubjectPublicKeyInfo of the new certificate. */
  readonly spki: Uint8Array;
  /** Never a person: a device's or service's own name, 1 to 64 characters. */
  readonly commonName: string;
  readonly days: number;
  readonly usage: 'ca' | 'device' | 'registration' | 'server';
  /** Subject attribute userId, where push certificates carry their topic. */
  readonly userId?: string;
  /** Subject alternative names of a server: IPv4 addresses or DNS names. */
  readonly addresses?: readonly string[];
  /** Where the list of revoked certificates is (RFC 5280, section 4.2.1.13). */
  readonly crlUrl?: string;
  readonly now: number;
}

function name(commonName: string, organisation?: string, userId?: string): Buffer {
  const rdn = (type: string, text: string) => setOf(sequence(oid(type), utf8String(text)));
  return sequence(
    ...(organisation === undefined ? [] : [rdn('2.5.4.10', organisation)]),
    rdn('2.5.4.3', commonName),
    ...(userId === undefined ? [] : [rdn('0.9.2342.19200300.100.1.1', userId)]),
  );
}

/** Whoever holds a CA's key and signs with SHA-256; it need not be in this process. ECDSA signatures in DER. */
export type Sign = (data: Uint8Array) => Promise<Buffer>;

/** A CA whose key may be elsewhere. */
export interface Issuer {
  readonly certificate: Certificate;
  readonly sign: Sign;
}

/** Makes a self-signed CA certificate, version 3, path length 0 (RFC 5280). */
export function makeCa(key: KeyObject, options: { commonName: string; days: number; now: number }): Certificate {
  const part = ofCa(createPublicKey(key).export({ format: 'der', type: 'spki' }), options);
  return joined(part, signWith(key, 'sha256', part.tbs).signature);
}

/** The same for a key that is elsewhere. `spki`: its public half. */
export async function makeCaWith(
  spki: Uint8Array,
  sign: Sign,
  options: { commonName: string; days: number; now: number },
): Promise<Certificate> {
  const part = ofCa(spki, options);
  return joined(part, await sign(part.tbs));
}

/**
 * Issues a certificate from `ca`. Device keys must be RSA ≥ 2048 or P-256/P-384; `allowWeakRsa` admits RSA 1024, which
 * clients make when a profile names no size. Throws WireError `certificate`.
 */
export function issueCertificate(
  ca: { readonly certificate: Certificate; readonly key: KeyObject },
  request: IssueRequest,
  options: { readonly allowWeakRsa?: boolean } = {},
): Certificate {
  const part = ofDevice(ca.certificate, request, options);
  return joined(part, signWith(ca.key, 'sha256', part.tbs).signature);
}

/** The same from a CA whose key is elsewhere. */
export async function issueWith(
  ca: Issuer,
  request: IssueRequest,
  options: { readonly allowWeakRsa?: boolean } = {},
): Promise<Certificate> {
  const part = ofDevice(ca.certificate, request, options);
  return joined(part, await ca.sign(part.tbs));
}

/** A TBSCertificate with the algorithm that will sign it. */
interface Unsigned {
  readonly tbs: Buffer;
  readonly algorithm: Buffer;
}

function ofCa(spki: Uint8Array, options: { commonName: string; days: number; now: number }): Unsigned {
  const subject = name(options.commonName, 'Bartizan');
  return build({ ...options, spki, usage: 'ca' }, subject, subject, spki);
}

function ofDevice(ca: Certificate, request: IssueRequest, options: { readonly allowWeakRsa?: boolean }): Unsigned {
  const bits = publicKeyOf(request.spki).asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2048 && options.allowWeakRsa !== true) {
    throw new WireError('certificate', 'RSA keys need at least 2048 bits.');
  }
  if (request.now + request.days * DAY_MS > ca.notAfter)
    throw new WireError('certificate', 'The CA itself expires before that.');
  return build(request, name(request.commonName, undefined, request.userId), Buffer.from(ca.subject), ca.spki);
}

const joined = ({ tbs, algorithm }: Unsigned, signature: Buffer): Certificate =>
  parseCertificate(sequence(tbs, algorithm, bitString(signature)));

function build(request: IssueRequest, subject: Buffer, issuer: Buffer, issuerSpki: Uint8Array): Unsigned {
  if (request.commonName.length < 1 || request.commonName.length > 64) {
    throw new WireError('certificate', 'A common name has 1 to 64 characters.');
  }
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const algorithm = signatureAlgorithm(publicKeyOf(issuerSpki), 'sha256');
  const tbs = sequence(
    element(0xa0, integer(2)),
    integer(serial),
    algorithm,
    issuer,
    sequence(time(request.now - BACKDATE_MS), time(request.now + request.days * DAY_MS)),
    subject,
    Buffer.from(request.spki),
    element(0xa3, sequence(...extensions(request, issuerSpki))),
  );
  return { tbs, algorithm };
}

function extensions({ usage, spki, addresses, crlUrl }: IssueRequest, issuerSpki: Uint8Array): Buffer[] {
  const extension = (id: string, critical: boolean, value: Buffer) =>
    sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
  const ca = usage === 'ca';
  // keyUsage bits from the left: digitalSignature 0, keyEncipherment 2, keyCertSign 5, cRLSign 6
  const bits = ca ? bitString(Buffer.of(0x06), 1) : bitString(Buffer.of(0xa0), 5);
  return [
    extension('2.5.29.19', true, ca ? sequence(boolean(true), integer(0)) : sequence()),
    extension('2.5.29.15', true, bits),
    ...(usage === 'device' ? [extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.2')))] : []),
    ...(usage === 'server' ? [extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1')))] : []),
    ...(addresses === undefined ? [] : [extension('2.5.29.17', false, sequence(...addresses.map(generalName)))]),
    ...(crlUrl === undefined ? [] : [extension('2.5.29.31', false, distributionPoint(crlUrl))]),
    extension('2.5.29.14', false, octetString(keyId(spki))),
    extension('2.5.29.35', false, sequence(element(0x80, keyId(issuerSpki)))),
  ];
}

/** GeneralName (RFC 5280 section 4.2.1.6) of an IPv4 address or a DNS name. */
function generalName(address: string): Buffer {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  return v4 === null ? element(0x82, Buffer.from(address)) : element(0x87, Buffer.from(v4.slice(1).map(Number)));
}

/** CRLDistributionPoints with one full name. */
const distributionPoint = (url: string): Buffer =>
  sequence(sequence(element(0xa0, element(0xa0, element(0x86, Buffer.from(url, 'latin1'))))));

/** RFC 5280 section 4.2.1.2 method 1: SHA-1 of the key's bits; an identifier, not a protection. */
export function keyId(spki: Uint8Array): Buffer {
  const bits = child(readDer(spki), 1, TAG.bitString).value.subarray(1);
  return createHash('sha1').update(bits).digest();
}
