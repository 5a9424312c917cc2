import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { child, expectTag, type Node, octets, oidOf, readDer, TAG } from '../der/read.ts';
import { element, integer, nullValue, octetString, oid, sequence, setOf } from '../der/write.ts';
import { WireError } from '../error.ts';
import { type Certificate, certificateKey } from '../x509/certificate.ts';
import { CMS } from './oids.ts';
import { issuerAndSerial } from './signed.ts';

interface Cipher {
  readonly name: string;
  readonly keyBytes: number;
  readonly legacy: boolean;
}

const CIPHERS: Record<string, Cipher> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16, legacy: false },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24, legacy: false },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyBytes: 32, legacy: false },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24, legacy: true },
  // Single DES is not in OpenSSL 3; EDE3 with one key three times is the same cipher.
  '1.3.14.3.2.7': { name: 'des-ede3-cbc', keyBytes: 8, legacy: true },
};

/** EnvelopedData for one RSA recipient: PKCS#1 v1.5 key transport, AES-256-CBC (or a named cipher, for tests). */
export function encryptEnvelope(
  content: Uint8Array,
  recipient: Certificate,
  cipherOid = '2.16.840.1.101.3.4.1.42',
): Buffer {
  const cipher = CIPHERS[cipherOid]!;
  const key = randomBytes(cipher.keyBytes);
  const iv = randomBytes(cipher.legacy ? 8 : 16);
  const encryptor = createCipheriv(cipher.name, tripled(key), iv);
  const encrypted = Buffer.concat([encryptor.update(content), encryptor.final()]);
  const transported = publicEncrypt({ key: certificateKey(recipient), padding: constants.RSA_PKCS1_PADDING }, key);
  const recipientInfo = sequence(
    integer(0),
    issuerAndSerial(recipient),
    sequence(oid(CMS.rsaEncryption), nullValue()),
    octetString(transported),
  );
  const enveloped = sequence(
    integer(0),
    setOf(recipientInfo),
    sequence(oid(CMS.data), sequence(oid(cipherOid), octetString(iv)), element(0x80, encrypted)),
  );
  return sequence(oid(CMS.envelopedData), element(0xa0, enveloped));
}

/**
 * Opens an EnvelopedData with the recipient's RSA key. OpenSSL answers a bad PKCS#1 block with a pseudo-random key
 * (implicit rejection), and every later failure here is the same error, so the caller learns nothing about the padding.
 * Throws WireError `cms`.
 */
export function decryptEnvelope(
  der: Uint8Array,
  recipient: { readonly certificate: Certificate; readonly key: KeyObject },
  options: { readonly allowLegacyCiphers: boolean; readonly onLegacy?: () => void },
): Buffer {
  const root = expectTag(readDer(der), TAG.sequence);
  if (oidOf(child(root, 0)) !== CMS.envelopedData) closed();
  const data = child(child(root, 1, 0xa0), 0, TAG.sequence);
  const transported = keyFor(data, recipient.certificate);
  const contents = data.children.find((node) => node.tag === TAG.sequence) ?? closed();
  const algorithm = child(contents, 1, TAG.sequence);
  const cipher = CIPHERS[oidOf(child(algorithm, 0))];
  if (cipher === undefined || (cipher.legacy && !options.allowLegacyCiphers)) {
    throw new WireError(
      cipher === undefined ? 'cms' : 'legacy',
      'The message is encrypted with a cipher that is not accepted.',
    );
  }
  if (cipher.legacy) options.onLegacy?.();
  const iv = octets(child(algorithm, 1, TAG.octetString));
  const encrypted = octets(contents.children[2] ?? closed());
  try {
    const unwrapped = privateDecrypt({ key: recipient.key, padding: constants.RSA_PKCS1_PADDING }, transported);
    // Taken to the cipher's length whatever came out: the length must not decide anything.
    const key = Buffer.alloc(cipher.keyBytes);
    unwrapped.copy(key, 0, 0, cipher.keyBytes);
    const decryptor = createDecipheriv(cipher.name, tripled(key), iv);
    return Buffer.concat([decryptor.update(encrypted), decryptor.final()]);
  } catch {
    return closed();
  }
}

function closed(): never {
  throw new WireError('cms', 'The encrypted message cannot be opened.');
}

function keyFor(data: Node, recipient: Certificate): Buffer {
  const infos = data.children.find((node) => node.tag === TAG.set)?.children ?? [];
  if (infos.length > 8) closed();
  for (const info of infos) {
    if (info.tag !== TAG.sequence) continue;
    const id = child(info, 1);
    if (id.tag !== TAG.sequence) continue;
    const sameIssuer = Buffer.compare(child(id, 0).bytes, recipient.issuer) === 0;
    if (!sameIssuer || Buffer.compare(child(id, 1, TAG.integer).value, recipient.serial) !== 0) continue;
    if (oidOf(child(child(info, 2, TAG.sequence), 0)) !== CMS.rsaEncryption) closed();
    return octets(child(info, 3, TAG.octetString));
  }
  return closed();
}

function tripled(key: Buffer): Buffer {
  return key.length === 8 ? Buffer.concat([key, key, key]) : key;
}
