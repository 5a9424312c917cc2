import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import {
  children,
  context,
  type DerNode,
  int,
  nil,
  octets,
  oid,
  readDer,
  readOid,
  seq,
  setOf,
  tlv,
  utcTime,
} from './der.ts';

const DATA = '1.2.840.113549.1.7.1';
const SIGNED = '1.2.840.113549.1.7.2';
const ENVELOPED = '1.2.840.113549.1.7.3';
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_TIME = '1.2.840.113549.1.9.5';
const RSA = '1.2.840.113549.1.1.1';
const DIGESTS = { sha1: '1.3.14.3.2.26', sha256: '2.16.840.1.101.3.4.2.1' } as const;
const ECDSA = { sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2' } as const;
const CIPHERS = {
  'aes-128-cbc': { oid: '2.16.840.1.101.3.4.1.2', key: 16, iv: 16 },
  'aes-256-cbc': { oid: '2.16.840.1.101.3.4.1.42', key: 32, iv: 16 },
  'des-ede3-cbc': { oid: '1.2.840.113549.3.7', key: 24, iv: 8 },
  // Single DES, as many client libraries still send it: run through triple DES with one key three times.
  'des-cbc': { oid: '1.3.14.3.2.7', key: 8, iv: 8 },
} as const;
export type Digest = keyof typeof DIGESTS;
export type Cipher = keyof typeof CIPHERS;

function runtimeCipher(cipher: Cipher, key: Buffer): [string, Buffer] {
  return cipher === 'des-cbc' ? ['des-ede3-cbc', Buffer.concat([key, key, key])] : [cipher, key];
}

/** IssuerAndSerialNumber of a certificate (RFC 5652 section 10.2.4). */
function issuerAndSerial(certificate: Buffer): Buffer {
  const tbs = children(children(readDer(certificate))[0]!);
  const shift = tbs[0]!.tag === 0xa0 ? 1 : 0;
  return seq(tbs[shift + 2]!.raw, tbs[shift]!.raw);
}

const attribute = (type: string, value: Uint8Array) => seq(oid(type), setOf(value));

export interface SignOptions {
  readonly certificate: Buffer;
  readonly key: KeyObject;
  readonly digest?: Digest;
  /** Content inside the message; default is detached. */
  readonly attached?: boolean;
  /** Further signed attributes, as encoded values by dotted type. */
  readonly attributes?: readonly (readonly [type: string, value: Uint8Array])[];
}

/** CMS SignedData with one signer (RFC 5652 section 5). */
export function signCms(content: Uint8Array, options: SignOptions): Buffer {
  const digest = options.digest ?? 'sha256';
  const attributes = [
    attribute(CONTENT_TYPE, oid(DATA)),
    attribute(SIGNING_TIME, utcTime(new Date())),
    attribute(MESSAGE_DIGEST, octets(createHash(digest).update(content).digest())),
    ...(options.attributes ?? []).map(([type, value]) => attribute(type, value)),
  ];
  const signed = setOf(...attributes);
  const algorithm = seq(oid(DIGESTS[digest]), nil());
  const signatureAlgorithm = options.key.asymmetricKeyType === 'rsa' ? seq(oid(RSA), nil()) : seq(oid(ECDSA[digest]));
  const signer = seq(
    int(1),
    issuerAndSerial(options.certificate),
    algorithm,
    tlv(0xa0, readDer(signed).body),
    signatureAlgorithm,
    octets(sign(digest, signed, options.key)),
  );
  const body = options.attached ? seq(oid(DATA), context(0, octets(content))) : seq(oid(DATA));
  const data = seq(int(1), setOf(algorithm), body, context(0, options.certificate), setOf(signer));
  return seq(oid(SIGNED), context(0, data));
}

/** CMS EnvelopedData for one RSA recipient, key transport RSAES-PKCS1-v1_5 (RFC 5652 section 6). */
export function encryptCms(content: Uint8Array, recipient: Buffer, cipher: Cipher): Buffer {
  const { oid: type, key: keySize, iv: ivSize } = CIPHERS[cipher];
  const key = randomBytes(keySize);
  const iv = randomBytes(ivSize);
  const [name, fullKey] = runtimeCipher(cipher, key);
  const engine = createCipheriv(name, fullKey, iv);
  const encrypted = Buffer.concat([engine.update(content), engine.final()]);
  const wrapped = publicEncrypt(
    { key: new X509Certificate(recipient).publicKey, padding: constants.RSA_PKCS1_PADDING },
    key,
  );
  const to = seq(int(0), issuerAndSerial(recipient), seq(oid(RSA), nil()), octets(wrapped));
  const data = seq(int(0), setOf(to), seq(oid(DATA), seq(oid(type), octets(iv)), tlv(0x80, encrypted)));
  return seq(oid(ENVELOPED), context(0, data));
}

function contentInfo(bytes: Buffer, expected: string): DerNode[] {
  const [type, wrapped] = children(readDer(bytes));
  if (!type || !wrapped || readOid(type) !== expected) throw new SyntaxError('not the expected kind of CMS message');
  return children(readDer(wrapped.body));
}

/** Opens EnvelopedData with the recipient's RSA key. Throws on anything malformed. */
export function decryptCms(bytes: Buffer, key: KeyObject): Buffer {
  const data = contentInfo(bytes, ENVELOPED);
  const [recipients, content] = data.filter((node) => node.tag === 0x31 || node.tag === 0x30);
  const recipient = children(children(recipients!)[0]!);
  const [, algorithm, body] = children(content!);
  const [type, parameters] = children(algorithm!);
  const cipher = (Object.keys(CIPHERS) as Cipher[]).find((name) => CIPHERS[name].oid === readOid(type!));
  if (cipher === undefined) throw new SyntaxError('unknown content cipher');
  const unwrapped = privateDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, recipient[3]!.body);
  const [name, fullKey] = runtimeCipher(cipher, unwrapped);
  const engine = createDecipheriv(name, fullKey, parameters!.body);
  const encrypted = body!.tag === 0x80 ? body!.body : Buffer.concat(children(body!).map((part) => part.body));
  return Buffer.concat([engine.update(encrypted), engine.final()]);
}

