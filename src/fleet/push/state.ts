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
  /** Null if the installed file could not be read at all. */
  readonly topic: string | null;
  readonly notAfter: Date | null;
  /** `accepted`, or why APNs refused it at the last try. */
  readonly canary: string;
  readonly canaryAt: Date;
  readonly loadedAt: Date;
}

/** Words for what stands in the way of every push. */
const OBSTACLES: Readonly<Record<string, string>> = {
  NotInstalled: 'the push certificate is gone from core’s directory; install it again',
  CertificateUnreadable: 'the installed push certificate cannot be read; install it again',
  CertificateExpired: 'the push certificate has expired; renew it at Apple with the same Apple ID and install it',
  OtherTopic: 'the installed push certificate is for another topic than the one that the devices were enrolled with',
  CertificateRefused: 'APNs ends the connection because of our certificate; it may be revoked',
  EndpointNotTrusted: 'the push service shows a certificate that we do not trust; somebody may stand in between',
  Unreachable: 'the push service cannot be reached; look at the way out to it on port 443',
  Timeout: 'the push service does not answer; look at the way out to it on port 443',
};

/** Why no push gets through, in words; null while APNs takes them. */
export function pushObstacle(certificate: PushCertificateState | null): string | null {
  if (certificate === null) return 'no push certificate is installed';
  if (certificate.canary === 'accepted') return null;
  return OBSTACLES[certificate.canary] ?? `APNs does not take our pushes (${certificate.canary})`;
}

/** How many pushes are in which state, with APNs' last word. */
export async function pushCounts(db: Queryable): Promise<{ state: string; reason: string | null; devices: number }[]> {
  const { rows } = await db.query<{ state: string; reason: string | null; devices: number }>(
    `select p.state, p.reason, count(*)::int as devices from fleet.push p join fleet.device d on d.id = p.device_id
     where d.state = 'enrolled' group by 1, 2 order by 3 desc`,
  );
  return rows;
}

export interface WaitingCommand {
  readonly device: string;
  readonly verb: string;
  readonly state: string;
  readonly queuedAt: Date;
  readonly waitsFor: string | null;
}

/** Commands that wait, the oldest first, each with its reason; and how many there are in all. */
export async function waitingCommands(
  db: Queryable,
  limit: number,
): Promise<{ items: WaitingCommand[]; total: number }> {
  const certificate = await pushCertificateState(db);
  const { rows } = await db.query<Omit<WaitingCommand, 'waitsFor'> & { push: PushState | null }>(
    `select d.handle as device, c.request_type as verb, c.state, c.queued_at as "queuedAt",
       case when p.device_id is not null then jsonb_build_object('state', p.state, 'wantedAt', p.wanted_at, 'sentAt', p.sent_at,
         'apnsId', p.apns_id, 'reason', p.reason, 'attempts', p.attempts, 'nextAt', p.next_at,
         'heard', coalesce(d.last_seen_at > p.sent_at, false)) end as push
     from fleet.command c join fleet.device d on d.id = c.device_id left join fleet.push p on p.device_id = d.id
     where c.done_at is null order by c.queued_at, c.uuid limit $1`,
    [limit],
  );
  const count = await db.query<{ total: number }>(
    'select count(*)::int as total from fleet.command where done_at is null',
  );
  const items = rows.map(({ push, ...row }) => ({
    ...row,
    waitsFor: waitsFor(row.state, push === null ? null : dated(push), certificate),
  }));
  return { items, total: count.rows[0]!.total };
}

/** JSON carries times as text. */
const dated = (push: PushState): PushState => ({
  ...push,
  wantedAt: new Date(push.wantedAt),
  sentAt: push.sentAt === null ? null : new Date(push.sentAt),
  nextAt: new Date(push.nextAt),
});

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
    `select topic, not_after as "notAfter", canary, canary_at as "canaryAt", loaded_at as "loadedAt" from fleet.push_certificate`,
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
  const obstacle = pushObstacle(certificate);
  if (obstacle !== null) return obstacle;
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
