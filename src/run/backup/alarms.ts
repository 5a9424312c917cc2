import { emit } from '#log';
import { type Pool, tx } from '#store';

const HOUR = 3_600_000;
const LEDGER_DAYS = 30;
/** The same alarm is given again after a day. */
const AGAIN = 24 * HOUR;

/**
 * Alarms of what did not happen: a backup that is too old, one of the ledger that should be gone.
 * Each at most once a day. Returns how many it gave.
 */
export async function watchBackups(pool: Pool, now: number): Promise<number> {
  return tx(pool, async (t) => {
    const posture = await t.query<{ alarmed: Record<string, number> }>('select alarmed from backup.posture for update');
    const alarmed = posture.rows[0]?.alarmed;
    if (alarmed === undefined) return 0;
    const { rows } = await t.query<{
      set: string;
      alarm_hours: number;
      oldest_at: Date | null;
      last_at: Date | null;
      since: Date;
    }>(
      `select p.set, p.alarm_hours, p.oldest_at, max(r.begun_at) filter (where r.state = 'done') as last_at,
         coalesce(min(r.begun_at), now()) as since
       from backup.plan p left join backup.run r on r.set = p.set group by p.set`,
    );
    const found: { key: string; kind: string; detail: Record<string, string | number> }[] = [];
    for (const { set, alarm_hours: hours, oldest_at: oldest, last_at: last, since } of rows) {
      const age = now - (last ?? since).getTime();
      if (age > hours * HOUR)
        found.push({ key: `overdue ${set}`, kind: 'backup.overdue', detail: { set, hours: Math.floor(age / HOUR) } });
      // A day of grace: the run that prunes may be under way.
      if (set === 'ledger' && oldest !== null && now - oldest.getTime() > (LEDGER_DAYS + 1) * 24 * HOUR) {
        found.push({
          key: 'outlived',
          kind: 'backup.outlived',
          detail: { set, days: Math.floor((now - oldest.getTime()) / (24 * HOUR)) },
        });
      }
    }
    const fresh = found.filter(({ key }) => now - (alarmed[key] ?? 0) >= AGAIN);
    for (const { kind, detail } of fresh) await emit(t, { kind, actor: 'core', detail });
    const standing = Object.fromEntries(
      found.map(({ key }) => [key, fresh.some((one) => one.key === key) ? now : alarmed[key]!]),
    );
    if (fresh.length > 0 || found.length !== Object.keys(alarmed).length) {
      await t.query('update backup.posture set alarmed = $1', [JSON.stringify(standing)]);
    }
    return fresh.length;
  });
}
