import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import { isTimeZone, type MaintenanceWindow, nextOpening } from './window.ts';

/** A group's window as screens show it. */
export interface WindowRow extends MaintenanceWindow {
  readonly id: string;
  readonly group: string;
  readonly groupName: string;
  readonly createdBy: string;
  /** When it opens next, or now if it is open. */
  readonly opensAt: Date | null;
}

const COLUMNS = `w.id, w.group_id as "group", g.name as "groupName", w.time_zone as "timeZone", w.days,
  w.from_minute as "fromMinute", w.minutes, w.created_by as "createdBy"`;

/** Windows in force, by group. */
export async function listWindows(db: Queryable, now: number): Promise<WindowRow[]> {
  const { rows } = await db.query<Omit<WindowRow, 'opensAt'>>(
    `select ${COLUMNS} from fleet.maintenance_window w join fleet.device_group g on g.id = w.group_id
     where w.removed_at is null and g.deleted_at is null order by g.name, w.created_at`,
  );
  return rows.map((row) => {
    const opens = nextOpening([row], now);
    return { ...row, opensAt: opens === undefined ? null : new Date(opens) };
  });
}

/** Gives a group a window. From then on changes reach its devices in one of its windows only. Throws FleetError. */
export async function addWindow(
  t: Tx,
  input: MaintenanceWindow & { readonly group: string; readonly by: string },
): Promise<string> {
  if (!isTimeZone(input.timeZone)) {
    throw new FleetError('bad-request', 'This time zone is not known here. Use a name like Europe/Brussels.');
  }
  const group = await t.query('select from fleet.device_group where id = $1 and deleted_at is null', [input.group]);
  if (!group.rowCount) throw new FleetError('unknown-group', 'There is no group with this id.', { status: 404 });
  const id = uuidv7();
  await t.query(
    `insert into fleet.maintenance_window (id, group_id, time_zone, days, from_minute, minutes, created_by)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [id, input.group, input.timeZone, [...new Set(input.days)].sort(), input.fromMinute, input.minutes, input.by],
  );
  await emit(t, { kind: 'window.saved', actor: input.by, detail: { window: id, group: input.group, added: true } });
  return id;
}

/** Takes a window away; what waited for it goes at the next look. */
export async function removeWindow(t: Tx, input: { readonly window: string; readonly by: string }): Promise<void> {
  const { rowCount } = await t.query(
    `update fleet.maintenance_window set removed_by = $2, removed_at = now() where id = $1 and removed_at is null`,
    [input.window, input.by],
  );
  if (!rowCount) throw new FleetError('unknown-window', 'There is no window with this id.', { status: 404 });
  await emit(t, { kind: 'window.saved', actor: input.by, detail: { window: input.window, added: false } });
}

/** When a change may reach each device that must wait now, in milliseconds; devices that need not wait are left out. */
export async function waitingDevices(
  t: Tx,
  devices: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, number>> {
  const any = await t.query('select from fleet.maintenance_window where removed_at is null limit 1');
  if (!any.rowCount) return new Map();
  const { rows } = await t.query<{ handle: string; windows: MaintenanceWindow[] }>(
    `select d.handle, jsonb_agg(jsonb_build_object('timeZone', w.time_zone, 'days', w.days,
       'fromMinute', w.from_minute, 'minutes', w.minutes) order by w.id) as windows
     from fleet.device d join fleet.group_member m on m.device_id = d.id
     join fleet.device_group g on g.id = m.group_id and g.deleted_at is null
     join fleet.maintenance_window w on w.group_id = m.group_id and w.removed_at is null
     where d.handle = any($1) group by d.handle`,
    [devices],
  );
  const known = new Map<string, number>();
  const waiting = new Map<string, number>();
  for (const { handle, windows } of rows) {
    const key = JSON.stringify(windows);
    const opens = known.get(key) ?? nextOpening(windows, now) ?? now + 86_400_000;
    known.set(key, opens);
    if (opens > now) waiting.set(handle, opens);
  }
  return waiting;
}
