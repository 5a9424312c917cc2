import { bitString, element, integer, octetString, oid, sequence, time } from '../der/write.ts';
import { publicKeyOf, signatureAlgorithm } from './algorithms.ts';
import type { Certificate } from './certificate.ts';
import { type Issuer, keyId } from './issue.ts';

/** CRLReason (RFC 5280, section 5.3.1). */
const CRL_REASONS = {
  keyCompromise: 1,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;
export type CrlReason = keyof typeof CRL_REASONS;

export interface RevokedCertificate {
  /** INTEGER contents, big-endian. */
  readonly serial: Uint8Array;
  /** Milliseconds. */
  readonly revokedAt: number;
  readonly reason: CrlReason;
}

/** What is listed and until when it counts. Times in milliseconds. */
export interface CrlRequest {
  readonly number: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly revoked: readonly RevokedCertificate[];
}

/** Makes a version 2 list of revoked certificates (RFC 5280, section 5), signed by the CA. DER. */
export async function makeCrl(ca: Issuer, request: CrlRequest): Promise<Buffer> {
  const algorithm = signatureAlgorithm(publicKeyOf(ca.certificate.spki), 'sha256');
  const list = certificateList(ca.certificate, algorithm, request);
  return sequence(list, algorithm, bitString(await ca.sign(list)));
}

/** TBSCertList. */
function certificateList(issuer: Certificate, algorithm: Buffer, request: CrlRequest): Buffer {
  const { number, thisUpdate, nextUpdate, revoked } = request;
  const extension = (id: string, value: Buffer) => sequence(oid(id), octetString(value));
  return sequence(
    integer(1),
    algorithm,
    Buffer.from(issuer.subject),
    time(thisUpdate),
    time(nextUpdate),
    // An empty list is absent, not empty.
    ...(revoked.length === 0 ? [] : [sequence(...revoked.map(entry))]),
    element(
      0xa0,
      sequence(
        extension('2.5.29.35', sequence(element(0x80, keyId(issuer.spki)))),
        extension('2.5.29.20', integer(number)),
      ),
    ),
  );
}

function entry({ serial, revokedAt, reason }: RevokedCertificate): Buffer {
  const code = element(0x0a, Buffer.of(CRL_REASONS[reason]));
  return sequence(integer(serial), time(revokedAt), sequence(sequence(oid('2.5.29.21'), octetString(code))));
}
