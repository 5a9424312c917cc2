import { fromBase64url, toBase64url } from '#base';
import { emit } from '#log';
import type { Field, GuardClient, SealedRow } from '#seal';
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

/**
 * Moves what arrived under its person's lock: ciphertext to the ledger, ciphertext back. A crash after the ledger's
 * answer repeats the move, which makes another row of the same version and is ignored. Returns how many rows moved.
 */
export async function settleArriving(pool: Pool, ledger: GuardClient): Promise<number> {
  const taken = await pool.query<Arrival>('select * from people.take_arriving($1)', [BATCH]);
  let bytes = 0;
  const rows = taken.rows.filter(({ outer_layer }, i) => {
    bytes += outer_layer.length;
    return i === 0 || bytes <= BATCH_BYTES;
  });
  if (rows.length === 0) return 0;
  const answer = await ledger.call<{ rows: SealedRow[]; refused?: Pick<SealedRow, 'subject' | 'field' | 'version'>[] }>(
    'settle',
    {
      rows: rows.map(({ subject, field, version, outer_layer }) => ({
        ...{ subject, field, version },
        outer: toBase64url(outer_layer),
      })),
    },
    { timeoutMs: 30_000 },
  );
  const key = (row: { subject: string; field: string; version: number }) =>
    `${row.subject} ${row.field} ${row.version}`;
  const settled = new Map(answer.rows.map((row) => [key(row), row]));
  const refused = new Set((answer.refused ?? []).map(key));
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
      } else if (refused.has(key(arrival))) {
        await t.query('select people.set_aside($1)', [arrival.id]);
      }
    }
    await emit(t, { kind: 'directory.settled', actor: 'core', detail: { rows: settled.size, refused: refused.size } });
  });
  return rows.length;
}
