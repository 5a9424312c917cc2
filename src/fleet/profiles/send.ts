import type { CommandSet } from '#seal';
import type { Tx } from '#store';
import { dangersOf } from '#wire';
import { stateIntent } from '../intent.ts';

/** Most devices of one intent that two people must read and sign. */
const MOST_APPROVED = 1_000;
const MOST = 20_000;

/**
 * Sends a version to those of the devices that do not have it from us yet, as one intent, and notes it in the same
 * transaction. Returns to how many. A profile with dangers waits for two people per intent.
 */
export async function sendProfile(
  t: Tx,
  input: {
    readonly id: string;
    readonly subject_id: string;
    readonly version_id: string;
    readonly requester: string;
    readonly members: readonly string[];
    readonly doors: {
      readonly requestApproval: (t: Tx, document: CommandSet) => Promise<void>;
      readonly now: () => number;
    };
  },
): Promise<number> {
  const { rows } = await t.query<{ handle: string }>(
    `select d.handle from fleet.device d left join fleet.profile_on o on o.device_id = d.id and o.profile_id = $1
     where d.handle = any($2) and d.state = 'enrolled' and o.version_id is distinct from $3 order by d.handle limit $4`,
    [input.subject_id, input.members, input.version_id, MOST],
  );
  if (rows.length === 0) return 0;
  const version = await t.query<{ body: Buffer; number: number }>(
    'select body, number from fleet.profile_version where id = $1',
    [input.version_id],
  );
  const { body, number } = version.rows[0]!;
  const handles = rows.map(({ handle }) => handle);
  const state = (devices: readonly string[]) =>
    stateIntent(t, {
      ...{ verb: 'InstallProfile', devices, params: { profile: body.toString('utf8') } },
      ...{ requester: input.requester, purpose: `rollout of version ${number}`, rollout: input.id },
      now: input.doors.now(),
    });
  // What needs two people is stated in portions that two people can read.
  const portion = dangersOf(body).length > 0 ? MOST_APPROVED : handles.length;
  for (let from = 0; from < handles.length; from += portion) {
    const part = handles.slice(from, from + portion);
    const stated = await state(part);
    if (stated.approval !== undefined) await input.doors.requestApproval(t, stated.approval);
    await note(t, { ...input, intent: stated.id, handles: part });
  }
  return handles.length;
}

async function note(
  t: Tx,
  input: { subject_id: string; version_id: string; id: string; intent: string; handles: readonly string[] },
): Promise<void> {
  await t.query(
    `insert into fleet.profile_on as o (profile_id, device_id, version_id, rollout_id, intent_id)
     select $1, id, $2, $3, $4 from fleet.device where handle = any($5)
     on conflict (profile_id, device_id) do update set version_id = excluded.version_id, rollout_id = excluded.rollout_id,
       intent_id = excluded.intent_id, at = clock_timestamp()`,
    [input.subject_id, input.version_id, input.id, input.intent, input.handles],
  );
}

/**
 * Brings devices in line with what is assigned where no rollout is under way: who joined gets the version that was rolled
 * out last, who is no longer wanted loses the profile. Returns how many devices were touched.
 */
export async function settleProfile(
  t: Tx,
  input: {
    readonly profile: string;
    readonly wanted: readonly string[];
    readonly doors: {
      readonly requestApproval: (t: Tx, document: CommandSet) => Promise<void>;
      readonly now: () => number;
    };
  },
): Promise<number> {
  const last = await t.query<{ id: string; version_id: string; requester: string; state: string }>(
    `select id, version_id, requester, state from fleet.rollout where subject_id = $1 order by started_at desc limit 1`,
    [input.profile],
  );
  const rollout = last.rows[0];
  if (rollout !== undefined && ['running', 'paused', 'halted'].includes(rollout.state)) return 0;
  let touched = 0;
  if (rollout?.state === 'done') {
    const { id, version_id, requester } = rollout;
    touched += await sendProfile(t, {
      ...{ id, subject_id: input.profile, version_id, requester },
      ...{ members: input.wanted, doors: input.doors },
    });
  }
  return touched + (await removeUnwanted(t, input));
}

async function removeUnwanted(
  t: Tx,
  input: {
    readonly profile: string;
    readonly wanted: readonly string[];
    readonly doors: { readonly now: () => number };
  },
): Promise<number> {
  const { rows } = await t.query<{ handle: string; identifier: string; by: string | null }>(
    `select d.handle, p.identifier, (select a.removed_by from fleet.profile_assignment a where a.profile_id = p.id
       and a.removed_by is not null order by a.removed_at desc limit 1) as by
     from fleet.profile_on o join fleet.device d on d.id = o.device_id join fleet.profile p on p.id = o.profile_id
     where o.profile_id = $1 and o.version_id is not null and d.state = 'enrolled' and d.handle <> all($2)
     order by d.handle limit $3`,
    [input.profile, input.wanted, MOST],
  );
  if (rows.length === 0) return 0;
  const handles = rows.map(({ handle }) => handle);
  // Stated in the name of who took the assignment away, and so within that person's budget: a stolen account that
  // unassigns a profile everywhere is held like one that removes it everywhere.
  const stated = await stateIntent(t, {
    ...{ verb: 'RemoveProfile', devices: handles, params: { identifier: rows[0]!.identifier } },
    ...{ requester: rows[0]!.by ?? 'core', purpose: 'no longer assigned', now: input.doors.now() },
  });
  await t.query(
    `update fleet.profile_on o set version_id = null, rollout_id = null, intent_id = $3, at = clock_timestamp()
     from fleet.device d where d.id = o.device_id and o.profile_id = $1 and d.handle = any($2)`,
    [input.profile, handles, stated.id],
  );
  return handles.length;
}
