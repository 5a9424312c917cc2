import { randomUUID } from 'node:crypto';
import { emit } from '#log';
import { type Pool, tx } from '#store';

const CALM_MS = 5_000;
const LONGEST_MS = 180_000;

/**
 * Lets devices go on that wait in Setup Assistant: once nothing waits for them any more (others had a few seconds to queue
 * what a new device needs), and in any case after three minutes, so that no phone hangs at setup. Says which, by an intent.
 */
export async function releaseSetups(pool: Pool, wait = { calmMs: CALM_MS, longestMs: LONGEST_MS }): Promise<number> {
  return tx(pool, async (t) => {
    await t.query(
      `update fleet.device d set awaiting_configuration = false where d.awaiting_since is not null
         and exists (select from fleet.command k where k.device_id = d.id and k.request_type = 'DeviceConfigured'
           and k.state = 'acknowledged' and k.queued_at > d.awaiting_since)`,
    );
    const { rows } = await t.query<{ id: number; handle: string; late: boolean }>(
      `select d.id, d.handle, d.awaiting_since < now() - $2 * interval '1 millisecond' as late
       from fleet.device d
       where d.awaiting_since < now() - $1 * interval '1 millisecond' and d.state = 'enrolled'
         and not exists (select from fleet.command k where k.device_id = d.id and k.request_type = 'DeviceConfigured'
           and k.queued_at > d.awaiting_since and (k.done_at is null or k.state = 'acknowledged'))
         and not exists (select from fleet.intent i where i.verb = 'DeviceConfigured' and i.state = 'ready'
           and i.targets @> jsonb_build_array(jsonb_build_object('device', d.handle)))
         and (d.awaiting_since < now() - $2 * interval '1 millisecond'
           or not exists (select from fleet.command k where k.device_id = d.id and k.done_at is null))
       order by d.awaiting_since limit 50 for update of d skip locked`,
      [wait.calmMs, wait.longestMs],
    );
    for (const { handle, late } of rows) {
      const targets = JSON.stringify([{ device: handle, uuid: randomUUID() }]);
      await t.query(
        `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state)
         values ($1, 'DeviceConfigured', 'change', '{}', $2, 'core', 'the device waits in Setup Assistant', 'ready')`,
        [randomUUID(), targets],
      );
      await emit(t, { kind: 'device.setup_released', actor: 'core', device: handle, detail: { late } });
    }
    if (rows.length > 0) await t.query("select pg_notify('bartizan_work', '')");
    return rows.length;
  });
}
