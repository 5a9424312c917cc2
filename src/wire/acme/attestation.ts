import { sha256 } from '#base';
import { readCbor } from '../cbor/read.ts';
import { readDer, TAG } from '../der/read.ts';
import { WireError } from '../error.ts';
import { type Certificate, parseCertificate, verifyIssuedBy } from '../x509/certificate.ts';
import { type Extension, extensionsOf, isWeak, mayIssue } from './extensions.ts';

/** Apple's extensions in the leaf of an attestation (Platform Security guide, "Managed Device Attestation"). */
const APPLE_OIDS = {
  serial: '1.2.840.113635.100.8.9.1',
  udid: '1.2.840.113635.100.8.9.2',
  softwareUpdateId: '1.2.840.113635.100.8.9.4',
  osVersion: '1.2.840.113635.100.8.10.1',
  sepOsVersion: '1.2.840.113635.100.8.10.2',
  llbVersion: '1.2.840.113635.100.8.10.3',
  freshness: '1.2.840.113635.100.8.11.1',
  sipStatus: '1.2.840.113635.100.8.13.1',
  secureBoot: '1.2.840.113635.100.8.13.2',
  kextsAllowed: '1.2.840.113635.100.8.13.3',
} as const;

/** What Apple's servers vouch for. A member is missing where Apple left the extension out or empty. */
export interface AttestedFacts {
  readonly serial?: string;
  readonly udid?: string;
  readonly softwareUpdateId?: string;
  readonly osVersion?: string;
  readonly sepOsVersion?: string;
  readonly llbVersion?: string;
  readonly secureBoot?: string;
  /** Integers of Macs: 0 is the strict setting. */
  readonly sipStatus?: string;
  readonly kextsAllowed?: string;
}

export interface Attestation {
  readonly facts: AttestedFacts;
  /** SHA-256 of the challenge's token, or the nonce of a DeviceInformation query. */
  readonly freshness: Buffer | undefined;
  /** SubjectPublicKeyInfo of the attested key, which sits in the device's Secure Enclave. */
  readonly spki: Uint8Array;
  readonly leaf: Certificate;
  /** As it came, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly root: Certificate;
}

const MAX_CHAIN = 4;
const MAX_CERTIFICATE = 8 * 1024;

function bad(what: string): never {
  throw new WireError('attestation', what);
}

/**
 * Takes an attestation object apart: CBOR `{fmt: "apple", attStmt: {x5c: [leaf, …]}}` (draft-acme-device-attest section 5,
 * WebAuthn section 6.5.4). Returns the certificates, leaf first. Throws WireError `cbor` or `attestation`.
 */
export function parseAttestationObject(bytes: Uint8Array): readonly Uint8Array[] {
  const object = readCbor(bytes, { maxBytes: 48 * 1024, maxDepth: 6, maxItems: 64 });
  if (!(object instanceof Map)) return bad('The attestation object is not a map.');
  if (object.get('fmt') !== 'apple') return bad('The attestation is of a format that is not accepted; "apple" is.');
  const statement: unknown = object.get('attStmt');
  const x5c: unknown = statement instanceof Map ? statement.get('x5c') : undefined;
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > MAX_CHAIN)
    return bad('The attestation has no certificate chain.');
  return x5c.map((one: unknown) =>
    one instanceof Uint8Array && one.length <= MAX_CERTIFICATE ? one : bad('The attestation has no certificate chain.'),
  );
}

/**
 * Verifies a chain of certificates, leaf first, against the roots that this installation trusts for attestation, at `now`
 * (milliseconds), and reads what the leaf says. Throws WireError `attestation`; without roots nothing can be verified.
 */
export function verifyAttestation(
  chain: readonly Uint8Array[],
  roots: readonly Certificate[],
  now: number,
): Attestation {
  if (roots.length === 0) return bad('No attestation root is set, so no attestation can be verified.');
  const parsed = chain.slice(0, MAX_CHAIN).map(readCertificate);
  const [leaf] = parsed;
  if (leaf === undefined || leaf.isCa) return bad('The attestation has no leaf certificate.');
  const root = rootOf(parsed, roots, now);
  const extensions = extensionsOf(leaf);
  const facts: Record<string, string> = {};
  for (const [name, oid] of Object.entries(APPLE_OIDS)) {
    if (name === 'freshness') continue;
    const value = textOf(extensions.get(oid));
    if (value !== undefined) facts[name] = value;
  }
  return { facts, freshness: freshnessOf(extensions.get(APPLE_OIDS.freshness)), spki: leaf.spki, leaf, chain, root };
}

function readCertificate(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    throw new WireError('attestation', 'A certificate of the attestation cannot be read.', { cause });
  }
}

/** Walks from the leaf to a trusted root; every link must hold, in names, signature, dates and the right to issue. */
function rootOf(chain: readonly Certificate[], roots: readonly Certificate[], now: number): Certificate {
  for (const [index, certificate] of chain.entries()) {
    if (index > 0 && roots.some((root) => root.sha256.equals(certificate.sha256))) return certificate;
    const next = chain[index + 1];
    const issuer = next ?? roots.find((root) => issues(root, certificate, index, now));
    if (issuer === undefined || !issues(issuer, certificate, index, now))
      return bad('The attestation does not lead to an attestation root that is trusted here.');
    if (next === undefined) return issuer;
  }
  return bad('The attestation has no certificate chain.');
}

/** `below`: how many CA certificates stand between the issuer and the leaf. */
function issues(issuer: Certificate, certificate: Certificate, below: number, now: number): boolean {
  try {
    return (
      now >= issuer.notBefore &&
      now <= issuer.notAfter &&
      !isWeak(certificate) &&
      mayIssue(issuer, below) &&
      verifyIssuedBy(certificate, issuer, now)
    );
  } catch {
    return false;
  }
}

/**
 * Apple writes the plain bytes of a text as the extension's value; some clients wrap them in a DER string. Macs' settings
 * are DER integers. A text that no serial or version could be is not taken.
 */
function textOf(extension: Extension | undefined): string | undefined {
  if (extension === undefined || extension.value.length === 0) return undefined;
  let bytes = extension.value;
  const der = [TAG.utf8String, TAG.printableString, TAG.ia5String, TAG.octetString, TAG.integer] as readonly number[];
  if (der.includes(bytes[0]!)) {
    try {
      const node = readDer(bytes);
      if (node.tag === TAG.integer) return String(Buffer.from(node.value).readIntBE(0, Math.min(6, node.value.length)));
      bytes = node.value;
    } catch {
      return undefined;
    }
  }
  const text = Buffer.from(bytes).toString('latin1');
  return /^[\x20-\x7e]{1,64}$/.test(text) ? text : undefined;
}

/** 32 bytes as they are, or in a DER OCTET STRING; the length tells which. */
function freshnessOf(extension: Extension | undefined): Buffer | undefined {
  const value = extension === undefined ? undefined : Buffer.from(extension.value);
  if (value?.length === 34 && value[0] === TAG.octetString && value[1] === 32) return value.subarray(2);
  return value === undefined || value.length === 0 || value.length > 64 ? undefined : value;
}

/** What the freshness code of an ACME attestation must be: SHA-256 of the challenge's token, as ASCII. */
export const freshnessFor = (token: string): Buffer => sha256(token);
