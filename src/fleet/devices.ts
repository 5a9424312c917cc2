import type { Json } from '#base';
import { eventsOf } from '#log';
import type { Queryable } from '#store';
import { FleetError } from './error.ts';
import { type PushState, pushCertificateState, pushState, waitsFor } from './push/state.ts';

export interface DeviceRow {
  readonly handle: string;
  readonly holder: string | null;
  readonly state: string;
  readonly ownership: string;
  readonly serial: string | null;
  readonly model: string | null;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly supervised: boolean | null;
  readonly enrolledAt: Date | null;
  readonly lastSeenAt: Date | null;
  readonly certificateNotAfter: Date | null;
  /** Commands that wait for this device. */
  readonly pending: number;
}

const COLUMNS = `d.handle, d.holder, d.state, d.ownership, d.serial, d.model, d.product_name as "productName", d.os_version as "osVersion",
  d.supervised, d.enrolled_at as "enrolledAt", d.last_seen_at as "lastSeenAt", d.certificate_not_after as "certificateNotAfter",
  (select count(*)::int from fleet.command c where c.device_id = d.id and c.done_at is null) as pending`;

/** Devices by handle, after `after`, filtered by state and by a text that handle, holder, model or version contain. */
export async function listDevices(
  db: Queryable,
  filter: { state?: string; text?: string; after?: string; limit: number },
): Promise<{ devices: DeviceRow[]; total: number }> {
  const where = `($1::text is null or d.state = $1) and ($2::text is null
    or position($2 in concat_ws(' ', d.handle, d.holder, d.model, d.product_name, d.os_version, d.serial)) > 0)`;
  const params = [filter.state ?? null, filter.text?.toLowerCase().trim() || null];
  const { rows } = await db.query<DeviceRow>(
    `select ${COLUMNS} from fleet.device d where ${where} and d.handle > $3 order by d.handle limit $4`,
    [...params, filter.after ?? '', filter.limit],
  );
  const count = await db.query<{ total: number }>(
    `select count(*)::int as total from fleet.device d where ${where}`,
    params,
  );
  return { devices: rows, total: count.rows[0]!.total };
}

/** How many devices are in which state. */
export async function countDevices(db: Queryable): Promise<Record<string, number>> {
  const { rows } = await db.query<{ state: string; n: number }>(
    'select state, count(*)::int as n from fleet.device group by state',
  );
  return Object.fromEntries(rows.map((row) => [row.state, row.n]));
}

export interface CommandRow {
  readonly uuid: string;
  readonly verb: string;
  readonly state: string;
  readonly queuedAt: Date;
  readonly deliveredAt: Date | null;
  readonly doneAt: Date | null;
  readonly errors: Json | null;
  readonly intent: string | null;
  /** Why it is not done yet, in words; null once it is. */
  readonly waitsFor: string | null;
}

/** One device with its last 100 commands and reported inventory. Throws `unknown-device`. */
export async function getDevice(
  db: Queryable,
  handle: string,
): Promise<{
  device: DeviceRow;
  commands: CommandRow[];
  inventory: { kind: string; facts: Json; takenAt: Date }[];
  push: PushState | null;
}> {
  const { rows } = await db.query<DeviceRow>(`select ${COLUMNS} from fleet.device d where d.handle = $1`, [handle]);
  if (rows[0] === undefined)
    throw new FleetError('unknown-device', 'There is no device with this handle.', { status: 404 });
  const commands = await db.query<Omit<CommandRow, 'waitsFor'>>(
    `select c.uuid, c.request_type as verb, c.state, c.queued_at as "queuedAt", c.delivered_at as "deliveredAt",
       c.done_at as "doneAt", c.errors, coalesce(c.intent_id, c.fan_out_id) as intent
     from fleet.command c join fleet.device d on d.id = c.device_id where d.handle = $1 order by c.queued_at desc limit 100`,
    [handle],
  );
  const inventory = await db.query<{ kind: string; facts: Json; takenAt: Date }>(
    `select i.kind, i.facts, i.taken_at as "takenAt" from fleet.inventory i join fleet.device d on d.id = i.device_id
     where d.handle = $1 order by i.kind`,
    [handle],
  );
  const [push, certificate] = [await pushState(db, handle), await pushCertificateState(db)];
  return {
    device: rows[0],
    commands: commands.rows.map((row) => ({ ...row, waitsFor: waitsFor(row.state, push, certificate) })),
    inventory: inventory.rows,
    push,
  };
}

/** What happened to a device, newest first: from the log, nothing else. */
export async function deviceTimeline(db: Queryable, handle: string, options: { before?: number; limit: number }) {
  return eventsOf(db, { device: handle }, options);
}
