import { emit } from '#log';
import type { Tx } from '#store';
import { supersedeRule } from './supersede-rules.ts';

/** The intent whose commands were put into the queue just now. */
export interface Queued {
  readonly id: string;
  readonly verb: string;
  readonly requester: string;
  /** Whether its commands are parts of a fan-out. */
  readonly many: boolean;
  /** It waited since it was stated, so that a newer wish may have overtaken it. */
  readonly late: boolean;
}

interface Gone {
  readonly uuid: string;
  readonly verb: string;
  readonly handle: string;
}

/** One of the intent's own commands that waits now. */
interface Mine {
  readonly device: string;
  readonly uuid: string;
  readonly key: string;
  readonly channel: string | null;
}

/**
 * Applies the superseding rules between an intent's commands and what else waits for its devices. Runs in the transaction
 * that queues: no device ever sees both. Rows are locked before they are judged, so one that edge hands out at the same
 * moment is either gone already and stays, or gives way and is not handed out.
 *
 * The rows are put together here and not by joins: what was queued a moment ago is in no statistics, and a planner that
 * takes a hundred thousand rows for one compares each with each.
 */
export async function supersede(t: Tx, queued: Queued): Promise<number> {
  const rule = supersedeRule(queued.verb);
  if (rule.over.length === 0) return 0;
  const mine = await waiting(t, queued);
  const gone: Gone[] = [];
  if (queued.late) gone.push(...(await overtaken(t, queued, mine)));
  gone.push(...(await outdated(t, queued, mine)));
  await tell(t, queued, gone);
  return gone.length;
}

/** The intent's own commands by device; all of them have the same verb, key and channel. */
async function waiting(t: Tx, queued: Queued): Promise<Map<string, Mine>> {
  const { rows } = await t.query<Mine>(
    `select device_id::text as device, uuid, coalesce(key, '') as key, channel_id::text as channel from fleet.command
     where ${queued.many ? 'fan_out_id' : 'intent_id'} = $1 and done_at is null`,
    [queued.id],
  );
  return new Map(rows.map((row) => [row.device, row]));
}

/** Ends these commands, each for the other one of its pair. */
async function end(t: Tx, pairs: readonly { readonly uuid: string; readonly by: string }[]): Promise<Gone[]> {
  if (pairs.length === 0) return [];
  const { rows } = await t.query<Gone>(
    `update fleet.command o set state = 'superseded', superseded_by = p.by_uuid, done_at = now(), held_by = null
     from unnest($1::uuid[], $2::uuid[]) as p(uuid, by_uuid) where o.uuid = p.uuid
     returning o.uuid, o.request_type as verb, (select handle from fleet.device where id = o.device_id) as handle`,
    [pairs.map(({ uuid }) => uuid), pairs.map(({ by }) => by)],
  );
  return rows;
}

/** Older commands that the device has not fetched and that the new ones make pointless. */
async function outdated(t: Tx, queued: Queued, mine: ReadonlyMap<string, Mine>): Promise<Gone[]> {
  const [one] = mine.values();
  if (one === undefined) return [];
  const { over, ends } = supersedeRule(queued.verb);
  const gone: Gone[] = [];
  // Each by its own index: what is pending, and what is held.
  for (const which of [
    `done_at is null and state in ('queued', 'not_now')`,
    `held_by is not null and state = 'held'`,
  ]) {
    const { rows } = await t.query<{ uuid: string; device: string }>(
      `select o.uuid, o.device_id::text as device from fleet.command o
       where o.device_id = any($5::bigint[]) and ${which} and coalesce(o.intent_id, o.fan_out_id) is distinct from $1
         and (o.request_type = any($3) or (o.request_type = any($2) and coalesce(o.key, '') = $6
           and o.channel_id is not distinct from $7))
         and (not $4 or not exists (select from fleet.intent i, fleet.intent own where own.id = $1
           and i.id = coalesce(o.intent_id, o.fan_out_id) and (i.created_at, i.id) > (own.created_at, own.id)))
       order by o.uuid for update of o`,
      [queued.id, over, ends, queued.late, [...mine.keys()], one.key, one.channel],
    );
    gone.push(
      ...(await end(
        t,
        rows.map(({ uuid, device }) => ({ uuid, by: mine.get(device)!.uuid })),
      )),
    );
  }
  return gone;
}

/**
 * New commands of an intent that was overtaken while it waited: a later wish about the same thing went out before. They
 * leave `mine`.
 */
async function overtaken(t: Tx, queued: Queued, mine: Map<string, Mine>): Promise<Gone[]> {
  const [one] = mine.values();
  if (one === undefined) return [];
  const { rows: later } = await t.query<{ id: string }>(
    `select i.id from fleet.intent i, fleet.intent own where own.id = $1 and i.created_at >= own.created_at
       and i.state = 'dispatched' and (i.created_at, i.id) > (own.created_at, own.id) order by i.created_at, i.id`,
    [queued.id],
  );
  const after = new Map<string, string>();
  const ids = later.map(({ id }) => id);
  for (const which of ids.length === 0 ? [] : ['intent_id', 'fan_out_id']) {
    const { rows } = await t.query<{ uuid: string; device: string }>(
      `select uuid, device_id::text as device from fleet.command where ${which} = any($1::uuid[])
         and request_type = any($2) and coalesce(key, '') = $3 and channel_id is not distinct from $4
         and state not in ('cancelled', 'refused', 'expired', 'superseded')`,
      [ids, supersedeRule(queued.verb).over, one.key, one.channel],
    );
    for (const { uuid, device } of rows) after.set(device, uuid);
  }
  const pairs = [...mine.values()].flatMap(({ device, uuid }) => {
    const by = after.get(device);
    return by === undefined ? [] : [{ device, uuid, by }];
  });
  for (const { device } of pairs) mine.delete(device);
  return end(t, pairs);
}

async function tell(t: Tx, queued: Queued, gone: readonly Gone[]): Promise<void> {
  if (gone.length === 0) return;
  if (queued.many) {
    await emit(t, {
      kind: 'command.superseded',
      actor: queued.requester,
      detail: { intent: queued.id, verb: queued.verb, count: gone.length },
    });
    return;
  }
  for (const { uuid, verb, handle } of gone) {
    await emit(t, {
      kind: 'command.superseded',
      actor: queued.requester,
      device: handle,
      detail: { command: uuid, verb, by_intent: queued.id, by_verb: queued.verb },
    });
  }
}
