import { type Pool, tx } from '#store';

/** Events numbered in one transaction. */
export const NUMBER_BATCH = 512;

/** What the event table calls the guards' own entries, copied by `tailGuards`. */
export const GUARD_SOURCE = 'ledger';

/**
 * Gives committed events their place: `position` for every event, `n` for those that become core's leaves. A sequence is
 * not commit order, so readers never follow it: whatever is visible and has no place gets the next one, and an event that
 * commits late comes late. Nobody waits for running transactions: a role that holds one open would blind the watch.
 * Returns how many it numbered. Safe to run twice at once: the counter row is locked. A crash before commit leaves the
 * rows waiting for the next run.
 */
export async function numberEvents(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ last_position: number; last_n: number }>(
      'select last_position, last_n from log.counter for update',
    );
    const { last_position: position, last_n: n } = rows[0]!;
    const done = await t.query<{ position: number; n: number | null }>(
      `with waiting as (
         select seq, time, source from log.event
         where position is null
         order by seq limit $1
       ), placed as (
         select seq, time,
           $2::bigint + row_number() over (order by seq) as position,
           case when source = $4 then null
             else $3::bigint + count(*) filter (where source <> $4) over (order by seq) end as n
         from waiting
       )
       update log.event e set position = p.position, n = p.n from placed p
       where e.seq = p.seq and e.time = p.time and e.position is null
       returning e.position, e.n`,
      [NUMBER_BATCH, position, n, GUARD_SOURCE],
    );
    if (done.rows.length === 0) return 0;
    await t.query('update log.counter set last_position = $1, last_n = $2', [
      Math.max(...done.rows.map((row) => row.position)),
      Math.max(n, ...done.rows.map((row) => row.n ?? 0)),
    ]);
    return done.rows.length;
  });
}
