import type { Pool } from '#store';
import type { PushClient } from './client.ts';

const BATCH = 200;
/** APNs keeps a push for a phone that is off this long. */
const KEEP_S = 7 * 86_400;

/**
 * Wakes users' channels for which something newer than their last push waits, or that did not come for six hours.
 * A crash between marking and sending delays a push until then. A token that APNs gives up is dropped: the user's next
 * TokenUpdate brings a new one. Returns how many pushes got through.
 */
export async function sendChannelPushes(pool: Pool, client: PushClient, now: () => number): Promise<number> {
  const { rows } = await pool.query<{ id: string; push_token: Buffer; push_magic: string }>(
    `with due as (select h.id from fleet.channel h
       where h.state = 'enabled' and h.push_token is not null and h.push_magic is not null
         and exists (select from fleet.command k where k.channel_id = h.id and k.done_at is null
           and (h.pushed_at is null or k.queued_at > h.pushed_at or h.pushed_at < now() - interval '6 hours'))
       order by h.id limit $1 for no key update of h skip locked)
     update fleet.channel h set pushed_at = clock_timestamp() from due where h.id = due.id
     returning h.id, h.push_token, h.push_magic`,
    [BATCH],
  );
  const expiration = Math.floor(now() / 1000) + KEEP_S;
  const outcomes = await Promise.all(
    rows.map(({ push_token: token, push_magic: magic }) => client.send({ token, magic, expiration })),
  );
  const gone = rows.filter((_, i) => outcomes[i]!.kind === 'invalid').map(({ id }) => id);
  if (gone.length > 0) await pool.query('update fleet.channel set push_token = null where id = any($1)', [gone]);
  return outcomes.filter(({ kind }) => kind === 'sent').length;
}
