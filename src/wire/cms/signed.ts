import { createHash, type KeyObject } from 'node:crypto';
import { equalBytes } from '#base';
import { child, expectTag, type Node, octets, oidOf, readDer, TAG } from '../der/read.ts';
import { element, integer, nullValue, octetString, oid, sequence, setOf } from '../der/write.ts';
import { WireError } from '../error.ts';
import { type Digest, digestOf, digestOid, signWith, verifyWith } from '../x509/algorithms.ts';
import { type Certificate, certificateKey, parseCertificate } from '../x509/certificate.ts';
import { CMS } from './oids.ts';

/** The signed attributes by object identifier: the single value of each. */
export type Attributes = ReadonlyMap<string, Node>;

/** A SignedData with exactly one signer (RFC 5652 section 5), not yet verified. */
export interface SignedMessage {
  /** Embedded content, if any. */
  readonly content: Buffer | undefined;
  readonly certificates: readonly Uint8Array[];
  readonly attributes: Attributes;
  readonly signer: Node;
}

function bad(what: string): never {
  throw new WireError('cms', `The signed message cannot be read: ${what}.`);
}

function signedData(der: Uint8Array): Node {
  const root = expectTag(readDer(der), TAG.sequence);
  if (oidOf(child(root, 0)) !== CMS.signedData) bad('it is not SignedData');
  return child(child(root, 1, 0xa0), 0, TAG.sequence);
}

/** Parses without verifying. Throws WireError. */
export function parseSigned(der: Uint8Array): SignedMessage {
  const data = signedData(der);
  const signers = expectTag(data.children.at(-1) ?? bad('it has no signers'), TAG.set).children;
  if (signers.length !== 1) bad('it must have exactly one signer');
  const signer = expectTag(signers[0]!, TAG.sequence);
  const encapsulated = child(data, 2, TAG.sequence).children[1];
  const attributes = new Map<string, Node>();
  for (const attribute of signer.children.find((node) => node.tag === 0xa0)?.children ?? []) {
    const type = oidOf(child(attribute, 0));
    const values = child(attribute, 1, TAG.set).children;
    if (values.length !== 1 || attributes.has(type)) bad('a signed attribute stands twice');
    attributes.set(type, values[0]!);
  }
  return {
    content: encapsulated === undefined ? undefined : octets(child(encapsulated, 0)),
    certificates: certificatesOf(data),
    attributes,
    signer,
  };
}

function certificatesOf(data: Node): Uint8Array[] {
  const set = data.children.find((node) => node.tag === 0xa0);
  return (set?.children ?? []).filter((node) => node.tag === TAG.sequence).map((node) => node.bytes);
}

/** The certificates of a SignedData, such as a certs-only answer. */
export function readCertificates(der: Uint8Array): Certificate[] {
  return certificatesOf(signedData(der)).map((bytes) => parseCertificate(bytes));
}

export interface VerifyOptions {
  readonly allowLegacyDigest: boolean;
  /** Told when what was verified leans on SHA-1. */
  readonly onLegacy?: () => void;
  /** Imports the signer's key; the hot path hands in a cache. */
  readonly keyOf?: (certificate: Certificate) => KeyObject;
}

/**
 * Verifies the one signature of `message` over `content` with the embedded certificate that the signer names. Says
 * nothing about trust in that certificate. Throws WireError `signature`.
 */
export function verifySigned(message: SignedMessage, content: Uint8Array, options: VerifyOptions): Certificate {
  const { signer } = message;
  const certificate = signerCertificate(message);
  const digest = digestOf(oidOf(child(child(signer, 2, TAG.sequence), 0)));
  if (digest === 'sha1' && !options.allowLegacyDigest) {
    throw new WireError('legacy', 'The message is signed with SHA-1, which is switched off here.');
  }
  const signed = signer.children.find((node) => node.tag === 0xa0);
  const rest = signer.children.slice(signed === undefined ? 3 : 4);
  const algorithm = oidOf(child(expectTag(rest[0] ?? bad('it has no algorithm'), TAG.sequence), 0));
  const signature = octets(expectTag(rest[1] ?? bad('it has no signature'), TAG.octetString));
  let covered = content;
  if (signed !== undefined) {
    const stated = message.attributes.get(CMS.messageDigest);
    const actual = createHash(digest).update(content).digest();
    if (stated === undefined || !equalBytes(octets(stated), actual)) fail();
    // RFC 5652 section 5.4: the attributes are signed as a SET, not under their context tag
    covered = Buffer.concat([Buffer.of(TAG.set), signed.bytes.subarray(1)]);
  }
  const key = (options.keyOf ?? certificateKey)(certificate);
  if (!verifyWith(algorithm, digest, covered, key, signature)) fail();
  if (digest === 'sha1') options.onLegacy?.();
  return certificate;
}

