import { emit } from '#log';
import { type Pool, type Tx, tx } from '#store';
import { assignedDevices } from '../profiles/library.ts';
import { settleProfile } from '../profiles/send.ts';
import { within } from '../within.ts';
import { advance, type RingFacts, type RolloutInput, type RolloutState, type RolloutStep } from './machine.ts';
import { planFault, type Ring, ringMembers } from './ring.ts';
import { type Rolled, type RolloutDoors, type RolloutKind, SUBJECTS } from './subject.ts';

interface Live extends Rolled {
  readonly kind: RolloutKind;
  readonly plan: readonly Ring[];
  readonly max_error_percent: number;
  readonly state: RolloutState['status'];
  readonly ring: number;
  readonly soak_until: number | null;
  readonly accepted_errors: number;
  readonly skip_by: string | null;
}

interface Act {
  readonly id: string;
  readonly act: 'pause' | 'resume' | 'skip' | 'cancel';
  readonly by_admin: string;
}

/**
 * One look at every live rollout: first what people asked, then what the devices say, then what the open ring still lacks.
 * Each rollout is one transaction under its row's lock. A crash anywhere leaves it as it was before or after; what was
 * sent is noted by the subject in the same transaction, so that a repeated look sends nothing twice. Returns how
 * many rollouts changed.
 */
export async function advanceRollouts(pool: Pool, doors: RolloutDoors): Promise<number> {
  const { rows } = await pool.query<{ id: string }>(
    `select id from fleet.rollout where state in ('running', 'paused', 'halted') order by started_at limit 100`,
  );
  let changed = 0;
  for (const { id } of rows) {
    // One that nobody can carry out must not hold up those behind it.
    const step = await tx(pool, async (t) => {
      let moved = false;
      const fault = await within(t, async () => {
        moved = await advanceOne(t, id, doors);
      });
      if (fault !== undefined) await cancelMalformed(t, id);
      return moved || fault !== undefined;
    });
    if (step) changed += 1;
  }
  return changed;
}

/** The console wrote it, and no subject or plan can be read out of it. */
async function cancelMalformed(t: Tx, id: string): Promise<void> {
  const { rows } = await t.query<{ kind: string; subject_id: string; ring: number }>(
    `update fleet.rollout set state = 'cancelled', why = 'malformed', done_at = now() where id = $1 returning kind, subject_id, ring`,
    [id],
  );
  const { kind: what, subject_id: subject, ring } = rows[0]!;
  const detail = { rollout: id, what, [what]: subject, ring: ring + 1, state: 'cancelled' };
  await emit(t, { kind: 'rollout.cancelled', actor: 'core', detail });
}

async function advanceOne(t: Tx, id: string, doors: RolloutDoors): Promise<boolean> {
  const { rows } = await t.query<Live>(
    `select id, kind, subject_id, version_id, plan, max_error_percent, requester, state, ring, accepted_errors, skip_by,
       extract(epoch from soak_until)::double precision * 1000 as soak_until
     from fleet.rollout where id = $1 and state in ('running', 'paused', 'halted') for update`,
    [id],
  );
  const live = rows[0];
  if (live === undefined) return false;
  // The console wrote the plan; what it must keep to is judged here.
  const fault = planFault(live.plan);
  if (fault !== undefined) {
    await save(t, live, { ...stateOf(live), status: 'cancelled' }, { kind: 'cancelled' }, 'core', fault);
    return true;
  }
  const subject = SUBJECTS[live.kind];
  if (!(await subject.known(t, live))) {
    const why = 'what it names is not there, or may not go out';
    await save(t, live, { ...stateOf(live), status: 'cancelled' }, { kind: 'cancelled' }, 'core', why);
    return true;
  }
  const rules = { plan: live.plan, maxErrorPercent: live.max_error_percent };
  const now = doors.now();
  const devices = await subject.wanted(t, live);
  let facts = await factsOf(t, live, devices, live.ring);
  let state = stateOf(live);
  let changed = false;
  const acts = await t.query<Act>(
    `select id, act, by_admin from fleet.rollout_act where rollout_id = $1 and done_at is null order by at limit 20 for update`,
    [id],
  );
  const apply = async (input: RolloutInput, by: string): Promise<RolloutStep | undefined> => {
    const { state: next, step } = advance(rules, state, input);
    state = next;
    if (step !== undefined && step.kind !== 'refused') {
      await save(t, live, next, step, by);
      if (next.status === 'done') await subject.finish?.(t, live);
      changed = true;
    }
    return step;
  };
  for (const { id: act, act: type, by_admin: by } of acts.rows) {
    const step = await apply({ type, by, facts, now }, by);
    if (step?.kind === 'resumed') {
      await forgetUnsent(t, live);
      facts = await factsOf(t, live, devices, state.ring);
    }
    await t.query('update fleet.rollout_act set done_at = clock_timestamp(), outcome = $2 where id = $1', [
      ...[act, step?.kind === 'refused' ? `refused: ${step.why}`.slice(0, 64) : 'done'],
    ]);
  }
  await apply({ type: 'look', facts, now }, live.requester);
  if (state.status === 'running') {
    const members = ringMembers(live.id, devices, live.plan[state.ring]!);
    const sent = await subject.send(t, live, members, doors);
    if (sent > 0) changed = true;
    facts = await factsOf(t, live, devices, state.ring);
  }
  await t.query('update fleet.rollout set facts = $2 where id = $1 and facts is distinct from $2', [
    ...[id, JSON.stringify(facts)],
  ]);
  return changed;
}

