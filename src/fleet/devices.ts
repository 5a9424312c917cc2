import type { Json } from '#base';
import { eventsOf } from '#log';
import type { Queryable } from '#store';
import { FleetError } from './error.ts';
import { compileFilter } from './groups/compile.ts';
import { parseFilter } from './groups/filter.ts';
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
  readonly lostMode: boolean;
  readonly enrolledAt: Date | null;
  readonly lastSeenAt: Date | null;
  readonly certificateNotAfter: Date | null;
  /** Since when two seem to hold its keys; its commands are held. */
  readonly twoHoldersAt: Date | null;
  /** Commands that wait for this device. */
  readonly pending: number;
}

const COLUMNS = `d.handle, d.holder, d.state, d.ownership, d.serial, d.model, d.product_name as "productName", d.os_version as "osVersion",
  d.supervised, d.lost_mode as "lostMode", d.enrolled_at as "enrolledAt", d.last_seen_at as "lastSeenAt", d.certificate_not_after as "certificateNotAfter",
  d.two_holders_at as "twoHoldersAt",
  (select count(*)::int from fleet.command c where c.device_id = d.id and c.done_at is null) as pending`;

/** Which devices a list is about; what is left out does not matter. */
export interface DeviceFilter {
  readonly state?: string;
  /** Something that handle, holder, model, version or serial contain. */
  readonly text?: string;
  /** As of `parseFilter`. */
  readonly filter?: unknown;
  /** A group's id. */
  readonly group?: string;
  /** Only those that are silent for longer than their rule allows. */
  readonly silent?: boolean;
  readonly after?: string;
  readonly limit: number;
}

/** Beyond this a count says "at least": no list reads the whole fleet to draw one page. */
const COUNTED = 10_000;

/** Devices by handle, after `after`. `total` counts to 10 000 and no further where something is asked. */
export async function listDevices(
  db: Queryable,
  asked: DeviceFilter,
): Promise<{ devices: DeviceRow[]; total: number }> {
  const params: unknown[] = [];
  const put = (value: unknown): string => `$${params.push(value)}`;
  const compiled = asked.filter === undefined ? undefined : compileFilter(parseFilter(asked.filter), 1);
  params.push(...(compiled?.params ?? []));
  const text = asked.text?.toLowerCase().trim() ?? '';
  const where = [
    ...(compiled === undefined ? [] : [compiled.where, `d.state <> 'retired'`]),
    ...(asked.state === undefined ? [] : [`d.state = ${put(asked.state)}`]),
    ...(text === ''
      ? []
      : [
          `position(${put(text)} in concat_ws(' ', d.handle, d.holder, d.model, d.product_name, d.os_version, d.serial)) > 0`,
        ]),
    ...(asked.group === undefined
      ? []
      : [`exists (select from fleet.group_member m where m.group_id = ${put(asked.group)} and m.device_id = d.id)`]),
    ...(asked.silent === true ? ['exists (select from fleet.silence s where s.device_id = d.id)'] : []),
  ];
  const from = `from fleet.device d ${compiled?.joins ?? ''} where ${where.length === 0 ? 'true' : where.join(' and ')}`;
  const count = await db.query<{ total: number }>(
    where.length === 0
      ? `select count(*)::int as total ${from}`
      : `select count(*)::int as total from (select 1 ${from} limit ${COUNTED}) x`,
    params,
  );
  const { rows } = await db.query<DeviceRow>(
    `select ${COLUMNS} ${from} and d.handle > ${put(asked.after ?? '')} order by d.handle limit ${put(asked.limit)}`,
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
  /** The user's channel that it is for; null for the device's own. */
  readonly channel: number | null;
  /** Why it is not done yet, in words; null once it is. */
  readonly waitsFor: string | null;
}

/** A user's channel beside the device's own: who the user is is not known here. */
export interface ChannelRow {
  readonly id: number;
  /** `shared`: signed in to a shared iPad. */
  readonly kind: 'user' | 'shared';
  readonly since: Date;
}

/** One device with its last 100 commands, open channels and reported inventory. Throws `unknown-device`. */
export async function getDevice(
  db: Queryable,
  handle: string,
): Promise<{
  device: DeviceRow;
  commands: CommandRow[];
  inventory: { kind: string; facts: Json; takenAt: Date }[];
  channels: ChannelRow[];
  push: PushState | null;
}> {
  const { rows } = await db.query<DeviceRow>(`select ${COLUMNS} from fleet.device d where d.handle = $1`, [handle]);
  if (rows[0] === undefined)
    throw new FleetError('unknown-device', 'There is no device with this handle.', { status: 404 });
  const commands = await db.query<Omit<CommandRow, 'waitsFor'>>(
    `select c.uuid, c.request_type as verb, c.state, c.queued_at as "queuedAt", c.delivered_at as "deliveredAt",
       c.done_at as "doneAt", c.errors, coalesce(c.intent_id, c.fan_out_id) as intent, c.channel_id as channel
     from fleet.command c join fleet.device d on d.id = c.device_id where d.handle = $1 order by c.queued_at desc limit 100`,
    [handle],
  );
  const inventory = await db.query<{ kind: string; facts: Json; takenAt: Date }>(
    `select i.kind, i.facts, i.taken_at as "takenAt" from fleet.inventory i join fleet.device d on d.id = i.device_id
     where d.handle = $1 order by i.kind`,
    [handle],
  );
  const channels = await db.query<ChannelRow>(
    `select h.id, h.kind, h.created_at as since from fleet.channel h join fleet.device d on d.id = h.device_id
     where d.handle = $1 and h.state = 'enabled' order by h.id`,
    [handle],
  );
  const [push, certificate] = [await pushState(db, handle), await pushCertificateState(db)];
  return {
    device: rows[0],
    commands: commands.rows.map((row) => ({ ...row, waitsFor: waitsFor(row.state, push, certificate) })),
    inventory: inventory.rows,
    channels: channels.rows,
    push,
  };
}

/** What happened to a device, newest first: from the log, nothing else. */
export async function deviceTimeline(db: Queryable, handle: string, options: { before?: number; limit: number }) {
  return eventsOf(db, { device: handle }, options);
}
