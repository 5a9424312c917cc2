import { uuidv7 } from '#base';
import type { CommandSet } from '#seal';
import type { Queryable, Tx } from '#store';
import { ENROLMENT_PROFILE } from '#wire';
import { FleetError } from '../error.ts';
import { stateIntent } from '../intent.ts';
import { cancelIntent } from '../pending.ts';

export const RETIRE_WAYS = ['unenrol', 'erase', 'forget'] as const;
export type RetireWay = (typeof RETIRE_WAYS)[number];

/** How long a device may take to do what it was asked; then it is retired without its word. */
const RETIRE_DAYS = 30;
const MOST = 100;

export interface RetireInput {
  readonly devices: readonly string[];
  readonly way: RetireWay;
  readonly requester: string;
  readonly purpose: string;
  readonly now: number;
}

/**
 * Asks for devices to leave. Erasing, and unenrolling many, waits for two people and erasing is never done to a personal device; the caller stores
 * `approval` in the same transaction. Throws `already-leaving`, `unknown-device`, `personal-device`.
 */
export async function requestRetirement(
  t: Tx,
  input: RetireInput,
): Promise<{ ids: string[]; approval: CommandSet | undefined }> {
  const devices = [...new Set(input.devices)].sort();
  if (devices.length < 1 || devices.length > MOST)
    throw new FleetError('too-many', `Retire 1 to ${MOST} devices at a time.`);
  const { rows } = await t.query<{ handle: string; leaving: boolean }>(
    `select d.handle, exists (select from fleet.retirement r where r.device_id = d.id and r.ended_at is null) as leaving
     from fleet.device d where d.handle = any($1) and d.state <> 'retired' order by d.handle`,
    [devices],
  );
  if (rows.length !== devices.length)
    throw new FleetError('unknown-device', 'At least one of the devices does not exist or is retired already.', {
      status: 409,
    });
  const leaving = rows.find((row) => row.leaving);
  if (leaving !== undefined)
    throw new FleetError('already-leaving', `${leaving.handle} is leaving already. Cancel that first.`, {
      status: 409,
    });
  const stated =
    input.way === 'forget'
      ? undefined
      : await stateIntent(t, {
          ...{ devices, requester: input.requester, purpose: input.purpose, now: input.now },
          ...(input.way === 'erase'
            ? { verb: 'EraseDevice', params: {} }
            : { verb: 'RemoveProfile', params: { identifier: await enrolmentProfileOf(t, devices) } }),
        });
  const commands = new Map(stated?.targets.map(({ device, uuid }) => [device, uuid]));
  const ids: string[] = [];
  for (const { handle } of rows) {
    const id = uuidv7(input.now);
    ids.push(id);
    await t.query('select fleet.request_retirement($1, $2, $3, $4, $5, $6, $7, $8)', [
      ...[id, handle, input.way, input.requester, input.purpose.trim(), stated?.id ?? null],
      ...[commands.get(handle) ?? null, RETIRE_DAYS],
    ]);
  }
  await t.query("select pg_notify('bartizan_work', '')");
  return { ids, approval: stated?.approval };
}

/** The name of the profile that manages these devices: ours, or the other server's whose place ours took. */
async function enrolmentProfileOf(t: Tx, devices: readonly string[]): Promise<string> {
  const { rows } = await t.query<{ identifier: string }>(
    `select distinct coalesce(f.identifier, $2) as identifier from fleet.device d
     left join fleet.foreign_profile f on f.device_id = d.id where d.handle = any($1)`,
    [devices, ENROLMENT_PROFILE],
  );
  if (rows.length === 1) return rows[0]!.identifier;
  throw new FleetError('bad-request', 'Retire devices that came from another server apart from the others.');
}

/**
 * Takes a retirement back while the device has not fetched its command. Others that were asked for in the same breath are
 * taken back with it: they wait for the same signatures. Throws `too-late`, `unknown-retirement`.
 */
export async function cancelRetirement(t: Tx, input: { readonly id: string; readonly by: string }): Promise<number> {
  const { rows } = await t.query<{ id: string; state: string; intent: string | null; fetched: boolean; mine: boolean }>(
    `select r.id, r.state, r.intent_id as intent, r.id = $1 as mine,
       coalesce((select c.delivered_at is not null from fleet.command c where c.uuid = r.command_uuid), false) as fetched
     from fleet.retirement r where r.id = $1
       or r.intent_id = (select o.intent_id from fleet.retirement o where o.id = $1) order by r.id`,
    [input.id],
  );
  const one = rows.find((row) => row.mine);
  if (one === undefined)
    throw new FleetError('unknown-retirement', 'There is no retirement with this id.', { status: 404 });
  if (one.state !== 'open' || one.intent === null || one.fetched)
    throw new FleetError('too-late', 'The device has fetched the command, or the retirement has ended.', {
      status: 409,
    });
  await cancelIntent(t, { intent: one.intent, by: input.by });
  let cancelled = 0;
  for (const row of rows) {
    if (row.state !== 'open' || row.fetched) continue;
    // What a device fetched between our look and the cancelling goes on by itself.
    const left = await stillFetched(t, row.id);
    if (left) continue;
    const step = await t.query<{ done: boolean }>('select fleet.cancel_retirement($1, $2) as done', [row.id, input.by]);
    if (step.rows[0]!.done) cancelled += 1;
  }
  if (cancelled === 0) throw new FleetError('too-late', 'The device has fetched the command.', { status: 409 });
  return cancelled;
}

async function stillFetched(t: Queryable, id: string): Promise<boolean> {
  const { rows } = await t.query(
    `select from fleet.retirement r join fleet.command c on c.uuid = r.command_uuid
     where r.id = $1 and c.state not in ('cancelled')`,
    [id],
  );
  return rows.length > 0;
}
