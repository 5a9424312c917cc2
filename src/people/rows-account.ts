import { emit, readEvents } from '#log';
import { type Pool, tx } from '#store';

/** Rows that may be under way between a read and the guards' entry: one batch of what goes through a whole field. */
const UNDER_WAY = 1_000;
const FEW = 100;
/** How long more than `FEW` must stay unaccounted for; entries of the guards arrive within a second. */
const PATIENCE_MS = 6_000;

/**
 * Compares the sealed rows that left the database with those that the guards were asked for. A copy of the directory through
 * a stolen login reads nothing, but is told as `directory.rows_unaccounted`. Asking without reading gives no credit for later.
 * Returns 1 if it was told.
 */
export async function accountRows(pool: Pool, now: number): Promise<number> {
  return tx(pool, async (t) => {
    await t.query(`insert into watch.cursor (name) values ('rows') on conflict do nothing`);
    const cursor = await t.query<{ position: number }>(
      `select position from watch.cursor where name = 'rows' for update`,
    );
    const { rows } = await t.query<{ handed: string; unaccounted: string; over: Date | null; seen: string }>(
      `select handed, unaccounted, over_since as over, people.handed() as seen from people.rows_account`,
    );
    const before = rows[0]!;
    const events = await readEvents(t, { after: cursor.rows[0]!.position, limit: 2_000 });
    let asked = 0;
    for (const { source, body } of events) {
      const detail = body['unmapped'];
      if (source !== 'ledger' || typeof detail !== 'object' || detail === null || !('asked' in detail)) continue;
      if (typeof detail['asked'] === 'number') asked += detail['asked'];
    }
    const handed = Number(before.seen) - Number(before.handed);
    let unaccounted = Math.max(0, Number(before.unaccounted) + handed - asked);
    let over = unaccounted < FEW ? null : (before.over?.getTime() ?? now);
    const told = unaccounted > UNDER_WAY || (over !== null && now - over >= PATIENCE_MS);
    if (told) {
      await emit(t, { kind: 'directory.rows_unaccounted', actor: 'core', detail: { rows: unaccounted } });
      unaccounted = 0;
      over = null;
    }
    if (handed === 0 && events.length === 0 && !told && (over === null) === (before.over === null)) return 0;
    await t.query('update people.rows_account set handed = $1, unaccounted = $2, over_since = $3', [
      ...[before.seen, unaccounted, over === null ? null : new Date(over)],
    ]);
    if (events.length > 0)
      await t.query(`update watch.cursor set position = $1, moved_at = clock_timestamp() where name = 'rows'`, [
        events.at(-1)!.position,
      ]);
    return told ? 1 : 0;
  });
}
