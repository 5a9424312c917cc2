import { emit } from '#log';
import { type Pool, type Queryable, type Tx, tx } from '#store';
import { FleetError } from './error.ts';
import type { IntentRow } from './wanted.ts';

const SWEPT_AT_ONCE = 200;

/** Cancels what has not been fetched yet. Returns how many queued commands were taken back. */
export async function cancelIntent(t: Tx, input: { intent: string; by: string }): Promise<number> {
  const { rows } = await t.query<{ n: number }>('select fleet.cancel_intent($1, $2) as n', [input.intent, input.by]);
  return rows[0]!.n;
}

/** Takes back, in one step, everything of one person, of one verb, or of both that no device has fetched. */
export async function cancelAll(
  t: Tx,
  input: { readonly requester?: string; readonly verb?: string; readonly by: string },
): Promise<{ intents: number; commands: number }> {
  if (input.requester === undefined && input.verb === undefined) {
    throw new FleetError('bad-request', 'Say whose or which commands to take back.');
  }
  const { rows } = await t.query<{ intents: number; commands: number }>('select * from fleet.cancel_all($1, $2, $3)', [
    ...[input.requester ?? null, input.verb ?? null, input.by],
  ]);
  return rows[0]!;
}

/** Lets nothing of an intent go out until somebody releases it. Throws `unknown-intent` if nothing of it waits. */
export async function holdIntent(t: Tx, input: { intent: string; by: string; why: string }): Promise<number> {
  const why = input.why.trim();
  if (why.length < 5 || why.length > 200) throw new FleetError('bad-request', 'Say in 5 to 200 characters why.');
  const { rows } = await t.query<{ n: number | null }>('select fleet.hold_intent($1, $2, $3) as n', [
    ...[input.intent, input.by, why],
  ]);
  if (rows[0]!.n === null)
    throw new FleetError('unknown-intent', 'Nothing of this waits any more, or it is held already.', { status: 409 });
  return rows[0]!.n;
}

/** Lets it go on. Throws `two-people` if the brake holds it and its own requester asks. */
export async function releaseIntent(t: Tx, input: { intent: string; by: string }): Promise<void> {
  const { rows } = await t.query<{ verdict: string }>('select fleet.release_intent($1, $2) as verdict', [
    ...[input.intent, input.by],
  ]);
  const { verdict } = rows[0]!;
  if (verdict === 'two-people') {
    throw new FleetError(
      'two-people',
      'You asked for more devices than one person may change within an hour. Another administrator must release it.',
      { status: 403 },
    );
  }
  if (verdict !== 'released') throw new FleetError('unknown-intent', 'This is not held.', { status: 409 });
}

/** A lost device is back: what was to lock, track or erase it is taken back. Returns how many queued commands. */
export async function recoverDevice(t: Tx, input: { device: string; by: string }): Promise<number> {
  const { rows } = await t.query<{ n: number | null }>('select fleet.recover($1, $2) as n', [input.device, input.by]);
  if (rows[0]!.n === null)
    throw new FleetError('unknown-device', 'There is no device with this handle.', { status: 404 });
  return rows[0]!.n;
}

/**
 * While the command lane is locked, what no device has fetched waits, reading excepted; afterwards it goes on in its old
 * order. Repeated as long as the lane is locked, so that a crash or a late dispatch leaves nothing out.
 */
export async function holdLane(pool: Pool, options: { open: boolean; reading: readonly string[] }): Promise<number> {
  const { open, reading } = options;
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ n: number }>(
      open
        ? `with freed as (update fleet.command set state = 'queued', held_by = null, done_at = null where held_by = 'lane' returning 1)
           select count(*)::int as n from freed`
        : `with caught as (select uuid from fleet.command where done_at is null and state in ('queued', 'not_now')
             and request_type <> all($1) order by uuid for update)
           , held as (update fleet.command c set state = 'held', held_by = 'lane', done_at = 'infinity' from caught
             where c.uuid = caught.uuid returning 1) select count(*)::int as n from held`,
      open ? [] : [reading],
    );
    const { n } = rows[0]!;
    if (n > 0) await emit(t, { kind: open ? 'command.released' : 'command.held', actor: 'lane', detail: { count: n } });
    return n;
  });
}

/** Ends what waited too long, and what lost its permit. Returns how many intents and permits were looked at. */
export async function expireIntents(pool: Pool): Promise<number> {
  return tx(pool, async (t) => (await expireOld(t)) + (await expirePermits(t)) + (await sweepDone(t)));
}

