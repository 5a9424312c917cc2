import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Pool, Tx } from '#store';
import { IncidentError } from './error.ts';

/** One incident: what everything that is later said about it is rendered from. Times are ISO 8601 in UTC. */
export interface Incident {
  readonly id: string;
  readonly title: string;
  readonly status: 'open' | 'contained' | 'closed';
  readonly openedBy: string;
  readonly openedAt: string;
  /** When the organisation became aware, confirmed by a person; null = not confirmed, the clock runs provisionally. */
  readonly t0: string | null;
  readonly t0By: string | null;
  readonly t0Reason: string | null;
  readonly windowFrom: string;
  readonly windowTo: string | null;
  /** The admin whose acts are in question, or null for everybody. */
  readonly principal: string | null;
  readonly closedAt: string | null;
}

export interface Note {
  readonly id: string;
  readonly author: string;
  readonly text: string;
  readonly at: string;
}

const COLUMNS = `id, title, status, opened_by as "openedBy", opened_at as "openedAt", t0, t0_by as "t0By",
  t0_reason as "t0Reason", window_from as "windowFrom", window_to as "windowTo", principal, closed_at as "closedAt"`;

interface Row extends Omit<Incident, 'openedAt' | 't0' | 'windowFrom' | 'windowTo' | 'closedAt'> {
  readonly openedAt: Date;
  readonly t0: Date | null;
  readonly windowFrom: Date;
  readonly windowTo: Date | null;
  readonly closedAt: Date | null;
}

const iso = (date: Date | null): string | null => (date === null ? null : date.toISOString());

function fromRow(row: Row): Incident {
  return {
    ...row,
    openedAt: row.openedAt.toISOString(),
    t0: iso(row.t0),
    windowFrom: row.windowFrom.toISOString(),
    windowTo: iso(row.windowTo),
    closedAt: iso(row.closedAt),
  };
}

/** Opens an incident over acts since `windowFrom` (milliseconds). Emits `incident.opened` in the same transaction. */
export async function openIncident(
  t: Tx,
  input: { title: string; openedBy: string; windowFrom: number; principal?: string | null },
): Promise<Incident> {
  const title = input.title.trim();
  if (title.length < 3 || title.length > 200) {
    throw new IncidentError(
      'bad-incident',
      'Give the incident a title of 3 to 200 characters, without names or numbers.',
    );
  }
  const id = uuidv7();
  const { rows } = await t.query<Row>(
    `insert into incident.incident (id, title, opened_by, window_from, principal)
     values ($1, $2, $3, to_timestamp($4::double precision / 1000), $5) returning ${COLUMNS}`,
    [id, title, input.openedBy, input.windowFrom, input.principal ?? null],
  );
  await emit(t, {
    kind: 'incident.opened',
    actor: input.openedBy,
    detail: { incident: id, principal: input.principal ?? '' },
  });
  return fromRow(rows[0]!);
}

/** Newest first, at most `limit`. */
export async function listIncidents(db: Pool | Tx, limit = 100): Promise<Incident[]> {
  const { rows } = await db.query<Row>(`select ${COLUMNS} from incident.incident order by opened_at desc limit $1`, [
    limit,
  ]);
  return rows.map(fromRow);
}

/** One incident with its notes, oldest note first. Throws `unknown-incident`. */
export async function getIncident(db: Pool | Tx, id: string): Promise<{ incident: Incident; notes: Note[] }> {
  const found = await db.query<Row>(`select ${COLUMNS} from incident.incident where id = $1`, [id]);
  const row = found.rows[0];
  if (row === undefined)
    throw new IncidentError('unknown-incident', 'There is no incident with this id.', { status: 404 });
  const notes = await db.query<Omit<Note, 'at'> & { at: Date }>(
    'select id, author, text, at from incident.note where incident_id = $1 order by at, id',
    [id],
  );
  return { incident: fromRow(row), notes: notes.rows.map((note) => ({ ...note, at: note.at.toISOString() })) };
}

/**
 * Confirms when the organisation became aware. Once only: a legal clock is not moved silently. `t0` in milliseconds,
 * not in the future; `reason` 5 to 500 characters. Emits `incident.updated`.
 */
export async function confirmT0(
  t: Tx,
  input: { id: string; t0: number; by: string; reason: string; now: number },
): Promise<Incident> {
  const reason = input.reason.trim();
  if (!Number.isFinite(input.t0) || input.t0 > input.now) {
    throw new IncidentError('bad-incident', 'The moment of awareness cannot be in the future.');
  }
  if (reason.length < 5 || reason.length > 500) {
    throw new IncidentError('bad-incident', 'Say in 5 to 500 characters why this is the moment of awareness.');
  }
  const { rows } = await t.query<Row>(
    `update incident.incident set t0 = to_timestamp($2::double precision / 1000), t0_by = $3, t0_reason = $4
     where id = $1 and t0 is null and status <> 'closed' returning ${COLUMNS}`,
    [input.id, input.t0, input.by, reason],
  );
  const row = rows[0];
  if (row === undefined) {
    const { incident } = await getIncident(t, input.id);
    if (incident.status === 'closed')
      throw new IncidentError('incident-closed', 'This incident is closed.', { status: 409 });
    throw new IncidentError('t0-confirmed', 'The moment of awareness is already confirmed. Add a note instead.', {
      status: 409,
    });
  }
  await emit(t, {
    kind: 'incident.updated',
    actor: input.by,
    detail: { incident: input.id, what: 't0', t0: input.t0 },
  });
  return fromRow(row);
}

/** Adds a note of 1 to 4000 characters; notes are never changed. The text stays out of the event. */
export async function addNote(t: Tx, input: { id: string; author: string; text: string }): Promise<Note> {
  const text = input.text.trim();
  if (text.length < 1 || text.length > 4000)
    throw new IncidentError('bad-incident', 'A note has 1 to 4000 characters.');
  await getIncident(t, input.id);
  const { rows } = await t.query<{ id: string; author: string; text: string; at: Date }>(
    'insert into incident.note (id, incident_id, author, text) values ($1, $2, $3, $4) returning id, author, text, at',
    [uuidv7(), input.id, input.author, text],
  );
  await emit(t, { kind: 'incident.updated', actor: input.author, detail: { incident: input.id, what: 'note' } });
  return { ...rows[0]!, at: rows[0]!.at.toISOString() };
}

/** Marks contained or closed. A closed incident stays closed. */
export async function setStatus(
  t: Tx,
  input: { id: string; status: 'contained' | 'closed'; by: string },
): Promise<Incident> {
  const { rows } = await t.query<Row>(
    `update incident.incident set status = $2, window_to = coalesce(window_to, now()),
       closed_at = case when $2 = 'closed' then now() else closed_at end
     where id = $1 and status <> 'closed' returning ${COLUMNS}`,
    [input.id, input.status],
  );
  if (rows[0] === undefined) {
    await getIncident(t, input.id);
    throw new IncidentError('incident-closed', 'This incident is closed.', { status: 409 });
  }
  await emit(t, { kind: 'incident.updated', actor: input.by, detail: { incident: input.id, what: input.status } });
  return fromRow(rows[0]);
}
