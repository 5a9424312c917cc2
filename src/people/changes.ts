import type { Queryable } from '#store';

/** A changed number or address that waits. */
export interface WaitingChange {
  readonly subject: string;
  readonly field: string;
  readonly version: number;
  readonly writtenBy: string;
  readonly arrivedAt: Date;
  /** When it counts if nobody turns it away. */
  readonly until: Date;
}

/** Changes that wait, the next one first, at most 200. */
export async function waitingChanges(db: Queryable): Promise<WaitingChange[]> {
  const { rows } = await db.query<WaitingChange>(
    `select subject, field, version, regexp_replace(written_by, '^bartizan_', '') as "writtenBy", arrived_at as "arrivedAt",
       held_until as until from people.arriving where held_until is not null order by held_until, id limit 200`,
  );
  return rows;
}

/** Brings the database in line with what people decided about a change, as the ledger told it. */
export async function endHold(
  db: Queryable,
  change: { readonly subject: string; readonly field: string; readonly version: number },
  released: boolean,
): Promise<void> {
  const { subject, field, version } = change;
  await db.query('select people.end_hold($1, $2, $3, $4)', [subject, field, version, released]);
}
