import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { equalBytes } from '#base';
import { type Certificate, fromPem, parseCertificate, topicOfCertificate, WireError } from '#wire';
import { FleetError } from '../error.ts';

/** What opens the door to APNs for one topic. */
export interface PushCertificate {
  readonly certificate: Certificate;
  readonly key: KeyObject;
  readonly topic: string;
  /** PEM of certificate and key, for TLS. */
  readonly pem: string;
}

/**
 * Reads a push certificate with its private key (PEM, both in one text) and checks what goes wrong in practice: that they
 * belong together, that it is one for MDM, and that it is valid at `now` (milliseconds). Throws FleetError `bad-request`.
 */
export function readPushCertificate(pem: string, now: number): PushCertificate {
  const block = (label: RegExp) =>
    new RegExp(`-----BEGIN ${label.source}-----[^-]+-----END ${label.source}-----`).exec(pem)?.[0];
  const certificatePem = block(/CERTIFICATE/);
  const keyPem = block(/(?:RSA |EC )?PRIVATE KEY/);
  if (certificatePem === undefined || keyPem === undefined) {
    throw new FleetError(
      'bad-request',
      'The push certificate and its private key, both as PEM and unencrypted, are needed.',
    );
  }
  let certificate: Certificate;
  let key: KeyObject;
  let topic: string;
  try {
    certificate = parseCertificate(fromPem(certificatePem));
    key = createPrivateKey(keyPem);
    topic = topicOfCertificate(certificate);
  } catch (cause) {
    const why = cause instanceof WireError ? cause.message : 'The private key cannot be read.';
    throw new FleetError('bad-request', why, { cause });
  }
  if (!equalBytes(createPublicKey(key).export({ format: 'der', type: 'spki' }), certificate.spki)) {
    throw new FleetError('bad-request', 'The private key does not belong to this push certificate.');
  }
  if (now > certificate.notAfter) {
    const day = new Date(certificate.notAfter).toISOString().slice(0, 10);
    throw new FleetError(
      'bad-request',
      `This push certificate expired on ${day}. Renew it at Apple with the same Apple ID: a new one has another topic.`,
    );
  }
  return { certificate, key, topic, pem: `${certificatePem}\n${keyPem}\n` };
}

/** Days at which an expiring certificate is spoken of; the last are urgent. */
const ALARMS = [60, 30, 14, 7, 3, 1, 0];

/** The smallest alarm that is reached when `notAfter` (milliseconds) is this near, or undefined. */
export function expiryAlarm(notAfter: number, now: number): number | undefined {
  const days = (notAfter - now) / 86_400_000;
  return ALARMS.findLast((alarm) => days <= alarm);
}
