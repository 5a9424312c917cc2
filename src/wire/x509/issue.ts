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
import { publicKeyOf, signWith } from './algorithms.ts';
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

/** Makes a self-signed CA certificate, version 3, path length 0 (RFC 5280). */
export function makeCa(key: KeyObject, options: { commonName: string; days: number; now: number }): Certificate {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const subject = name(options.commonName, 'Bartizan');
  return build({ ...options, spki, usage: 'ca' }, subject, subject, spki, key);
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
  const bits = publicKeyOf(request.spki).asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2048 && options.allowWeakRsa !== true) {
    throw new WireError('certificate', 'RSA keys need at least 2048 bits.');
  }
  const subject = name(request.commonName, undefined, request.userId);
  const issued = build(request, subject, Buffer.from(ca.certificate.subject), ca.certificate.spki, ca.key);
  if (issued.notAfter > ca.certificate.notAfter)
    throw new WireError('certificate', 'The CA itself expires before that.');
  return issued;
}

function build(
  request: IssueRequest,
  subject: Buffer,
  issuer: Buffer,
  issuerSpki: Uint8Array,
  key: KeyObject,
): Certificate {
  if (request.commonName.length < 1 || request.commonName.length > 64) {
    throw new WireError('certificate', 'A common name has 1 to 64 characters.');
  }
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const { algorithm } = signWith(key, 'sha256', Buffer.alloc(0));
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
  const { signature } = signWith(key, 'sha256', tbs);
  return parseCertificate(sequence(tbs, algorithm, bitString(signature)));
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
