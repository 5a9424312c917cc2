import { toBase64url } from '#base';
import { type GuardClient, GuardError } from '#seal';
import type { Pool } from '#store';

const UNHEARD = ['unreachable', 'timeout', 'dropped', 'unavailable'];

/**
 * Takes calls to canary addresses to the ledger, which writes the alarm. A crash in between tells a call twice, which is better
 * than not at all. Returns how many were told.
 */
export async function tellCanaryCalls(pool: Pool, ledger: GuardClient): Promise<number> {
  const { rows } = await pool.query<{ id: Buffer; how: string; box: Buffer }>(
    'select * from people.take_canary_calls()',
  );
  for (const { id, how, box } of rows) {
    try {
      await ledger.call('called', { how, box: toBase64url(box) });
    } catch (error) {
      // What the ledger cannot read is told by nobody; what it did not hear is told again.
      if (!(error instanceof GuardError) || UNHEARD.includes(error.code)) throw error;
    }
    await pool.query('select people.canary_told($1)', [id]);
  }
  return rows.length;
}
