import { createHash, createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { type Cipher, type Digest, decryptCms, encryptCms, readSigned, signCms } from './cms.ts';
import { bits, context, int, nil, octets, oid, printable, seq, setOf, tlv, utcTime, utf8 } from './der.ts';
import type { Answer, Send } from './http.ts';

const ATTRIBUTES = '2.16.840.1.113733.1.9.';
const SHA256_RSA = () => seq(oid('1.2.840.113549.1.1.11'), nil());
const NAMES: Readonly<Record<string, string>> = {
  C: '2.5.4.6',
  ST: '2.5.4.8',
  L: '2.5.4.7',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  CN: '2.5.4.3',
};

/** A subject as profiles write it: relative names, each a list of [type, value]. */
export type SubjectParts = readonly (readonly (readonly [type: string, value: string])[])[];

export function encodeName(subject: SubjectParts): Buffer {
  return seq(
    ...subject.map((relative) =>
      setOf(
        ...relative.map(([type, value]) =>
          seq(oid(NAMES[type] ?? type), type === 'C' ? printable(value) : utf8(value)),
        ),
      ),
    ),
  );
}

const spki = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'der' });

/** PKCS #10 request with a challenge password (RFC 2986, RFC 2985 section 5.4.1). */
export function certificateRequest(key: KeyObject, subject: SubjectParts, challenge: string): Buffer {
  const password = /^[A-Za-z0-9 '()+,./:=?-]*$/.test(challenge) ? printable(challenge) : utf8(challenge);
  const info = seq(
    int(0),
    encodeName(subject),
    spki(key),
    context(0, seq(oid('1.2.840.113549.1.9.7'), setOf(password))),
  );
  return seq(info, SHA256_RSA(), bits(sign('sha256', info, key)));
}

/** The throw-away certificate that signs a first SCEP request (RFC 8894 section 2.3). */
export function selfSigned(key: KeyObject, subject: SubjectParts): Buffer {
  const name = encodeName(subject);
  const now = Date.now();
  const validity = seq(utcTime(new Date(now - 3_600_000)), utcTime(new Date(now + 86_400_000)));
  const serial = int(Buffer.concat([Buffer.of(0x01), randomBytes(15)]));
  const tbs = seq(context(0, int(2)), serial, SHA256_RSA(), name, validity, name, spki(key));
  return seq(tbs, SHA256_RSA(), bits(sign('sha256', tbs, key)));
}

export interface ScepOptions {
  readonly url: string;
  readonly challenge: string;
  readonly subject: SubjectParts;
  readonly key: KeyObject;
  /** Fingerprint that the profile promised: SHA-1 (20 bytes) or SHA-256 (32 bytes) of the CA certificate. */
  readonly fingerprint?: Uint8Array;
  readonly digest?: Digest;
  /** Default: the best that the server's capabilities name. */
  readonly cipher?: Cipher;
}

/** Raised when the server's side of SCEP is wrong or says no. `failInfo` is RFC 8894 section 3.2.1.4's number. */
export class ScepRefused extends Error {
  readonly failInfo: string | undefined;
  constructor(message: string, failInfo?: string) {
    super(message);
    this.name = 'ScepRefused';
    this.failInfo = failInfo;
  }
}

function expect(answer: Answer, type: RegExp, step: string): Buffer {
  if (answer.status !== 200) throw new ScepRefused(`${step} answered status ${answer.status}`);
  if (!type.test(answer.type)) throw new ScepRefused(`${step} answered content type ${answer.type}`);
  return answer.body;
}

/** Gets a certificate by SCEP (RFC 8894): GetCACaps, GetCACert, PKCSReq by POST. Returns the issued DER certificate. */
export async function scepEnrol(send: Send, options: ScepOptions): Promise<Buffer> {
  const at = (operation: string) => `${options.url}${options.url.includes('?') ? '&' : '?'}operation=${operation}`;
  const caps = (await send('GET', at('GetCACaps'))).body.toString().split(/\s+/);
  if (!caps.includes('POSTPKIOperation') && !caps.includes('SCEPStandard')) {
    throw new ScepRefused('the server does not offer POSTPKIOperation');
  }
  const cipher =
    options.cipher ?? (caps.includes('AES') || caps.includes('SCEPStandard') ? 'aes-128-cbc' : 'des-ede3-cbc');
  const authority = expect(
    await send('GET', `${at('GetCACert')}&message=phone`),
    /^application\/x-x509-ca-cert$/,
    'GetCACert',
  );
  checkFingerprint(authority, options.fingerprint);
  const transaction = createHash('sha256').update(spki(options.key)).digest('hex');
  const nonce = randomBytes(16);
  const certificate = selfSigned(options.key, options.subject);
  const enveloped = encryptCms(certificateRequest(options.key, options.subject, options.challenge), authority, cipher);
  const message = signCms(enveloped, {
    certificate,
    key: options.key,
    digest: options.digest ?? 'sha256',
    attached: true,
    attributes: [
      [`${ATTRIBUTES}2`, printable('19')],
      [`${ATTRIBUTES}5`, octets(nonce)],
      [`${ATTRIBUTES}7`, printable(transaction)],
    ],
  });
  const answer = await send('POST', at('PKIOperation'), {
    body: message,
    headers: { 'content-type': 'application/x-pki-message' },
  });
  return readCertRep(expect(answer, /^application\/x-pki-message$/, 'PKIOperation'), {
    authority,
    transaction,
    nonce,
    key: options.key,
  });
}

function checkFingerprint(authority: Buffer, fingerprint: Uint8Array | undefined): void {
  if (fingerprint === undefined) return;
  const digest = fingerprint.length === 20 ? 'sha1' : 'sha256';
  if (!createHash(digest).update(authority).digest().equals(fingerprint)) {
    throw new ScepRefused('the CA certificate has not the fingerprint that the profile promised');
  }
}

interface Expected {
  readonly authority: Buffer;
  readonly transaction: string;
  readonly nonce: Buffer;
  readonly key: KeyObject;
}

function readCertRep(bytes: Buffer, expected: Expected): Buffer {
  const reply = readSigned(bytes);
  const said = (n: number) => reply.attributes.get(`${ATTRIBUTES}${n}`)?.body ?? Buffer.alloc(0);
  if (!reply.signedBy(expected.authority)) throw new ScepRefused('the reply is not signed by the CA certificate');
  if (said(2).toString() !== '3') throw new ScepRefused('the reply is no CertRep');
  if (said(7).toString() !== expected.transaction) throw new ScepRefused('the reply is for another transaction');
  if (!said(6).equals(expected.nonce)) throw new ScepRefused('the reply has the wrong recipient nonce');
  if (said(5).length === 0) throw new ScepRefused('the reply has no sender nonce');
  if (said(3).toString() !== '0') throw new ScepRefused(`the server refused: ${said(3)}`, said(4).toString());
  const issued = readSigned(decryptCms(reply.content, expected.key)).certificates[0];
  if (issued === undefined) throw new ScepRefused('the reply holds no certificate');
  if (!new X509Certificate(issued).checkPrivateKey(expected.key)) {
    throw new ScepRefused('the certificate is for another key');
  }
  return issued;
}

/** Subject from a profile with its variables filled in. */
export function fillSubject(subject: SubjectParts, variables: Readonly<Record<string, string>>): SubjectParts {
  return subject.map((relative) =>
    relative.map(([type, value]) => [type, value.replace(/%(\w+)%/g, (all, name) => variables[name] ?? all)] as const),
  );
}

export const degenerate = (certificates: readonly Buffer[]): Buffer =>
  seq(
    oid('1.2.840.113549.1.7.2'),
    context(0, seq(int(1), tlv(0x31), seq(oid('1.2.840.113549.1.7.1')), context(0, ...certificates), tlv(0x31))),
  );
