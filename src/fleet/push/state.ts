import type { Queryable } from '#store';

/** Where the last push to a device stands. */
export interface PushState {
  readonly state: 'due' | 'retry' | 'sent' | 'invalid';
  readonly wantedAt: Date;
  readonly sentAt: Date | null;
  readonly apnsId: string | null;
  readonly reason: string | null;
  readonly attempts: number;
  readonly nextAt: Date;
  /** Whether the device has checked in since. */
  readonly heard: boolean;
}

export interface PushCertificateState {
  readonly topic: string;
  readonly notAfter: Date;
  /** `accepted`, or why APNs refused it at the last try. */
  readonly canary: string;
  readonly canaryAt: Date;
}

export async function pushState(db: Queryable, handle: string): Promise<PushState | null> {
  const { rows } = await db.query<PushState>(
    `select p.state, p.wanted_at as "wantedAt", p.sent_at as "sentAt", p.apns_id as "apnsId", p.reason, p.attempts,
       p.next_at as "nextAt", coalesce(d.last_seen_at > p.sent_at, false) as heard
     from fleet.push p join fleet.device d on d.id = p.device_id where d.handle = $1`,
    [handle],
  );
  return rows[0] ?? null;
}

/** The push certificate that core uses, or null if none was installed. */
export async function pushCertificateState(db: Queryable): Promise<PushCertificateState | null> {
  const { rows } = await db.query<PushCertificateState>(
    `select topic, not_after as "notAfter", canary, canary_at as "canaryAt" from fleet.push_certificate`,
  );
  return rows[0] ?? null;
}

/** Why a command is not done yet, and what comes next, in words; null once it is done. */
export function waitsFor(
  state: string,
  push: PushState | null,
  certificate: PushCertificateState | null,
): string | null {
  if (state === 'delivered') return 'the device fetched it and has not answered';
  if (state === 'not_now') return 'the device said NotNow (usually: it is locked); offered again at its next check-in';
  if (state !== 'queued') return null;
  if (certificate === null)
    return 'no push certificate is installed, so the device is not woken; it waits for its next check-in';
  if (certificate.canary !== 'accepted')
    return `APNs does not take our pushes (${certificate.canary}); install a push certificate for the same topic`;
  if (push === null) return 'the device has sent no push token, so it cannot be woken; it waits for its next check-in';
  const at = (date: Date) => date.toISOString().slice(0, 16).replace('T', ' ');
  switch (push.state) {
    case 'invalid':
      return `APNs gave up the device’s push token (${push.reason ?? 'unknown'}); it is woken again after it sends a new one`;
    case 'retry':
      return `the push did not get through (${push.reason ?? 'unknown'}), attempt ${push.attempts}; the next is at ${at(push.nextAt)} UTC`;
    case 'sent':
      return `APNs took the push at ${at(push.sentAt ?? push.wantedAt)} UTC (${push.apnsId}); the device has not checked in since`;
    default:
      return 'the push to the device goes out in a moment';
  }
}
