import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  type Certificate,
  certRepSuccess,
  issueCertificate,
  makeCa,
  parseCsr,
  parsePkiMessage,
  type Registration,
  SCEP_CAPS,
} from '#wire';
import type { Answer, Send } from '../http.ts';

/** Stands in a profile for an identity that the simulation signs itself. RFC 6761 keeps `.invalid` from ever resolving. */
export const OWN_SCEP = 'http://identities.invalid/scep';

interface Authority {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

const answered = (type: string, body: Uint8Array): Answer => ({
  ...{ status: 200, type, body: Buffer.from(body) },
  headers: { 'content-type': type, 'content-length': String(body.length) },
});

/** Answers requests to OWN_SCEP from `authority`, so that phones enrol with servers that have no SCEP of their own. */
export function signsIdentities(send: Send, authority: Authority): Send {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const certificate = makeCa(key, { commonName: 'Simulated registration', days: 1, now: Date.now() });
  const registration: Registration = { certificate, key };
  return async (method, url, message = {}) => {
    if (!url.startsWith(OWN_SCEP)) return send(method, url, message);
    const operation = new URL(url).searchParams.get('operation');
    if (operation === 'GetCACaps') return answered('text/plain', Buffer.from(SCEP_CAPS));
    if (operation === 'GetCACert') return answered('application/x-x509-ca-cert', certificate.der);
    const request = parsePkiMessage(message.body ?? Buffer.alloc(0), registration, { allowLegacy: true });
    const { spki } = parseCsr(request.csr);
    const now = Date.now();
    const days = Math.min(30, Math.floor((authority.certificate.notAfter - now) / 86_400_000));
    const issued = issueCertificate(authority, {
      ...{ spki, commonName: 'simulated-phone', days, usage: 'device', now },
    });
    return answered(
      'application/x-pki-message',
      certRepSuccess(request, registration, [issued, authority.certificate]),
    );
  };
}

/** PEM or DER of a CA certificate that the server under test must trust, made on the spot. */
export function newAuthority(): Authority {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return { key, certificate: makeCa(key, { commonName: 'Simulated identities', days: 365, now: Date.now() }) };
}
