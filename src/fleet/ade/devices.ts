import { newDeviceHandle } from '#base';
import { emit } from '#log';
import type { Tx } from '#store';
import type { AdeDevice } from '#wire';

/** What a page of devices changed. */
export interface AdeChanges {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/**
 * Applies one page. An older operation than the one that is known changes nothing, so a page that comes again is harmless.
 * New serial numbers become devices that wait for their phones.
 */
export async function applyAdePage(t: Tx, devices: readonly AdeDevice[], autoAssign: boolean): Promise<AdeChanges> {
  const changes = { added: 0, changed: 0, removed: 0 };
  for (const one of devices) {
    const { rows } = await t.query<{ device_id: number; newer: boolean; removed: boolean }>(
      `select device_id, coalesce(op_at <= to_timestamp($2::double precision / 1000), true) as newer, removed_at is not null as removed
       from fleet.ade_device where serial = $1 for update`,
      [one.serial, one.opAt],
    );
    const known = rows[0];
    if (one.op === 'deleted') {
      if (known?.newer && !known.removed) {
        await removeAdeDevice(t, one.serial, one.opAt);
        changes.removed += 1;
      }
      continue;
    }
    // A full fetch (no op) tells the present state.
    if (known !== undefined && one.op !== null && !known.newer) continue;
    const device = known?.device_id ?? (await newOffered(t, one));
    if (known === undefined || known.removed) changes.added += 1;
    else changes.changed += 1;
    await t.query(
      `insert into fleet.ade_device as a (serial, device_id, model, description, color, os, family, profile_status,
         profile_uuid, op_at, wanted, seen_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif(to_timestamp($10::double precision / 1000), 'epoch'::timestamptz), $11,
         -- not the transaction's time: the fetch began in it, and what was seen before that has vanished
         clock_timestamp())
       on conflict (serial) do update set model = excluded.model, description = excluded.description, color = excluded.color,
         os = excluded.os, family = excluded.family, profile_status = excluded.profile_status,
         profile_uuid = excluded.profile_uuid, op_at = coalesce(excluded.op_at, a.op_at), seen_at = clock_timestamp(),
         wanted = case when a.removed_at is not null then excluded.wanted else a.wanted end, removed_at = null`,
      [
        ...[one.serial, device, one.model, one.description, one.color, one.os, one.family, one.profileStatus],
        ...[one.profileUuid, one.opAt, autoAssign ? 'assign' : null],
      ],
    );
    if (known?.removed)
      await t.query(
        `update fleet.device set state = 'offered' where id = $1 and state = 'retired' and enrolled_at is null`,
        [device],
      );
  }
  return changes;
}

async function newOffered(t: Tx, one: AdeDevice): Promise<number> {
  for (;;) {
    const handle = newDeviceHandle();
    const { rows } = await t.query<{ id: number }>(
      `insert into fleet.device (handle, serial, model) values ($1, $2, $3) on conflict (handle) do nothing returning id`,
      [handle, one.serial, one.model],
    );
    if (rows[0] === undefined) continue;
    await emit(t, { kind: 'device.offered', actor: 'core', device: handle, detail: { by: 'ade' } });
    return rows[0].id;
  }
}

/** The device is no longer ours at Apple: one that never enrolled is gone; one that is enrolled stays, and is told of. */
export async function removeAdeDevice(t: Tx, serial: string, at: number): Promise<void> {
  const { rows } = await t.query<{ device_id: number; handle: string; state: string }>(
    `update fleet.ade_device a set removed_at = now(), wanted = null,
       op_at = greatest(a.op_at, nullif(to_timestamp($2::double precision / 1000), 'epoch'::timestamptz))
     from fleet.device d where d.id = a.device_id and a.serial = $1 returning a.device_id, d.handle, d.state`,
    [serial, at],
  );
  const gone = rows[0];
  if (gone === undefined) return;
  if (gone.state === 'offered')
    await t.query(`update fleet.device set state = 'retired' where id = $1`, [gone.device_id]);
  else await emit(t, { kind: 'ade.device_removed', actor: 'core', device: gone.handle });
}
