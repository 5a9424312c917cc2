import { type Pool, tx } from '#store';
import { openIncident } from './record.ts';

/** Alerts of one principal within this time belong to one incident. */
const TOGETHER = '6 hours';
/** The window begins this long before the alert: what led to it counts too. */
const BEFORE_MS = 15 * 60_000;

/**
 * Opens an incident for alerts that were answered by containment, or joins them to the open one of the same principal.
 * Returns how many alerts were placed.
 */
export async function openForAlerts(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ id: string; title: string; actor: string | null; event_time: Date }>(
      `select id, title, actor, event_time from watch.alert a where incident_id is null and level in ('high', 'critical')
         and exists (select from respond.action x where x.alert_id = a.id) order by created_at limit 50 for update skip locked`,
    );
    for (const alert of rows) {
      const principal = alert.actor?.match(/^[a-z]+-[a-z]+-\d{4}$/) ? alert.actor : null;
      const known = await t.query<{ id: string }>(
        `select id from incident.incident where status <> 'closed' and principal is not distinct from $1
           and opened_at > now() - interval '${TOGETHER}' order by opened_at desc limit 1`,
        [principal],
      );
      const incident =
        known.rows[0]?.id ??
        (
          await openIncident(t, {
            title: alert.title,
            openedBy: 'core',
            windowFrom: alert.event_time.getTime() - BEFORE_MS,
            principal,
          })
        ).id;
      await t.query('update watch.alert set incident_id = $2 where id = $1', [alert.id, incident]);
    }
    return rows.length;
  });
}
