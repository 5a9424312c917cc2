import { type KeyObject, randomBytes } from 'node:crypto';
import { decryptEnvelope, encryptEnvelope } from '../cms/enveloped.ts';
import { certsOnly, parseSigned, signCms, verifySigned } from '../cms/signed.ts';
import { octets, textOf } from '../der/read.ts';
import { octetString, printableString } from '../der/write.ts';
import { WireError } from '../error.ts';
import type { Certificate } from '../x509/certificate.ts';
import { FAIL_INFO, type FailInfo, MESSAGE_TYPE, PKI_STATUS, SCEP } from './attributes.ts';

/** The registration authority: decrypts requests and signs answers; never the CA's own key. */
export interface Registration {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

/** A PKCSReq or RenewalReq whose signature was verified, opened. */
export interface ScepRequest {
  readonly messageType: string;
  readonly transactionId: string;
  readonly senderNonce: Buffer;
  /** The (usually self-signed) certificate to which the answer is encrypted. */
  readonly signer: Certificate;
  /** PKCS#10, DER. */
  readonly csr: Buffer;
}

/**
 * Opens a PKIOperation message (RFC 8894 section 3.1): SignedData over EnvelopedData. `allowLegacy` admits SHA-1, DES and
 * 3DES, which real clients still use. Throws WireError.
 */
export function parsePkiMessage(
  der: Uint8Array,
  registration: Registration,
  options: { readonly allowLegacy: boolean; readonly onLegacy?: () => void },
): ScepRequest {
  const message = parseSigned(der);
  if (message.content === undefined) throw new WireError('scep', 'The SCEP message has no content.');
  const signer = verifySigned(message, message.content, {
    allowLegacyDigest: options.allowLegacy,
    ...(options.onLegacy === undefined ? {} : { onLegacy: options.onLegacy }),
  });
  const text = (id: string) => {
    const node = message.attributes.get(id);
    if (node === undefined) throw new WireError('scep', 'The SCEP message lacks an attribute.');
    return textOf(node);
  };
  const messageType = text(SCEP.messageType);
  if (messageType !== MESSAGE_TYPE.pkcsReq && messageType !== MESSAGE_TYPE.renewalReq) {
    throw new WireError('scep', 'This SCEP message type is not offered.');
  }
  const transactionId = text(SCEP.transactionId);
  const nonce = message.attributes.get(SCEP.senderNonce);
  if (nonce === undefined || transactionId.length === 0 || transactionId.length > 255) {
    throw new WireError('scep', 'The SCEP message lacks an attribute.');
  }
  const csr = decryptEnvelope(message.content, registration, {
    allowLegacyCiphers: options.allowLegacy,
    ...(options.onLegacy === undefined ? {} : { onLegacy: options.onLegacy }),
  });
  return { messageType, transactionId, senderNonce: octets(nonce), signer, csr };
}

/** CertRep SUCCESS: the issued certificate first, then its CA, encrypted to the requester. */
export function certRepSuccess(
  request: ScepRequest,
  registration: Registration,
  issued: readonly [Certificate, ...Certificate[]],
): Buffer {
  return certRep(request, registration, PKI_STATUS.success, encryptEnvelope(certsOnly(issued), request.signer));
}

/** CertRep FAILURE with its reason. */
export function certRepFailure(request: ScepRequest, registration: Registration, reason: FailInfo): Buffer {
  return certRep(request, registration, PKI_STATUS.failure, Buffer.alloc(0), reason);
}

function certRep(
  request: ScepRequest,
  registration: Registration,
  status: string,
  content: Buffer,
  reason?: FailInfo,
): Buffer {
  return signCms({
    content,
    certificate: registration.certificate,
    key: registration.key,
    attributes: [
      [SCEP.transactionId, printableString(request.transactionId)],
      [SCEP.messageType, printableString(MESSAGE_TYPE.certRep)],
      [SCEP.pkiStatus, printableString(status)],
      ...(reason === undefined ? [] : [[SCEP.failInfo, printableString(FAIL_INFO[reason])] as const]),
      [SCEP.senderNonce, octetString(randomBytes(16))],
      [SCEP.recipientNonce, octetString(request.senderNonce)],
    ],
  });
}