function fail(): never {
  throw new WireError('signature', 'The signature does not match the message.');
}

function signerCertificate(message: SignedMessage): Certificate {
  const id = child(message.signer, 1);
  if (message.certificates.length > 8) bad('it carries too many certificates');
  for (const bytes of message.certificates) {
    const certificate = parseCertificate(bytes);
    if (id.tag !== TAG.sequence) return bad('its signer is named in a way that is not accepted');
    const sameIssuer = Buffer.compare(child(id, 0).bytes, certificate.issuer) === 0;
    if (sameIssuer && Buffer.compare(child(id, 1, TAG.integer).value, certificate.serial) === 0) return certificate;
  }
  return bad('it does not carry its signer’s certificate');
}

/** IssuerAndSerialNumber of a certificate. */
export function issuerAndSerial(certificate: Certificate): Buffer {
  return sequence(Buffer.from(certificate.issuer), element(TAG.integer, Buffer.from(certificate.serial)));
}

export interface SignRequest {
  readonly content: Uint8Array;
  readonly certificate: Certificate;
  readonly key: KeyObject;
  /** Leaves the content out. */
  readonly detached?: boolean;
  readonly digest?: Digest;
  /** More signed attributes: object identifier and encoded value. */
  readonly attributes?: readonly (readonly [string, Buffer])[];
  /** Certificates to carry besides the signer's. */
  readonly chain?: readonly Certificate[];
}

/** Makes a SignedData over `content` with signed attributes; openssl verifies it. */
export function signCms(request: SignRequest): Buffer {
  const digest = request.digest ?? 'sha256';
  const digestAlgorithm = sequence(oid(digestOid(digest)), nullValue());
  const attribute = (type: string, value: Buffer) => sequence(oid(type), setOf(value));
  const attributes = setOf(
    attribute(CMS.contentType, oid(CMS.data)),
    attribute(CMS.messageDigest, octetString(createHash(digest).update(request.content).digest())),
    ...(request.attributes ?? []).map(([type, value]) => attribute(type, value)),
  );
  const { algorithm, signature } = signWith(request.key, digest, attributes);
  const signerInfo = sequence(
    integer(1),
    issuerAndSerial(request.certificate),
    digestAlgorithm,
    Buffer.concat([Buffer.of(0xa0), attributes.subarray(1)]),
    request.key.asymmetricKeyType === 'rsa' ? sequence(oid(CMS.rsaEncryption), nullValue()) : algorithm,
    octetString(signature),
  );
  const certificates = [request.certificate, ...(request.chain ?? [])].map((one) => Buffer.from(one.der));
  return wrap(
    sequence(
      integer(1),
      setOf(digestAlgorithm),
      sequence(oid(CMS.data), ...(request.detached ? [] : [element(0xa0, octetString(request.content))])),
      element(0xa0, ...certificates),
      setOf(signerInfo),
    ),
  );
}

/** A degenerate, certs-only SignedData (RFC 8894 section 3.4), in the given order. */
export function certsOnly(certificates: readonly Certificate[]): Buffer {
  const all = certificates.map((one) => Buffer.from(one.der));
  return wrap(sequence(integer(1), setOf(), sequence(oid(CMS.data)), element(0xa0, ...all), setOf()));
}

function wrap(data: Buffer): Buffer {
  return sequence(oid(CMS.signedData), element(0xa0, data));
}