async function expireOld(t: Tx): Promise<number> {
  const { rows } = await t.query<{ id: string; verb: string; requester: string }>(
    `select id, verb, requester from fleet.intent where swept_at is null and not_after < now()
     order by not_after limit $1 for update skip locked`,
    [SWEPT_AT_ONCE],
  );
  for (const { id, verb, requester } of rows) {
    const { rowCount } = await t.query(
      `update fleet.command set state = 'expired', done_at = now(), held_by = null
       where (intent_id = $1 or fan_out_id = $1) and state in ('queued', 'not_now', 'held')`,
      [id],
    );
    const { rowCount: waited } = await t.query(
      `update fleet.intent set state = 'expired', reason = 'expired', held_at = null
       where id = $1 and state in ('ready', 'held')`,
      [id],
    );
    await t.query('update fleet.intent set swept_at = now() where id = $1', [id]);
    if ((rowCount ?? 0) + (waited ?? 0) === 0) continue;
    const detail = { intent: id, verb, count: rowCount ?? 0 };
    await emit(t, { kind: 'command.expired', actor: requester, detail });
  }
  return rows.length;
}

/** Without its permit edge would refuse the command as forged; it is only late. */
async function expirePermits(t: Tx): Promise<number> {
  const { rows } = await t.query<{ uuid: string; verb: string; handle: string }>(
    `update fleet.command c set state = 'expired', done_at = now(), held_by = null from fleet.device d
     where d.id = c.device_id and c.permit is not null and c.done_at is null and c.state in ('queued', 'not_now')
       and (c.permit->>'notAfter')::bigint < extract(epoch from now()) * 1000
     returning c.uuid, c.request_type as verb, d.handle`,
  );
  for (const { uuid, verb, handle } of rows) {
    const detail = { command: uuid, verb, why: 'permit' };
    await emit(t, { kind: 'command.expired', actor: 'core', device: handle, detail });
  }
  return rows.length;
}

async function sweepDone(t: Tx): Promise<number> {
  const { rowCount } = await t.query(
    `update fleet.intent set swept_at = now() where id in (
       select i.id from fleet.intent i where i.swept_at is null and (i.state in ('refused', 'cancelled', 'expired')
         or (i.state = 'dispatched' and i.dispatched_at < now() - interval '1 hour' and i.held_at is null
           and not exists (select from fleet.command c where c.intent_id = i.id and c.state in ('queued', 'delivered', 'not_now', 'held'))
           and not exists (select from fleet.command c where c.fan_out_id = i.id and (c.done_at is null or c.held_by is not null)
             and c.state in ('queued', 'delivered', 'not_now', 'held')))) limit $1)`,
    [SWEPT_AT_ONCE],
  );
  return rowCount ?? 0;
}

/** An intent as lists show it, with what became of its commands by state. */
export interface IntentSummary extends IntentRow {
  readonly risk: string;
  readonly notBefore: Date | null;
  readonly notAfter: Date | null;
  readonly emergency: string | null;
  readonly heldBy: string | null;
  readonly heldWhy: string | null;
  readonly heldAt: Date | null;
  readonly releasedBy: string | null;
  readonly rollout: string | null;
  readonly devices: number | null;
  readonly commands: Readonly<Record<string, number>>;
}

/** Intents, newest first, from before the one named; those that wait or all. */
export async function listIntents(
  db: Queryable,
  filter: { waiting?: boolean; requester?: string; verb?: string; before?: string; limit: number },
): Promise<IntentSummary[]> {
  const { rows } = await db.query<IntentSummary>(
    `select i.id, i.verb, i.risk, i.requester, i.purpose, i.state, i.reason, i.approval_id as approval,
       i.created_at as "createdAt", i.not_before as "notBefore", i.not_after as "notAfter", i.emergency,
       case when i.held_at is not null then i.held_by end as "heldBy",
       case when i.held_at is not null then i.held_why end as "heldWhy", i.held_at as "heldAt",
       i.released_by as "releasedBy", i.rollout_id as rollout,
       case when i.scope is null then jsonb_array_length(i.targets) when i.scope ? 'devices'
         then jsonb_array_length(i.scope->'devices') else (select f.members from fleet.fan_out f where f.id = i.id) end as devices,
       coalesce((select jsonb_object_agg(s.state, s.n) from (select c.state, count(*)::int as n from fleet.command c
         where c.intent_id = i.id or c.fan_out_id = i.id group by 1) s), '{}') as commands
     from fleet.intent i
     where ($1::text is null or i.requester = $1) and ($2::text is null or i.verb = $2)
       and ($3::uuid is null or (i.created_at, i.id) < (select b.created_at, b.id from fleet.intent b where b.id = $3))
       and (not $4 or i.swept_at is null)
     order by i.created_at desc, i.id desc limit $5`,
    [filter.requester ?? null, filter.verb ?? null, filter.before ?? null, filter.waiting ?? false, filter.limit],
  );
  return rows;
}
