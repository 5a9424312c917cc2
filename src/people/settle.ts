import { fromBase64url } from '#base';
import { type Field, type GuardClient, readWritten, type SealedRow } from '#seal';
import { type Pool, tx } from '#store';

const BATCH = 200;
/** Rows of one frame to the ledger, which takes 1 MiB of JSON: secrets of devices are long. */
const BATCH_BYTES = 400_000;

interface Arrival {
  readonly id: number;
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly outer_layer: Buffer;
}

/** What the ledger did not take, and why; `present` is the version that counts. */
interface Refused extends Pick<SealedRow, 'subject' | 'field' | 'version'> {
  readonly code: string;
  readonly present?: number;
}

const key = (row: { subject: string; field: string; version: number }) => `${row.subject} ${row.field} ${row.version}`;

/** A change that waits; `until` in milliseconds, by the ledger's clock. */
interface Held extends Pick<SealedRow, 'subject' | 'field' | 'version'> {
  readonly until: number;
}

/**
 * Moves what arrived under its person's lock: ciphertext to the ledger, ciphertext back. A crash after the ledger's
 * answer repeats the move, which makes another row of the same version and is ignored. Returns how many rows moved.
 */
export async function settleArriving(pool: Pool, ledger: GuardClient): Promise<number> {
  const taken = await pool.query<Arrival>('select * from people.take_arriving($1)', [BATCH]);
  let bytes = 0;
  const taking = new Set<string>();
  const rows = taken.rows.filter((row, i) => {
    bytes += row.outer_layer.length;
    // Answers name a value by its labels: a second one under the same labels waits for the next batch.
    const again = taking.has(key(row));
    taking.add(key(row));
    return i === 0 || (!again && bytes <= BATCH_BYTES);
  });
  if (rows.length === 0) return 0;
  const carried = rows.flatMap(({ subject, field, version, outer_layer }) => {
    const written = readWritten(field, outer_layer);
    return written === undefined ? [] : [{ subject, field, version, ...written }];
  });
  const answer =
    carried.length === 0
      ? { rows: [] as SealedRow[] }
      : await ledger.call<{ rows: SealedRow[]; refused?: Refused[]; held?: Held[] }>(
          'settle',
          { rows: carried },
          { timeoutMs: 30_000 },
        );
  const carriedKeys = new Set(carried.map(key));
  const settled = new Map(answer.rows.map((row) => [key(row), row]));
  const refused = new Map<string, Pick<Refused, 'code' | 'present'>>(
    (answer.refused ?? []).map((one) => [key(one), one]),
  );
  const held = new Map((answer.held ?? []).map((one) => [key(one), one.until]));
  await tx(pool, async (t) => {
    for (const arrival of rows) {
      const row = settled.get(key(arrival));
      if (row !== undefined) {
        const { id, subject, field, version } = arrival;
        await t.query('select people.put_settled($1, $2, $3, $4, $5)', [
          id,
          subject,
          field,
          version,
          Buffer.from(fromBase64url(row.row)),
        ]);
      } else if (held.has(key(arrival))) {
        await t.query('select people.hold($1, $2)', [arrival.id, held.get(key(arrival))]);
      } else {
        const why = carriedKeys.has(key(arrival)) ? refused.get(key(arrival)) : { code: 'malformed' };
        if (why === undefined) continue;
        await t.query('select people.set_aside($1, $2, $3)', [arrival.id, why.code, why.present ?? null]);
      }
    }
  });
  return rows.length;
}