export interface SignedMessage {
  readonly certificates: readonly Buffer[];
  readonly content: Buffer;
  /** Signed attributes of the only signer: encoded value by dotted type. Empty for a degenerate message. */
  readonly attributes: ReadonlyMap<string, DerNode>;
  /** True if the signature holds under one of `trusted`, else under an embedded certificate. */
  signedBy(certificate: Buffer): boolean;
}

/** Takes SignedData apart; degenerate messages (no signer, RFC 8894 section 3.4) give certificates only. */
export function readSigned(bytes: Buffer): SignedMessage {
  const [, , encapsulated, ...rest] = contentInfo(bytes, SIGNED);
  const inner = children(encapsulated!)[1];
  const wrapper = inner === undefined ? undefined : readDer(inner.body);
  const content =
    wrapper === undefined
      ? Buffer.alloc(0)
      : wrapper.tag === 0x24
        ? Buffer.concat(children(wrapper).map((part) => part.body))
        : wrapper.body;
  const embedded = rest.find((node) => node.tag === 0xa0);
  const certificates = embedded === undefined ? [] : children(embedded).map((node) => node.raw);
  const signers = rest.filter((node) => node.tag === 0x31).flatMap((node) => children(node));
  const signer = signers[0] === undefined ? [] : children(signers[0]);
  const signed = signer.find((node) => node.tag === 0xa0);
  const attributes = new Map(
    (signed === undefined ? [] : children(signed)).map((node) => {
      const [type, values] = children(node);
      return [readOid(type!), readDer(values!.body)] as const;
    }),
  );
  return {
    certificates,
    content,
    attributes,
    signedBy: (certificate) => signedBy(certificate, signer, signed, attributes, content),
  };
}

function signedBy(
  certificate: Buffer,
  signer: readonly DerNode[],
  signed: DerNode | undefined,
  attributes: ReadonlyMap<string, DerNode>,
  content: Buffer,
): boolean {
  if (signed === undefined) return false;
  const type = readOid(children(signer[2]!)[0]!);
  const digest = (Object.keys(DIGESTS) as Digest[]).find((name) => DIGESTS[name] === type);
  const said = attributes.get(MESSAGE_DIGEST)?.body;
  if (digest === undefined || said === undefined) return false;
  if (!createHash(digest).update(content).digest().equals(said)) return false;
  const signature = signer[signer.indexOf(signed) + 2]!.body;
  return verify(digest, tlv(0x31, signed.body), new X509Certificate(certificate).publicKey, signature);
}
