import type { Json } from '#base';
import { emit, type LogEvent } from '#log';
import type { Queryable, Tx } from '#store';
import { WatchError } from './error.ts';

/** An alert as screens show it. Times as Date. */
export interface AlertRow {
  readonly id: string;
  readonly rule: string;
  readonly title: string;
  readonly level: string;
  readonly actor: string | null;
  readonly device: string | null;
  readonly events: number;
  readonly status: 'open' | 'acknowledged' | 'closed';
  readonly acknowledgedBy: string | null;
  readonly acknowledgedAt: Date | null;
  readonly incidentId: string | null;
  readonly eventTime: Date;
  readonly createdAt: Date;
}

const COLUMNS = `a.id, a.rule, a.title, a.level, a.actor, a.device, a.events, a.status, a.acknowledged_by as "acknowledgedBy",
  a.acknowledged_at as "acknowledgedAt", a.incident_id as "incidentId", a.event_time as "eventTime", a.created_at as "createdAt"`;

/** Alerts, newest first (ids are UUIDv7), before the id `before`. */
export async function listAlerts(
  db: Queryable,
  filter: { readonly status?: string; readonly incident?: string; readonly before?: string; readonly limit: number },
): Promise<{ alerts: AlertRow[]; total: number }> {
  const where = '($1::text is null or a.status = $1) and ($2::uuid is null or a.incident_id = $2)';
  const params = [filter.status ?? null, filter.incident ?? null];
  const { rows } = await db.query<AlertRow>(
    `select ${COLUMNS} from watch.alert a where ${where} and ($3::uuid is null or a.id < $3) order by a.id desc limit $4`,
    [...params, filter.before ?? null, filter.limit],
  );
  const count = await db.query<{ total: number }>(
    `select count(*)::int as total from watch.alert a where ${where}`,
    params,
  );
  return { alerts: rows, total: count.rows[0]!.total };
}

/** One alert, its facts and the events around the one that completed it. Throws `unknown-alert`. */
export async function getAlert(
  db: Queryable,
  id: string,
): Promise<{ alert: AlertRow; detail: { readonly [key: string]: Json }; events: LogEvent[] }> {
  const { rows } = await db.query<AlertRow & { detail: { readonly [key: string]: Json }; eventUid: string }>(
    `select ${COLUMNS}, a.detail, a.event_uid as "eventUid" from watch.alert a where a.id = $1`,
    [id],
  );
  if (rows[0] === undefined) throw new WatchError('unknown-alert', 'There is no alert with this id.', { status: 404 });
  const { detail, eventUid, ...alert } = rows[0];
  // What completed the rule, and what the same actor or device did in the minutes before.
  const { rows: events } = await db.query<LogEvent>(
    `select e.position, e.uid, e.time, e.kind, e.severity_id as severity, e.source, e.actor, e.device, e.subject, e.leaf, e.body
     from log.event e where e.time between $2::timestamptz - interval '5 minutes' and $2::timestamptz
       and (e.uid = $1 or e.actor = $3 or e.device = $4) order by e.position desc nulls first limit 50`,
    [eventUid, alert.eventTime, alert.actor, alert.device],
  );
  return { alert, detail, events };
}

/** How many alerts are open, and how many of those critical. */
export async function countOpenAlerts(db: Queryable): Promise<{ open: number; critical: number }> {
  const { rows } = await db.query<{ open: number; critical: number }>(
    `select count(*)::int as open, count(*) filter (where level = 'critical')::int as critical
     from watch.alert where status = 'open'`,
  );
  return rows[0]!;
}

/** Says that somebody looks after it. The first one counts; a second acknowledgement changes nothing. */
export async function acknowledgeAlert(t: Tx, input: { id: string; by: string }): Promise<void> {
  const { rowCount } = await t.query(
    `update watch.alert set status = 'acknowledged', acknowledged_by = $2, acknowledged_at = now()
     where id = $1 and status = 'open'`,
    [input.id, input.by],
  );
  if (rowCount) await emit(t, { kind: 'watch.acknowledged', actor: input.by, detail: { alert: input.id } });
  else await getAlert(t, input.id);
}

/** Puts an alert under an incident. Throws `unknown-alert`. */
export async function linkAlert(t: Tx, input: { id: string; incident: string; by: string }): Promise<void> {
  await getAlert(t, input.id);
  await t.query('update watch.alert set incident_id = $2 where id = $1', [input.id, input.incident]);
  await emit(t, {
    kind: 'incident.updated',
    actor: input.by,
    detail: { incident: input.incident, what: 'alert', alert: input.id },
  });
}
