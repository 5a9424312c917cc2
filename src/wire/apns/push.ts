import { child, oidOf, readDer, textOf } from '../der/read.ts';
import { WireError } from '../error.ts';
import type { Certificate } from '../x509/certificate.ts';

/** The subject attribute userId (RFC 4519, section 2.39), where Apple puts the topic of a push certificate. */
const USER_ID = '0.9.2342.19200300.100.1.1';

/** The APNs topic that a push certificate is for. Throws WireError `certificate` if it names none. */
export function topicOfCertificate(certificate: Certificate): string {
  for (const rdn of readDer(certificate.subject).children) {
    for (const pair of rdn.children) {
      if (pair.children.length === 2 && oidOf(child(pair, 0)) === USER_ID) {
        const topic = textOf(child(pair, 1));
        if (/^com\.apple\.mgmt\.[A-Za-z0-9.-]{1,200}$/.test(topic)) return topic;
      }
    }
  }
  throw new WireError(
    'certificate',
    'This is not an MDM push certificate: its subject has no user ID that begins with com.apple.mgmt.',
  );
}

/** One push as APNs wants it: HTTP/2 header fields and body ("Sending notification requests to APNs"). */
export function pushRequest(push: {
  readonly token: Uint8Array;
  readonly magic: string;
  readonly topic: string;
  /** Seconds since 1970; APNs keeps the newest push for a device until then. */
  readonly expiration: number;
}): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  return {
    headers: {
      ':method': 'POST',
      ':path': `/3/device/${Buffer.from(push.token).toString('hex')}`,
      'apns-push-type': 'mdm',
      'apns-topic': push.topic,
      'apns-expiration': String(Math.floor(push.expiration)),
      'apns-priority': '10',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ mdm: push.magic }),
  };
}

/** What came of a push. */
export type PushOutcome =
  | { readonly kind: 'sent'; readonly apnsId: string }
  /** This token is no good any more; `since` (milliseconds) is when APNs learnt of it. */
  | { readonly kind: 'invalid'; readonly reason: string; readonly since: number | undefined }
  /** Worth another attempt later; not before `after` seconds if APNs said so. */
  | { readonly kind: 'retry'; readonly reason: string; readonly after?: number }
  /** Nothing will get through like this: the certificate or the topic is refused. */
  | { readonly kind: 'refused'; readonly reason: string };

const INVALID = new Set(['BadDeviceToken', 'DeviceTokenNotForTopic', 'ExpiredToken', 'Unregistered']);
const RETRY = new Set(['TooManyRequests', 'InternalServerError', 'ServiceUnavailable', 'Shutdown', 'IdleTimeout']);

/**
 * Reads APNs' answer: status, `apns-id`, for errors the JSON body with `reason` and, for 410, `timestamp`, and the seconds
 * of `retry-after` if there were any.
 */
export function pushOutcome(
  status: number,
  apnsId: string | undefined,
  body: string,
  retryAfter = Number.NaN,
): PushOutcome {
  if (status === 200) return { kind: 'sent', apnsId: (apnsId ?? '').slice(0, 64) };
  let said: { reason?: unknown; timestamp?: unknown } = {};
  try {
    said = (JSON.parse(body) as typeof said) ?? {};
  } catch {
    // an answer without a reason is judged by its status
  }
  const given = typeof said.reason === 'string' && /^[A-Za-z]{1,64}$/.test(said.reason) ? said.reason : undefined;
  const reason = given ?? `Status${status}`;
  if (status === 410 || INVALID.has(reason)) {
    const since = typeof said.timestamp === 'number' && Number.isFinite(said.timestamp) ? said.timestamp : undefined;
    return { kind: 'invalid', reason, since };
  }
  if (status === 429 || status >= 500 || RETRY.has(reason)) {
    return { kind: 'retry', reason, ...(retryAfter > 0 ? { after: Math.min(retryAfter, 86_400) } : {}) };
  }
  return { kind: 'refused', reason };
}
