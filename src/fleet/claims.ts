import { newDeviceHandle, newToken, sha256, uuidv7 } from '#base';
import type { Queryable } from '#store';
import { type IdentityKind, identityPolicy } from './attestation/policy.ts';
import { FleetError } from './error.ts';

/** A phone that says it is one which is enrolled already, and waits for an administrator's word. */
export interface Claim {
  readonly id: string;
  /** Whose enrolment would end. */
  readonly device: string;
  /** Who came with a link of its own. */
  readonly claimant: string;
  readonly holder: string | null;
  readonly claimantHolder: string | null;
  readonly lastSeenAt: Date | null;
  readonly tries: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
}

/** Claims that nobody has decided, newest first; of one device, whichever of the two it is, if it is named. At most 200. */
export async function claimsOf(db: Queryable, device?: string): Promise<Claim[]> {
  const { rows } = await db.query<Claim>(
    `select c.id, o.handle as device, n.handle as claimant, o.holder, n.holder as "claimantHolder",
       o.last_seen_at as "lastSeenAt", c.tries, c.first_at as "firstAt", c.last_at as "lastAt"
     from fleet.claim c join fleet.device o on o.id = c.held_by join fleet.device n on n.id = c.device_id
     where c.state = 'held' and n.state not in ('checked_out', 'retired') and ($1::text is null or $1 in (o.handle, n.handle))
     order by c.last_at desc limit 200`,
    [device ?? null],
  );
  return rows;
}

/** Says whether it is the same phone. Throws `not-open`, and `too-many` beyond 20 an hour. */
export async function decideClaim(t: Queryable, input: { id: string; agree: boolean; by: string }): Promise<void> {
  const { rows } = await t.query<{ verdict: string }>('select fleet.decide_claim($1, $2, $3) as verdict', [
    ...[input.id, input.agree, input.by],
  ]);
  const { verdict } = rows[0]!;
  if (verdict === 'too-many') {
    throw new FleetError('too-many', 'So many phones were agreed to within an hour that this one has to wait.', {
      status: 429,
    });
  }
  if (verdict === 'not-open')
    throw new FleetError('not-open', 'This was decided already, or there is no such claim.', { status: 409 });
}

/** A link to enrol a device anew, with its holder and owner. `ttlMs` at most 30 days. Throws `unknown-device`. */
export async function linkAnew(
  t: Queryable,
  input: { readonly device: string; readonly by: string; readonly ttlMs: number; readonly identity?: IdentityKind },
): Promise<{ device: string; token: string }> {
  const known = await t.query(`select from fleet.device where handle = $1 and state <> 'retired'`, [input.device]);
  if (!known.rowCount)
    throw new FleetError('unknown-device', 'There is no such device, or it is retired.', { status: 404 });
  const identity = input.identity ?? (await identityPolicy(t)).identity;
  const token = newToken();
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const device = newDeviceHandle();
    const { rows } = await t.query<{ made: boolean }>(
      `select fleet.offer_anew($1, $2, $3, $4, $5, $6::double precision * interval '1 millisecond', $7) as made`,
      [device, input.device, uuidv7(), sha256(token), input.by, input.ttlMs, identity],
    );
    if (rows[0]!.made) return { device, token };
  }
  throw new FleetError('too-many', 'No free device handle was found. Retire devices that are gone.', { status: 503 });
}
