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
  const read = parsePushCertificate(pem);
  if (now > read.certificate.notAfter) {
    const day = new Date(read.certificate.notAfter).toISOString().slice(0, 10);
    throw new FleetError(
      'bad-request',
      `This push certificate expired on ${day}. Renew it at Apple with the same Apple ID: a new one has another topic.`,
    );
  }
  return read;
}

/** The same, whether it is still valid or not. */
export function parsePushCertificate(pem: string): PushCertificate {
  const blocks = (label: string) =>
    pem.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g')) ?? [];
  const certificates = blocks('CERTIFICATE');
  const keyPem = blocks('(?:RSA |EC )?PRIVATE KEY')[0];
  if (certificates.length === 0 || keyPem === undefined) {
    throw new FleetError(
      'bad-request',
      'The push certificate and its private key, both as PEM and unencrypted, are needed.',
    );
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(keyPem);
  } catch (cause) {
    throw new FleetError('bad-request', 'The private key cannot be read.', { cause });
  }
  try {
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    // Apple's file holds one certificate; some people append its chain, in any order.
    const own = certificates.find((one) => equalBytes(parseCertificate(fromPem(one)).spki, spki));
    if (own === undefined)
      throw new FleetError('bad-request', 'The private key does not belong to this push certificate.');
    const certificate = parseCertificate(fromPem(own));
    return { certificate, key, topic: topicOfCertificate(certificate), pem: `${own}\n${keyPem}\n` };
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new FleetError('bad-request', cause.message, { cause });
  }
}

/** Days at which an expiring certificate is spoken of; the last are urgent. */
const ALARMS = [60, 30, 14, 7, 3, 1, 0];

/** The smallest alarm that is reached when `notAfter` (milliseconds) is this near, or undefined. */
export function expiryAlarm(notAfter: number, now: number): number | undefined {
  const days = (notAfter - now) / 86_400_000;
  return ALARMS.findLast((alarm) => days <= alarm);
}
