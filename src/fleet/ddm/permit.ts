import { type Json, sha256, toBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import { type Declare, type DeclarePermit, EVERY_DEVICE, MOST_PERMIT_MS } from '#seal';
import { type Pool, type Queryable, type Tx, tx } from '#store';
import { declarationBody } from '#wire';
import { FleetError } from '../error.ts';

const APPROVAL_TTL_MS = 24 * 3_600_000;
/** What two people agree to names its devices, so that none can be added to it afterwards. */
const MOST_NAMED = 5_000;
const MOST_DECLARATIONS = 200;
const DAY_MS = 86_400_000;

interface Version {
  readonly identifier: string;
  readonly type: string;
  readonly payload: { readonly [key: string]: Json };
  readonly token: string;
  readonly state: string;
}

/**
 * What two people must sign before the dangerous declarations of a set reach its devices: the exact bytes, and the devices
 * that the set is for now, or all if it is for everyone. A device that comes to the set later waits until two people agree
 * anew. Keeps the bytes for glass to show; the caller stores the document in the same transaction. Throws FleetError.
 */
export async function askDeclare(
  t: Tx,
  input: {
    readonly set: string;
    readonly requester: string;
    readonly purpose: string;
    readonly days: number;
    readonly now: number;
  },
): Promise<Declare> {
  const purpose = input.purpose.trim();
  if (purpose.length < 5 || purpose.length > 200)
    throw new FleetError('bad-request', 'Say in 5 to 200 characters why, without names or numbers.');
  const { declarations, bodies } = await guardedOf(t, input.set);
  const id = uuidv7(input.now);
  const document: Declare = {
    ...{ v: 1, op: 'declare', id, declarations, devices: await scopeOf(t, input.set) },
    until: input.now + Math.min(input.days * DAY_MS, MOST_PERMIT_MS - DAY_MS),
    ...{ requester: input.requester, purpose, notAfter: input.now + APPROVAL_TTL_MS },
  };
  await t.query('insert into fleet.declared_ask (approval_id, set_id, bodies) values ($1, $2, $3)', [
    ...[id, input.set, JSON.stringify(bodies)],
  ]);
  return document;
}

async function guardedOf(t: Tx, set: string) {
  const { rows } = await t.query<Version>(
    `select d.identifier, d.type, v.payload, v.token, v.state from fleet.declaration_set s
     join fleet.set_declaration x on x.set_id = s.id join fleet.declaration d on d.id = x.declaration_id and d.removed_at is null
     join fleet.declaration_version v on v.declaration_id = d.id and (v.state = 'proposed' or v.state = 'current' and v.guarded)
     where s.id = $1 and s.removed_at is null`,
    [set],
  );
  if (rows.some(({ state }) => state === 'proposed'))
    throw new FleetError('bad-request', 'A declaration of this set is still being checked. Try again in a moment.', {
      status: 409,
    });
  if (rows.length === 0)
    throw new FleetError('bad-request', 'This set has nothing that two people must agree to.', { status: 409 });
  if (rows.length > MOST_DECLARATIONS)
    throw new FleetError('too-many', `Two people agree to at most ${MOST_DECLARATIONS} declarations at a time.`);
  // By code units, as the guards compare them.
  const sorted = rows.sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  const bodies = sorted.map((row) => ({ identifier: row.identifier, body: declarationBody(row).toString('utf8') }));
  const declarations = sorted.map(({ identifier, token }, n) => ({
    ...{ identifier, token, body: toBase64url(sha256(bodies[n]!.body)) },
  }));
  return { declarations, bodies };
}

async function scopeOf(t: Tx, set: string): Promise<Declare['devices']> {
  const { rows } = await t.query<{ everyone: boolean; handles: string[] }>(
    `select s.everyone, case when s.everyone then '{}' else array(select d.handle from fleet.set_scope(s.id) x(id)
       join fleet.device d on d.id = x.id and d.state = 'enrolled') end as handles from fleet.declaration_set s where s.id = $1`,
    [set],
  );
  const { everyone, handles } = rows[0]!;
  if (everyone) return EVERY_DEVICE;
  if (handles.length === 0)
    throw new FleetError('bad-request', 'This set is for no device yet. Choose its devices first.', { status: 409 });
  if (handles.length > MOST_NAMED)
    throw new FleetError('too-many', `Two people agree to at most ${MOST_NAMED} named devices, or to every device.`);
  return handles.sort();
}

/** Whether somebody asked anew for the same set since: only the last request is about what the set is now. */
export async function isOvertaken(db: Queryable, approval: string): Promise<boolean> {
  const { rows } = await db.query<{ overtaken: boolean }>(
    `select exists (select from fleet.declared_ask a join fleet.declared_ask b on b.set_id = a.set_id and b.approval_id > a.approval_id
       join respond.approval r on r.id = b.approval_id and r.state in ('open', 'executed') and r.not_after > now() - interval '1 day'
       where a.approval_id = $1) as overtaken`,
    [approval],
  );
  return rows[0]!.overtaken;
}

/** What an approval for declarations holds once two people have signed it. */
export interface ApprovedDeclare {
  readonly document: Declare;
  readonly permit: DeclarePermit;
}

/** Stores the ledger's permit and has the set's devices looked at anew. It takes the place of the set's earlier ones. */
export async function takePermit(t: Tx, { document, permit }: ApprovedDeclare): Promise<void> {
  const asked = await t.query<{ set_id: string }>('select set_id from fleet.declared_ask where approval_id = $1', [
    document.id,
  ]);
  const set = asked.rows[0]?.set_id;
  if (set === undefined) throw new FleetError('bad-request', 'Nobody asked for this permit.');
  const everyone = document.devices === EVERY_DEVICE;
  const { rowCount } = await t.query(
    `insert into fleet.declared_permit (approval_id, set_id, permit, identifiers, everyone, handles, until)
     values ($1, $2, $3, $4, $5, $6, to_timestamp($7::double precision / 1000)) on conflict do nothing`,
    [
      ...[document.id, set, JSON.stringify(permit), document.declarations.map(({ identifier }) => identifier)],
      ...[everyone, everyone ? [] : document.devices, document.until],
    ],
  );
  if (!rowCount) return;
  await t.query(
    `update fleet.declared_permit set ended_at = now() where set_id = $1 and approval_id <> $2 and ended_at is null`,
    [set, document.id],
  );
  await lookAgain(t, [set]);
}

/**
 * Takes permits whose time is up out of use: their devices lose what they were for. Tells once of those that run out within
 * 30 days, unless they were given for less. Returns how many ended.
 */
export async function endPermits(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const ending = await t.query<{ approval: string; set: string; days: number }>(
      `update fleet.declared_permit set warned_at = now() where ended_at is null and warned_at is null
         and until between now() and now() + interval '30 days' and until - at > interval '60 days'
       returning approval_id as approval, set_id as set, ceil(extract(epoch from until - now()) / 86400)::int as days`,
    );
    for (const { approval, set, days } of ending.rows)
      await emit(t, { kind: 'declaration.permit_ending', actor: 'core', detail: { approval, set, days } });
    const { rows } = await t.query<{ approval: string; set: string }>(
      `update fleet.declared_permit set ended_at = now() where ended_at is null and until <= now()
       returning approval_id as approval, set_id as set`,
    );
    for (const { approval, set } of rows)
      await emit(t, { kind: 'declaration.permit_ended', actor: 'core', detail: { approval, set } });
    if (rows.length > 0) await lookAgain(t, [...new Set(rows.map(({ set }) => set))]);
    return rows.length;
  });
}

/** Has the devices looked at anew that a permit may concern: those of every set with its declarations. */
async function lookAgain(t: Queryable, sets: readonly string[]): Promise<void> {
  await t.query(
    `insert into fleet.stale_device select distinct d.id from fleet.declared_permit p
       join fleet.declaration c on c.identifier = any(p.identifiers) join fleet.set_declaration x on x.declaration_id = c.id
       cross join lateral fleet.set_scope(x.set_id) s(id) join fleet.device d on d.id = s.id and d.state = 'enrolled'
     where p.set_id = any($1) on conflict do nothing`,
    [sets],
  );
}
