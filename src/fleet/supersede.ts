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

/**
 * Applies the superseding rules between an intent's commands and what else waits for its devices. Runs in the transaction
 * that queues: no device ever sees both. Rows are locked before they are judged, so one that edge hands out at the same
 * moment is either gone already and stays, or gives way and is not handed out.
 */
export async function supersede(t: Tx, queued: Queued): Promise<number> {
  const rule = supersedeRule(queued.verb);
  const mine = queued.many ? 'n.fan_out_id' : 'n.intent_id';
  const gone: Gone[] = [];
  if (rule.over.length === 0) return 0;
  if (queued.late) gone.push(...(await overtaken(t, queued, mine)));
  gone.push(...(await outdated(t, queued, mine)));
  await tell(t, queued, gone);
  return gone.length;
}

const RETURNING = `returning o.uuid, o.request_type as verb, (select handle from fleet.device where id = o.device_id) as handle`;

/** Older commands that the device has not fetched and that the new ones make pointless. */
async function outdated(t: Tx, queued: Queued, mine: string): Promise<Gone[]> {
  const { over, ends } = supersedeRule(queued.verb);
  const { rows } = await t.query<Gone>(
    `with pairs as (
       select o.uuid, n.uuid as by_uuid from fleet.command n join fleet.command o on o.device_id = n.device_id
         and (o.done_at is null or o.held_by is not null) and o.state in ('queued', 'not_now', 'held')
         and coalesce(o.intent_id, o.fan_out_id) is distinct from $1
         and (o.request_type = any($3) or (o.request_type = any($2) and coalesce(o.key, '') = coalesce(n.key, '')
           and o.channel_id is not distinct from n.channel_id))
       where ${mine} = $1 and n.done_at is null
         and (not $4 or not exists (select from fleet.intent i, fleet.intent own where own.id = $1
           and i.id = coalesce(o.intent_id, o.fan_out_id) and (i.created_at, i.id) > (own.created_at, own.id)))
       order by o.uuid for update of o)
     update fleet.command o set state = 'superseded', superseded_by = pairs.by_uuid, done_at = now(), held_by = null
     from pairs where o.uuid = pairs.uuid ${RETURNING}`,
    [queued.id, over, ends, queued.late],
  );
  return rows;
}

/** New commands of an intent that was overtaken while it waited: a later wish about the same thing went out before. */
async function overtaken(t: Tx, queued: Queued, mine: string): Promise<Gone[]> {
  const { over } = supersedeRule(queued.verb);
  const { rows } = await t.query<Gone>(
    `update fleet.command o set state = 'superseded', superseded_by = p.after, done_at = now()
     from (select distinct on (n.uuid) n.uuid, w.uuid as after from fleet.intent own
       join fleet.command n on ${mine} = own.id
       join fleet.command w on w.device_id = n.device_id and w.queued_at >= own.created_at - interval '90 days'
         and w.request_type = any($2) and coalesce(w.key, '') = coalesce(n.key, '')
         and w.channel_id is not distinct from n.channel_id
         and w.state not in ('cancelled', 'refused', 'expired', 'superseded')
       join fleet.intent i on i.id = coalesce(w.intent_id, w.fan_out_id) and (i.created_at, i.id) > (own.created_at, own.id)
       where own.id = $1 and n.done_at is null order by n.uuid, i.created_at desc) p
     where o.uuid = p.uuid ${RETURNING}`,
    [queued.id, over],
  );
  return rows;
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
