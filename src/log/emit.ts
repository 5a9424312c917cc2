import type { Json } from '#base';
import type { Queryable } from '#store';

/**
 * One event. `actor` is an admin's handle or the name of a process, `device` and `subject` are handles. `detail` holds
 * handles, counts and codes only: never a name, a number or a text that a person typed.
 */
export interface NewEvent {
  readonly kind: string;
  readonly actor?: string | null;
  readonly device?: string | null;
  readonly subject?: string | null;
  readonly detail?: Readonly<Record<string, Json>>;
}

/**
 * Writes an event in the caller's transaction, so that the act and its record commit together. Returns its UUIDv7.
 * The database builds the OCSF envelope (`log.emit`); an unknown kind throws.
 */
export async function emit(t: Queryable, event: NewEvent): Promise<string> {
  const { rows } = await t.query<{ uid: string }>('select log.emit($1, $2, $3, $4, $5::jsonb) as uid', [
    event.kind,
    event.actor ?? null,
    event.device ?? null,
    event.subject ?? null,
    JSON.stringify(event.detail ?? {}),
  ]);
  return rows[0]!.uid;
}
