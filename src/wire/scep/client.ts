import { type KeyObject, randomBytes } from 'node:crypto';
import { sha256 } from '#base';
import { decryptEnvelope, encryptEnvelope } from '../cms/enveloped.ts';
import { parseSigned, readCertificates, signCms, verifySigned } from '../cms/signed.ts';
import { octets, textOf } from '../der/read.ts';
import { octetString, printableString } from '../der/write.ts';
import { WireError } from '../error.ts';
import type { Digest } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { MESSAGE_TYPE, PKI_STATUS, SCEP } from './attributes.ts';

/** What a client keeps between its request and the answer. */
export interface ScepExchange {
  readonly message: Buffer;
  readonly senderNonce: Buffer;
  readonly signer: { readonly certificate: Certificate; readonly key: KeyObject };
  readonly registration: Certificate;
}

/** Builds a PKCSReq for `csr`, signed with the requester's self-signed certificate, encrypted to the RA. */
export function buildPkcsReq(options: {
  csr: Uint8Array;
  signer: { readonly certificate: Certificate; readonly key: KeyObject };
  registration: Certificate;
  digest?: Digest;
  /** Content cipher, for playing an old client. */
  cipherOid?: string;
}): ScepExchange {
  const senderNonce = randomBytes(16);
  const message = signCms({
    content: encryptEnvelope(options.csr, options.registration, options.cipherOid),
    certificate: options.signer.certificate,
    key: options.signer.key,
    digest: options.digest ?? 'sha256',
    attributes: [
      [SCEP.transactionId, printableString(sha256(options.signer.certificate.spki).toString('hex'))],
      [SCEP.messageType, printableString(MESSAGE_TYPE.pkcsReq)],
      [SCEP.senderNonce, octetString(senderNonce)],
    ],
  });
  return { message, senderNonce, signer: options.signer, registration: options.registration };
}

/** Reads a CertRep: the issued certificates, or the failure number. Verifies RA signature and nonce. Throws WireError. */
export function readCertRep(
  der: Uint8Array,
  exchange: ScepExchange,
): { readonly certificates: Certificate[] } | { readonly failInfo: string } {
  const message = parseSigned(der);
  const content = message.content ?? Buffer.alloc(0);
  const signer = verifySigned(message, content, { allowLegacyDigest: true });
  if (Buffer.compare(signer.der, exchange.registration.der) !== 0) {
    throw new WireError('scep', 'The SCEP answer is not signed by the registration authority.');
  }
  const recipientNonce = message.attributes.get(SCEP.recipientNonce);
  if (recipientNonce === undefined || Buffer.compare(octets(recipientNonce), exchange.senderNonce) !== 0) {
    throw new WireError('scep', 'The SCEP answer does not belong to this request.');
  }
  const status = message.attributes.get(SCEP.pkiStatus);
  if (status === undefined || textOf(status) !== PKI_STATUS.success) {
    const info = message.attributes.get(SCEP.failInfo);
    return { failInfo: info === undefined ? '' : textOf(info) };
  }
  return { certificates: readCertificates(decryptEnvelope(content, exchange.signer, { allowLegacyCiphers: true })) };
}
