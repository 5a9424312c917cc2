import type { GuardClient, TransitNotice } from '#seal';
import type { Pool } from '#store';

/** Hands writers what the ledger signed about the key of values in transit. Returns 0: there is nothing to hurry for. */
export function tellTransit(pool: Pool, ledger: GuardClient): () => Promise<number> {
  let told = 1;
  return async () => {
    const { transit } = await ledger.call<{ transit?: TransitNotice }>('status', {});
    if (transit === undefined || transit.number <= told) return 0;
    await pool.query('select people.put_transit($1, $2)', [transit.number, JSON.stringify(transit)]);
    told = transit.number;
    return 0;
  };
}