const stateOf = (live: Live): RolloutState => ({
  status: live.state,
  ring: live.ring,
  soakUntil: live.soak_until,
  acceptedErrors: live.accepted_errors,
  skipBy: live.skip_by,
});

/**
 * Where no rollout is under way, devices that joined or left what a profile is assigned to are brought in line. Returns
 * how many devices were touched.
 */
export async function settleProfiles(pool: Pool, doors: RolloutDoors): Promise<number> {
  const { rows } = await pool.query<{ id: string }>(
    `select id from fleet.profile p where exists (select from fleet.profile_on o where o.profile_id = p.id)
       or exists (select from fleet.profile_assignment a where a.profile_id = p.id and a.removed_at is null)`,
  );
  let touched = 0;
  for (const { id } of rows) {
    touched += await tx(pool, async (t) => {
      // One at a time with a rollout that starts: its row is locked by whoever looks at it.
      await t.query('select from fleet.rollout where subject_id = $1 for share', [id]);
      return settleProfile(t, { profile: id, wanted: await assignedDevices(t, id), doors });
    });
  }
  return touched;
}

async function factsOf(t: Tx, live: Live, devices: readonly string[], ring: number): Promise<RingFacts> {
  const members = ringMembers(live.id, devices, live.plan[ring]!);
  const subject = SUBJECTS[live.kind];
  const { rows } = await t.query<{ sent: number; ok: number; failed: number; worse: number; refused: string | null }>(
    `with done as (${subject.outcomes}),
     -- Devices that took it and since then broke a rule, or changed what we had installed.
     worse as (
       select distinct x.device_id from done x where x.outcome = 'ok' and (
         exists (select from fleet.compliance v where v.device_id = x.device_id and v.state in ('failing', 'grace') and v.since >= x.at)
         or exists (select from fleet.drift v where v.device_id = x.device_id and v.state = 'drifted' and v.since >= x.at)))
     select (${subject.sent}) as sent,
       (select count(*)::int from done where outcome = 'ok') as ok,
       (select count(*)::int from done where outcome = 'failed') as failed,
       (select count(*)::int from worse) as worse,
       (select 'an intent of it was ' || state || coalesce(': ' || reason, '') from fleet.intent where rollout_id = $1
         and state in ('refused', 'cancelled', 'expired') limit 1) as refused`,
    [live.id, live.subject_id, live.version_id, members],
  );
  const { sent, ok, failed, worse, refused } = rows[0]!;
  const counted = { ok: ok - worse, failed: failed + worse, worse };
  return { devices: members.length, sent, ...counted, ...(refused === null ? {} : { refused: refused.slice(0, 150) }) };
}

/** What was never sent, because its approval failed or somebody took it back, is asked for anew after a resume. */
async function forgetUnsent(t: Tx, live: Live): Promise<void> {
  const { rows } = await t.query<{ id: string }>(
    `update fleet.intent set rollout_id = null where rollout_id = $1 and state in ('refused', 'cancelled', 'expired') returning id`,
    [live.id],
  );
  await SUBJECTS[live.kind].forgetUnsent(
    t,
    live,
    rows.map(({ id }) => id),
  );
}

const EVENT: Readonly<Record<RolloutStep['kind'], string | undefined>> = {
  ring: 'rollout.ring',
  soak: undefined,
  done: 'rollout.done',
  paused: 'rollout.paused',
  resumed: 'rollout.resumed',
  cancelled: 'rollout.cancelled',
  skip_asked: 'rollout.skip_asked',
  skipped: 'rollout.skipped',
  halted: 'rollout.halted',
  refused: undefined,
};

async function save(
  t: Tx,
  live: Live,
  state: RolloutState,
  step: RolloutStep,
  by: string,
  why?: string,
): Promise<void> {
  const said = step.kind === 'halted' ? step.why : (why ?? null);
  await t.query(
    `update fleet.rollout set state = $2, ring_at = case when ring = $3 then ring_at else now() end, ring = $3,
       soak_until = to_timestamp($4::double precision / 1000), accepted_errors = $5, skip_by = $6, why = $7,
       done_at = case when $2 in ('done', 'cancelled') then now() end where id = $1`,
    [live.id, state.status, state.ring, state.soakUntil, state.acceptedErrors, state.skipBy, said],
  );
  const kind = EVENT[step.kind];
  const what = { what: live.kind, [live.kind]: live.subject_id };
  const detail = { rollout: live.id, ...what, ring: state.ring + 1, state: state.status };
  if (kind !== undefined) await emit(t, { kind, actor: by, detail });
}
