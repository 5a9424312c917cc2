import type { KeyObject } from 'node:crypto';
import { uuidv7 } from '#base';
import { emit } from '#log';
import { type Pool, type Tx, tx } from '#store';
import { tokensAnswer } from '#wire';
import { fanOut } from '../fan-out.ts';
import { lockDeclared } from './sign.ts';

interface ListRow {
  readonly id: number;
  readonly token: string;
  readonly at: number;
  /** The whole list changed; otherwise only devices that came to it are to be told. */
  readonly changed: boolean;
}

/**
 * Tells devices whose declarations changed to look: the ones of a list that changed, and the ones that got another list,
 * unless they hold it already. One signed command for all of them; what was queued for them before and not yet fetched
 * is taken back. Returns how many lists were done.
 */
export async function nudgeDevices(pool: Pool, signKey: KeyObject): Promise<number> {
  return tx(pool, async (t) => {
    await lockDeclared(t);
    const { rows } = await t.query<ListRow>(
      `select id, token, at, nudged_token is distinct from token as changed from fleet.declared_list l
       where nudged_token is distinct from token or exists (select from fleet.declared_device dd where dd.list_id = l.id and dd.due)
       order by id limit 20`,
    );
    for (const list of rows) await nudge(t, list, signKey);
    return rows.length;
  });
}

async function nudge(t: Tx, list: ListRow, signKey: KeyObject): Promise<void> {
  const { rows } = await t.query<{ handle: string }>(
    `select d.handle from fleet.declared_device dd join fleet.device d on d.id = dd.device_id
     where dd.list_id = $1 and ($3 or dd.due) and d.state = 'enrolled' and dd.fetched_token is distinct from $2`,
    [list.id, list.token, list.changed],
  );
  const devices = rows.map(({ handle }) => handle);
  await t.query('update fleet.declared_device set due = false where list_id = $1 and due', [list.id]);
  await t.query('update fleet.declared_list set nudged_token = token, nudged_at = now() where id = $1', [list.id]);
  if (devices.length === 0) return;
  const { rowCount: superseded } = await t.query(
    `update fleet.command k set state = 'cancelled', done_at = now() from fleet.device d
     where d.handle = any($1) and k.device_id = d.id and k.done_at is null and k.request_type = 'DeclarativeManagement'
       and k.state in ('queued', 'not_now')`,
    [devices],
  );
  const id = uuidv7();
  const tokens = tokensAnswer(list).toString('utf8');
  await fanOut(
    t,
    { id, verb: 'DeclarativeManagement', params: { tokens }, scope: { devices }, requester: 'core' },
    signKey,
  );
  await emit(t, {
    kind: 'declaration.nudged',
    actor: 'core',
    detail: { list: list.id, token: list.token, fan_out: id, count: devices.length, superseded: superseded ?? 0 },
  });
}

/**
 * Devices that were told a day ago, took the command and still have not fetched their list are told again. One whose last
 * answer was an error does not know declarative management and is left alone until its list changes.
 */
export async function nudgeAgain(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query(
    `update fleet.declared_device dd set due = true where dd.device_id in (
       select x.device_id from fleet.declared_device x join fleet.declared_list l on l.id = x.list_id
       join fleet.device d on d.id = x.device_id and d.state = 'enrolled'
       cross join lateral (select k.state, k.queued_at, k.done_at from fleet.command k where k.device_id = x.device_id
         and k.request_type = 'DeclarativeManagement' order by k.queued_at desc limit 1) k
       where not x.due and x.fetched_token is distinct from l.token and k.done_at is not null and k.state = 'acknowledged'
         and k.queued_at < now() - interval '1 day' limit 5000)`,
  );
  return rowCount ?? 0;
}
