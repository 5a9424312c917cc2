import { fromBase64url, toBase64url } from '#base';
import type { Field, GuardClient, SealedRow } from '#seal';
import { type Pool, type Queryable, tx } from '#store';

const PEOPLE = 60;
/** Rows of one frame to the ledger, which takes 1 MiB of JSON: secrets of devices are long. */
const BATCH_BYTES = 400_000;

interface Kept {
  readonly subject: string;
  readonly generation: number;
  /** Null for a person without rows. */
  readonly field: Field | null;
  readonly version: number;
  readonly row: Buffer | null;
}

/**
 * Carries rows to the ledger, which puts them under their persons' new locks, and stores them in their places. A person is
 * done when all rows were shown to the ledger as the database keeps them; it destroys the old lock only then. Whatever stops
 * in between, the batch is brought again. Returns how many persons it looked at.
 */
export async function relockPeople(pool: Pool, ledger: GuardClient): Promise<number> {
  const people = whole((await pool.query<Kept>('select * from people.rotating_rows($1)', [PEOPLE])).rows);
  if (people.size === 0) return 0;
  const kept = [...people.values()].flat().filter((one) => one.field !== null) as (Kept & { field: Field })[];
  const generation = [...people.values()][0]![0]!.generation;
  const label = ({ subject, field, version }: Kept & { field: Field }) => ({ subject, field, version });
  const answer = await ledger.call<{ rows: SealedRow[]; done: string[] }>(
    'relock',
    {
      generation,
      rows: kept.flatMap((one) => (one.row === null ? [] : [{ ...label(one), row: toBase64url(one.row) }])),
      withdrawn: kept.filter((one) => one.row === null).map(label),
    },
    { timeoutMs: 60_000 },
  );
  const before = new Map(kept.map((one) => [`${one.subject}|${one.field}`, one.row]));
  const busy = new Set([...answer.rows.map(({ subject }) => subject), ...answer.done]);
  await tx(pool, async (t) => {
    for (const { subject, field, version, row } of answer.rows) {
      const fresh = Buffer.from(fromBase64url(row));
      await t.query('select people.put_resealed($1, $2, $3, $4, $5)', [
        ...[subject, field, version, before.get(`${subject}|${field}`), fresh],
      ]);
    }
    if (answer.done.length > 0) await t.query('select people.rotated($1)', [answer.done]);
    const later = [...people.keys()].filter((subject) => !busy.has(subject));
    if (later.length > 0) await t.query('select people.rotate_later($1)', [later]);
  });
  return people.size;
}

/** Whole persons, as many as fit into a frame; one always. */
function whole(rows: readonly Kept[]): ReadonlyMap<string, Kept[]> {
  const taken = new Map<string, Kept[]>();
  let bytes = 0;
  for (const [subject, own] of Map.groupBy(rows, (one) => one.subject)) {
    bytes += own.reduce((sum, { row }) => sum + (row?.length ?? 0), 0);
    if (taken.size > 0 && bytes > BATCH_BYTES) break;
    taken.set(subject, own);
  }
  return taken;
}

export interface LockRotation {
  readonly generation: number;
  readonly startedAt: Date;
  readonly doneAt: Date | null;
  /** Persons and devices whose rows are still under their old lock. */
  readonly left: number;
}

/** The last change of all locks, if there was one. */
export async function lastRotation(db: Queryable): Promise<LockRotation | undefined> {
  const { rows } = await db.query<LockRotation>(
    `select generation, started_at as "startedAt", done_at as "doneAt", (select count(*)::int from people.rotating) as left
     from people.rotation order by generation desc limit 1`,
  );
  return rows[0];
}

/** Begins to carry rows, once the ledger has told that two people started it. */
export async function startRotation(db: Queryable, generation: number): Promise<void> {
  await db.query('select people.start_rotation($1)', [generation]);
}
