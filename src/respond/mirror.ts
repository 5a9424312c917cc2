import type { Json } from '#base';
import { uuidv7 } from '#base';
import { readEvents } from '#log';
import { endHold, erasePeople, startRotation } from '#people';
import { type Pool, type Tx, tx } from '#store';
import { close } from './approval.ts';

/**
 * Follows what the guards say about locks and approvals and brings our records in line: the guards hold the truth. Moves
 * its cursor in the same transaction, so nothing is applied twice. Returns how many events it looked at.
 */
export async function mirrorGuards(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    await t.query(`insert into watch.cursor (name) values ('mirror') on conflict do nothing`);
    const { rows } = await t.query<{ position: number }>(
      `select position from watch.cursor where name = 'mirror' for update`,
    );
    const events = await readEvents(t, { after: rows[0]!.position, limit: 500 });
    if (events.length === 0) return 0;
    for (const event of events) {
      const detail = (event.body['unmapped'] ?? {}) as { readonly [key: string]: Json };
      if (event.source === 'ledger') await apply(t, event.kind, event.actor, event.uid, event.time, detail);
    }
    await t.query(`update watch.cursor set position = $1, moved_at = clock_timestamp() where name = 'mirror'`, [
      events.at(-1)!.position,
    ]);
    return events.length;
  });
}

async function apply(
  t: Tx,
  kind: string,
  actor: string | null,
  uid: string,
  time: Date,
  detail: { readonly [key: string]: Json },
): Promise<void> {
  const text = (key: string) => (typeof detail[key] === 'string' ? (detail[key] as string) : '');
  const approval = text('approval');
  switch (kind) {
    case 'lock.on':
      await t.query(
        `insert into respond.lock (id, scope, target, reason, put_by, put_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (scope, target) where lifted_at is null do nothing`,
        [uuidv7(), text('scope'), text('target'), text('reason'), actor ?? 'guards', time],
      );
      return;
    case 'lock.off':
      await t.query(
        `update respond.lock set lifted_at = $3, lifted_by = $4 where scope = $1 and target = $2 and lifted_at is null`,
        [text('scope'), text('target'), time, approval || uid],
      );
      if (approval) await close(t, approval, 'executed', null);
      return;
    case 'roster.changed':
      await endRemoved(t, detail);
      if (approval) await close(t, approval, 'executed', null);
      return;
    case 'roster.refounded':
      await t.query(`update api.session set ended_at = now(), ended_by = 'roster made anew' where ended_at is null`);
      await t.query(
        `update respond.approval set state = 'cancelled', reason = 'roster-anew', done_at = now() where state = 'open' and op <> 'command'`,
      );
      return;
    case 'caps.changed':
    case 'breakglass.registered':
    case 'breakglass.reviewed':
    case 'account.invited':
    case 'key.promoted':
    case 'search.hydrated':
    case 'directory.export_begun':
      if (approval) await close(t, approval, 'executed', null);
      return;
    case 'change.released':
    case 'change.cancelled':
      await endHold(
        t,
        { subject: text('subject'), field: text('field'), version: Number(detail['version']) },
        kind === 'change.released',
      );
      if (approval) await close(t, approval, 'executed', null);
      return;
    case 'locks.rotating':
      await startRotation(t, Number(detail['generation']));
      if (approval) await close(t, approval, 'executed', null);
      return;
    case 'directory.erased':
      await erasePeople(t, handlesIn(detail['subjects']), uid);
      if (approval) await close(t, approval, 'executed', null);
      return;
    case 'account.refused':
    case 'approval.refused':
      // A refused command set is closed by whoever asked; here the ones that glass relayed.
      if (approval && text('op') !== '' && text('code') !== 'two-people')
        await close(t, approval, 'refused', text('code'));
      return;
    default:
  }
}

/** Who lost a passkey, a role or the roster itself loses sessions and what he asked for at once. */
async function endRemoved(t: Tx, detail: { readonly [key: string]: Json }): Promise<void> {
  const { act, admin, credential } = detail;
  if (typeof admin !== 'string' || !['remove-admin', 'remove-key', 'role'].includes(String(act))) return;
  await t.query(
    `update api.session set ended_at = now(), ended_by = 'roster changed'
     where admin = $1 and ended_at is null and ($2::text is null or credential is null or credential = $2)`,
    [admin, typeof credential === 'string' ? credential : null],
  );
  if (act !== 'remove-admin') return;
  await t.query(
    `update respond.approval set state = 'cancelled', reason = 'requester-removed', done_at = now()
     where requester = $1 and state = 'open' and op <> 'command'`,
    [admin],
  );
}
const handlesIn = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

/** Whether a lock is in force, as far as core has heard. */
export async function isLocked(pool: Pool, scope: 'directory' | 'commands'): Promise<boolean> {
  const { rowCount } = await pool.query('select 1 from respond.lock where scope = $1 and lifted_at is null', [scope]);
  return (rowCount ?? 0) > 0;
}
