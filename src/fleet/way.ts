import type { Json } from '#base';
import type { Queryable } from '#store';

/** One step of a command on its way, with what happened before it in words, if that took long. */
export interface WayStep {
  readonly step: 'wanted' | 'approved' | 'queued' | 'pushed' | 'delivered' | 'not-now' | 'done';
  readonly at: Date;
  readonly detail: string | null;
  /** `waited 3 h for push`; null for less than a minute. */
  readonly gap: string | null;
}

/** A command from the wish to the result. */
export interface Way {
  readonly uuid: string;
  readonly verb: string;
  readonly state: string;
  readonly steps: readonly WayStep[];
}

interface Row {
  readonly uuid: string;
  readonly verb: string;
  readonly state: string;
  readonly queued: Date;
  readonly delivered: Date | null;
  readonly deliveries: number;
  readonly done: Date | null;
  readonly errors: Json | null;
  readonly wanted: Date | null;
  readonly dispatched: Date | null;
  readonly requester: string | null;
  readonly purpose: string | null;
  readonly approval: string | null;
}

/** Minutes below two hours, hours below two days, then days. */
function span(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2 * 1440 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

const LONG_MS = 60_000;
/** What a long wait before a step was for. */
const WAITED: Readonly<Record<WayStep['step'], string>> = {
  wanted: '',
  approved: 'for two people',
  queued: 'to be signed and queued',
  pushed: 'for push',
  delivered: 'for the device to check in',
  'not-now': 'for the device to check in again',
  done: 'for the device’s answer',
};

/**
 * The last `limit` commands of a device, newest first, each as one list of steps. From the intent, the command, the pushes
 * that went out and the log; a step of which nothing is known is not made up.
 */
export async function commandWays(db: Queryable, handle: string, limit: number): Promise<Way[]> {
  const { rows } = await db.query<Row>(
    `select c.uuid, c.request_type as verb, c.state, c.queued_at as queued, c.delivered_at as delivered, c.deliveries,
       case when isfinite(c.done_at) then c.done_at end as done, c.errors, n.created_at as wanted,
       n.dispatched_at as dispatched, n.requester, n.purpose, n.approval_id as approval
     from fleet.command c join fleet.device d on d.id = c.device_id
     left join fleet.intent n on n.id = coalesce(c.intent_id, c.fan_out_id)
     where d.handle = $1 order by c.queued_at desc limit $2`,
    [handle, limit],
  );
  if (rows.length === 0) return [];
  const oldest = rows.at(-1)!.queued;
  const pushes = await db.query<{ at: Date; apns: string | null }>(
    `select p.sent_at as at, p.apns_id as apns from fleet.push_sent p join fleet.device d on d.id = p.device_id
     where d.handle = $1 and p.sent_at >= $2 order by p.sent_at`,
    [handle, oldest],
  );
  const refusals = await db.query<{ at: Date; command: string }>(
    `select time as at, body->'unmapped'->>'command' as command from log.event
     where device = $1 and kind = 'command.result' and time >= $2 and body->'unmapped'->>'status' = 'NotNow' order by time`,
    [handle, oldest],
  );
  return rows.map((row) => ({
    ...{ uuid: row.uuid, verb: row.verb, state: row.state },
    steps: stepsOf(
      row,
      pushes.rows,
      refusals.rows.filter(({ command }) => command === row.uuid),
    ),
  }));
}

function stepsOf(
  row: Row,
  pushes: readonly { readonly at: Date; readonly apns: string | null }[],
  refusals: readonly { readonly at: Date }[],
): WayStep[] {
  const steps: Omit<WayStep, 'gap'>[] = [];
  const add = (step: WayStep['step'], at: Date | null, detail: string | null) => {
    if (at !== null) steps.push({ step, at, detail });
  };
  add('wanted', row.wanted, row.requester === null ? null : `by ${row.requester}: ${row.purpose}`);
  if (row.approval !== null) add('approved', row.dispatched, 'two people signed');
  add('queued', row.queued, null);
  const end = row.done ?? new Date(8.64e15);
  const push = pushes.find(({ at }) => at >= row.queued && at <= (row.delivered ?? end));
  if (push !== undefined) add('pushed', push.at, push.apns === null ? null : `APNs ${push.apns}`);
  add('delivered', row.delivered, row.deliveries > 1 ? `handed out ${row.deliveries} times` : null);
  for (const { at } of refusals) add('not-now', at, 'the device said NotNow (usually: it is locked)');
  add('done', row.done, [row.state.replaceAll('_', ' '), ...errorsOf(row.errors)].join(': '));
  steps.sort((a, b) => a.at.getTime() - b.at.getTime());
  return steps.map((one, i) => ({ ...one, gap: gapBefore(one, steps[i - 1]) }));
}

function gapBefore(one: Omit<WayStep, 'gap'>, last: Omit<WayStep, 'gap'> | undefined): string | null {
  if (last === undefined) return null;
  const ms = one.at.getTime() - last.at.getTime();
  if (ms < LONG_MS) return null;
  const what = last.step === 'not-now' ? 'after NotNow' : WAITED[one.step];
  return `waited ${span(ms)} ${what}`;
}

function errorsOf(errors: Json | null): string[] {
  if (!Array.isArray(errors) || errors.length === 0) return [];
  return [
    errors
      .map((one) =>
        typeof one === 'object' && one !== null && !Array.isArray(one) ? `${one['domain']} ${one['code']}` : '',
      )
      .join(', '),
  ];
}
