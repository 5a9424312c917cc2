import type { Queryable } from '#store';
import type { IdentityKind } from './attestation/policy.ts';
import { FleetError } from './error.ts';
import type { Ownership } from './offer.ts';

export const LINK_STATES = ['offered', 'opened', 'used', 'expired', 'revoked'] as const;
export type LinkState = (typeof LINK_STATES)[number];

/** An enrolment link as it stands; the link itself was shown once and cannot be shown again. */
export interface Link {
  readonly id: string;
  readonly device: string;
  readonly holder: string | null;
  readonly ownership: Ownership;
  readonly identity: IdentityKind;
  readonly state: LinkState;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly openedAt: Date | null;
  readonly usedAt: Date | null;
  readonly revokedAt: Date | null;
}

const STATE = `case when e.revoked_at is not null then 'revoked' when e.used_at is not null then 'used'
  when e.expires_at <= now() then 'expired' when e.fetched_at is not null then 'opened' else 'offered' end`;

/** Links, newest first, after the link `after`. `open` stands for those that still work. */
export async function listLinks(
  db: Queryable,
  filter: { state?: LinkState | 'open'; after?: string; limit: number },
): Promise<{ links: Link[]; counts: Record<string, number> }> {
  const { rows } = await db.query<Link>(
    `select * from (
       select e.id, d.handle as device, d.holder, d.ownership, e.identity, ${STATE} as state, e.created_by as "createdBy",
         e.created_at as "createdAt", e.expires_at as "expiresAt", e.fetched_at as "openedAt", e.used_at as "usedAt",
         e.revoked_at as "revokedAt"
       from fleet.enrolment e join fleet.device d on d.id = e.device_id) l
     where ($1::text is null or l.state = $1 or ($1 = 'open' and l.state in ('offered', 'opened')))
       and ($2::uuid is null or l.id < $2) order by l.id desc limit $3`,
    [filter.state ?? null, filter.after ?? null, filter.limit],
  );
  const counted = await db.query<{ state: string; n: number }>(
    `select ${STATE} as state, count(*)::int as n from fleet.enrolment e group by 1`,
  );
  return { links: rows, counts: Object.fromEntries(counted.rows.map(({ state, n }) => [state, n])) };
}

/** Ends an open link at once. Throws `not-open` if it was used, has expired or was revoked before. */
export async function revokeLink(t: Queryable, input: { link: string; by: string }): Promise<void> {
  const { rows } = await t.query<{ done: boolean }>('select fleet.revoke_link($1, $2) as done', [input.link, input.by]);
  if (rows[0]!.done) return;
  throw new FleetError('not-open', 'This link is not open: it was used, has expired or was revoked.', { status: 409 });
}

/** Holders' own devices that came by account: how many people signed in, how many devices are managed now, when the last came. */
export async function accountCounts(db: Queryable): Promise<{ people: number; devices: number; lastAt: Date | null }> {
  const { rows } = await db.query<{ people: number; devices: number; lastAt: Date | null }>(
    `select (select count(*)::int from fleet.account) as people, (select max(last_at) from fleet.account) as "lastAt",
       (select count(*)::int from fleet.account_device a join fleet.device d on d.id = a.device_id
        where d.state not in ('checked_out', 'retired')) as devices`,
  );
  return rows[0]!;
}
