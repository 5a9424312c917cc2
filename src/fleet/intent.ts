import { HANDLE, type Json, sha256, toBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import { type CommandSet, NIL_UUID } from '#seal';
import type { Tx } from '#store';
import { buildCommand, type CommandRequest, requestTypeOf, type Verb } from '#wire';
import { overBudget } from './brake.ts';
import { onlyOwnChannel } from './channel.ts';
import { FleetError } from './error.ts';
import { onlyIfLost } from './lost-mode.ts';
import { neverErasePersonal } from './ownership.ts';
import { refusePersonal } from './personal.ts';
import { onlyIfPossible } from './possible.ts';
import { mayUnenrolAlone, unenrols } from './unenrol.ts';
import {
  alwaysTwo,
  type CommandParams,
  commandRequest,
  isDangerous,
  LOCKING,
  oneByOne,
  RISK,
  type Risk,
} from './verbs.ts';

/** One person may lock a lost phone at night; more than this an hour needs two. */
export const LOCKS_PER_HOUR = 5;
/** The same for all admins together: names are cheap for whoever owns the console process. */
export const LOCKS_OF_ALL_PER_HOUR = 25;
/** A command for more devices than this is signed once for all of them. */
const MOST_SINGLE = 100;
const MOST_DEVICES = 500_000;
/** What is approved lists each command for two people to read. */
const MOST_APPROVED = 1_000;
const APPROVAL_TTL_MS = 24 * 3_600_000;
const DAY_MS = 86_400_000;
/** How long something waits for a device that does not come, in days. A lost phone may turn up late. */
const WAITS_DAYS: Readonly<Record<Risk, number>> = { read: 7, change: 30, lock: 90, locate: 7, destroy: 90, raw: 7 };

/** Which devices a command to many is for: all that are enrolled when it is dispatched, or those that are named. */
export type Scope = { readonly all: true } | { readonly devices: readonly string[] };

export interface StatedIntent {
  readonly id: string;
  readonly risk: Risk;
  readonly state: 'ready' | 'awaiting-approval' | 'held';
  /** The commands' ids, fixed now; empty for a command to many, whose ids follow from the devices (`fanOutUuid`). */
  readonly targets: readonly { readonly device: string; readonly uuid: string }[];
  /** What two people must sign; present if and only if the state is `awaiting-approval`. */
  readonly approval: CommandSet | undefined;
}

export interface IntentInput {
  readonly verb: Verb;
  /** Handles, or every enrolled device. More than 100 become one fan-out. */
  readonly devices: readonly string[] | 'all';
  readonly params: CommandParams;
  readonly requester: string;
  readonly purpose: string;
  readonly now: number;
  /** Sends a change outside its maintenance window, and says why. */
  readonly emergency?: string;
  /** Devices that one person may change within an hour. Core judges again when it dispatches. */
  readonly changePerHour?: number;
  /** For core alone: the rollout whose ring this is. */
  readonly rollout?: string;
}

/**
 * States what somebody wants done. The command ids are fixed here, so that signing, dispatch and delivery speak of the
 * same commands and a repeated dispatch doubles nothing. The caller stores `approval` in the same transaction.
 */
export async function stateIntent(t: Tx, input: IntentInput): Promise<StatedIntent> {
  const risk = RISK[input.verb];
  const devices = input.devices === 'all' ? 'all' : namedDevices(input.devices);
  const purpose = input.purpose.trim();
  if (purpose.length < 5 || purpose.length > 200) {
    throw new FleetError('bad-request', 'Say in 5 to 200 characters why, without names or numbers.');
  }
  const dangerous = isDangerous(input.verb, input.params);
  const leaving = await unenrols(t, input.verb, input.params, devices);
  const single = oneByOne(input.verb) || dangerous || leaving;
  if (single && (devices === 'all' || devices.length > MOST_APPROVED)) {
    throw new FleetError(
      'too-many',
      `What two people must agree to names its devices, at most ${MOST_APPROVED} at a time.`,
    );
  }
  if (devices !== 'all') await allEnrolled(t, devices);
  if (devices !== 'all') await neverErasePersonal(t, input.verb, devices);
  if (devices !== 'all') await onlyIfLost(t, input.verb, devices);
  const request = commandRequest(input.verb, input.params);
  if (request.verb === 'InstallProfile' && input.rollout === undefined) refusePersonal(request.payload);
  await onlyOwnChannel(t, input.params.channel, devices);
  if (devices !== 'all') await onlyIfPossible(t, input.verb, input.params, devices);
  const id = uuidv7(input.now);
  const scope: Scope | undefined =
    devices === 'all' ? { all: true } : !single && devices.length > MOST_SINGLE ? { devices } : undefined;
  const targets =
    scope === undefined ? (devices as readonly string[]).map((device) => ({ device, uuid: uuidv7(input.now) })) : [];
  const needsTwo =
    alwaysTwo(input.verb) ||
    dangerous ||
    (leaving && !(await mayUnenrolAlone(t, targets.length, true))) ||
    (risk === 'lock' && !(await mayLockAlone(t, input, targets.length)));
  const approval = needsTwo ? approvalFor(input, purpose, targets, request) : undefined;
  const count = devices === 'all' ? await countEnrolled(t) : devices.length;
  const held = needsTwo ? undefined : await heldByBrake(t, input, risk, count);
  const state = needsTwo ? 'awaiting-approval' : held === undefined ? 'ready' : 'held';
  await t.query(
    `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state, approval_id, scope, not_after,
       emergency, held_by, held_why, held_at${input.rollout === undefined ? '' : ', rollout_id'})
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, to_timestamp($11::double precision / 1000), $12, $13, $14,
       case when $13::text is not null then now() end${input.rollout === undefined ? '' : ', $15'})`,
    [
      ...[id, input.verb, risk, JSON.stringify(input.params), JSON.stringify(targets), input.requester, purpose],
      ...[state, approval?.id ?? null, scope === undefined ? null : JSON.stringify(scope)],
      ...[input.now + WAITS_DAYS[risk] * DAY_MS, input.emergency ?? null],
      ...[held === undefined ? null : 'brake', held ?? null],
      ...(input.rollout === undefined ? [] : [input.rollout]),
    ],
  );
  if (approval !== undefined) {
    await t.query('insert into fleet.template (approval_id, template) values ($1, $2)', [
      approval.id,
      buildCommand(NIL_UUID, request),
    ]);
  }
  await emit(t, {
    kind: 'command.requested',
    actor: input.requester,
    detail: {
      ...{ intent: id, verb: input.verb, risk, needs_two: needsTwo },
      devices: count,
    } satisfies Record<string, Json>,
  });
  if (held !== undefined) {
    const detail = { intent: id, verb: input.verb, count, requester: input.requester };
    await emit(t, { kind: 'command.held', actor: 'brake', detail });
  }
  await t.query("select pg_notify('bartizan_work', '')");
  return { id, risk, state, targets, approval };
}

async function heldByBrake(t: Tx, input: IntentInput, risk: Risk, count: number): Promise<string | undefined> {
  if (input.changePerHour === undefined) return undefined;
  const { requester, rollout = null } = input;
  return overBudget(t, { requester, risk, count, releasedBy: null, rollout }, input.changePerHour);
}

/** The handles once each, in order. Throws FleetError. */
function namedDevices(given: readonly string[]): readonly string[] {
  const devices = [...new Set(given)].sort();
  if (devices.length < 1 || devices.length > MOST_DEVICES || devices.some((device) => !HANDLE.test(device))) {
    throw new FleetError('bad-request', `Name 1 to ${MOST_DEVICES} devices by their handles.`);
  }
  return devices;
}

async function allEnrolled(t: Tx, devices: readonly string[]): Promise<void> {
  const { rows } = await t.query<{ n: number }>(
    `select count(*)::int as n from fleet.device where handle = any($1) and state = 'enrolled'`,
    [devices],
  );
  if (rows[0]!.n === devices.length) return;
  throw new FleetError('unknown-device', 'At least one of the devices is not enrolled. Nothing was sent.', {
    status: 409,
  });
}

async function countEnrolled(t: Tx): Promise<number> {
  const { rows } = await t.query<{ n: number }>(`select count(*)::int as n from fleet.device where state = 'enrolled'`);
  return rows[0]!.n;
}

async function mayLockAlone(t: Tx, input: IntentInput, count: number): Promise<boolean> {
  // Counted under a lock, so that parallel requests cannot each see room.
  await t.query("select pg_advisory_xact_lock(hashtext('lock'))");
  const { rows } = await t.query<{ used: number; all: number }>(
    // A row that somebody planted with other targets counts for nothing here: core refuses it.
    `select coalesce(sum(n) filter (where requester = $1), 0)::int as used, coalesce(sum(n), 0)::int as all
     from fleet.intent, lateral (select case when jsonb_typeof(targets) = 'array' then jsonb_array_length(targets) else 0 end as n) x
     where verb = any($2) and approval_id is null and created_at > now() - interval '1 hour'
       and state in ('ready', 'dispatched')`,
    [input.requester, LOCKING],
  );
  const { used, all } = rows[0]!;
  return used + count <= LOCKS_PER_HOUR && all + count <= LOCKS_OF_ALL_PER_HOUR;
}

function approvalFor(
  input: IntentInput,
  purpose: string,
  targets: StatedIntent['targets'],
  request: CommandRequest,
): CommandSet {
  return {
    v: 1,
    op: 'command',
    id: uuidv7(input.now),
    verb: requestTypeOf(request),
    commands: targets.map(({ device, uuid }) => ({
      device,
      uuid,
      body: toBase64url(sha256(buildCommand(uuid, request))),
    })),
    requester: input.requester,
    purpose,
    notAfter: input.now + APPROVAL_TTL_MS,
  };
}
