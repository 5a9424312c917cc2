import type { Json } from '#base';
import type { Queryable } from '#store';

/** One event as readers see it. `position` is contiguous; `leaf` is null until the ledger has it. */
export interface LogEvent {
  readonly position: number;
  readonly uid: string;
  readonly time: Date;
  readonly kind: string;
  readonly severity: number;
  readonly source: string;
  readonly actor: string | null;
  readonly device: string | null;
  readonly subject: string | null;
  readonly leaf: number | null;
  readonly body: { readonly [key: string]: Json };
}

const COLUMNS = 'position, uid, time, kind, severity_id as severity, source, actor, device, subject, leaf, body';

/** Numbered events after `after`, in order, at most `limit`. */
export async function readEvents(db: Queryable, options: { after: number; limit: number }): Promise<LogEvent[]> {
  const { rows } = await db.query<LogEvent>(
    `select ${COLUMNS} from log.event where position > $1 order by position limit $2`,
    [options.after, options.limit],
  );
  return rows;
}

/** Events that name a device or an actor, newest first, before `before` if given, at most `limit`. */
export async function eventsOf(
  db: Queryable,
  about: { readonly device: string } | { readonly actor: string },
  options: { before?: number; limit: number },
): Promise<LogEvent[]> {
  const [column, value] = 'device' in about ? ['device', about.device] : ['actor', about.actor];
  const { rows } = await db.query<LogEvent>(
    `select ${COLUMNS} from log.event where ${column} = $1 and position < $2 order by position desc limit $3`,
    [value, options.before ?? Number.MAX_SAFE_INTEGER, options.limit],
  );
  return rows;
}
