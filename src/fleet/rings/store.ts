import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import type { RolloutStatus } from './machine.ts';
import { DEFAULT_PLAN, planFault, type Ring } from './ring.ts';
import { type RolloutKind, SUBJECTS } from './subject.ts';

/** A rollout as screens show it. */
export interface RolloutRow {
  readonly id: string;
  readonly kind: RolloutKind;
  /** Of the profile, the app or the set of declarations. */
  readonly subject: string;
  readonly name: string;
  /** Number of the version; null for a set, which is what it is. */
  readonly version: number | null;
  readonly plan: readonly Ring[];
  readonly maxErrorPercent: number;
  readonly requester: string;
  readonly purpose: string;
  readonly state: RolloutStatus;
  readonly ring: number;
  readonly ringAt: Date;
  readonly soakUntil: Date | null;
  readonly skipBy: string | null;
  readonly why: string | null;
  readonly facts: { readonly devices?: number; readonly sent?: number; readonly ok?: number; readonly failed?: number };
  readonly startedAt: Date;
  readonly doneAt: Date | null;
  /** Devices that answered with an error, at most 50. */
  readonly failures: readonly string[];
  /** What people asked that was refused or not carried out yet, newest first. */
  readonly acts: readonly { readonly act: string; readonly by: string; readonly outcome: string | null }[];
}

const COLUMNS = `r.id, r.kind, r.subject_id as subject, coalesce(p.name, a.name, s.name, 'unknown') as name,
  coalesce(v.number, w.number) as version, r.plan, r.max_error_percent as "maxErrorPercent",
  r.requester, r.purpose, r.state, r.ring, r.ring_at as "ringAt", r.soak_until as "soakUntil", r.skip_by as "skipBy", r.why,
  r.facts, r.started_at as "startedAt", r.done_at as "doneAt",
  array(select d.handle from fleet.intent i join fleet.command c on c.intent_id = i.id or c.fan_out_id = i.id
    join fleet.device d on d.id = c.device_id where i.rollout_id = r.id and c.state in ('error', 'format_error', 'unsupported')
    union select d.handle from fleet.app_on o join fleet.intent i on i.id = o.intent_id and i.rollout_id = r.id
      join fleet.device d on d.id = o.device_id
      join fleet.inventory l on l.device_id = o.device_id and l.kind = 'ManagedApplicationList' and l.taken_at > o.at
      where r.kind = 'app' and l.facts->'apps' @> jsonb_build_array(jsonb_build_object('Identifier', a.identifier, 'Status', 'Failed'))
    union select d.handle from fleet.set_admitted m join fleet.device d on d.id = m.device_id
      where r.kind = 'set' and m.set_id = r.subject_id and exists (select from fleet.declared_state z
        join fleet.declaration c on c.identifier = z.identifier and c.kind = z.kind
        join fleet.set_declaration q on q.declaration_id = c.id and q.set_id = r.subject_id
        where z.device_id = m.device_id and z.valid = 'invalid')
    order by 1 limit 50) as failures,
  coalesce((select jsonb_agg(x) from (select a.act, a.by_admin as by, a.outcome from fleet.rollout_act a
    where a.rollout_id = r.id order by a.at desc limit 5) x), '[]') as acts`;
const FROM = `from fleet.rollout r left join fleet.profile p on p.id = r.subject_id and r.kind = 'profile'
  left join fleet.profile_version v on v.id = r.version_id and r.kind = 'profile'
  left join fleet.app a on a.id = r.subject_id and r.kind = 'app' left join fleet.app_version w on w.id = r.version_id and r.kind = 'app'
  left join fleet.declaration_set s on s.id = r.subject_id and r.kind = 'set'`;

const NOT_THERE: Readonly<Record<RolloutKind, string>> = {
  profile: 'There is no such profile or version.',
  app: 'There is no such app or version, or its package was not read and signed yet.',
  set: 'There is no such set that waits for a rollout.',
};

/** Live rollouts first, then the newest; at most 100. */
export async function listRollouts(db: Queryable, subject?: string): Promise<RolloutRow[]> {
  const { rows } = await db.query<RolloutRow>(
    `select ${COLUMNS} ${FROM} where $1::uuid is null or r.subject_id = $1
     order by (r.state in ('running', 'paused', 'halted')) desc, r.started_at desc limit 100`,
    [subject ?? null],
  );
  return rows;
}

/** Starts rolling something out to the devices that want it, ring by ring. An older rollout of the same subject gives way. */
export async function startRollout(
  t: Tx,
  input: {
    readonly kind: RolloutKind;
    readonly subject: string;
    /** Left out for a set of declarations alone. */
    readonly version?: string;
    readonly plan?: readonly Ring[];
    readonly maxErrorPercent?: number;
    readonly by: string;
    readonly purpose: string;
  },
): Promise<string> {
  const plan = input.plan ?? DEFAULT_PLAN;
  const fault = planFault(plan);
  if (fault !== undefined) throw new FleetError('bad-request', `This plan cannot be used: ${fault}.`);
  const purpose = input.purpose.trim();
  if (purpose.length < 5 || purpose.length > 200)
    throw new FleetError('bad-request', 'Say in 5 to 200 characters why, without names or numbers.');
  const version = input.version ?? null;
  const rolled = { id: '', subject_id: input.subject, version_id: version, requester: input.by };
  if ((input.kind === 'set') !== (version === null) || !(await SUBJECTS[input.kind].known(t, rolled)))
    throw new FleetError(`unknown-${input.kind}`, NOT_THERE[input.kind], { status: 404 });
  const older = await t.query<{ id: string }>(
    `select id from fleet.rollout where subject_id = $1 and state in ('running', 'paused', 'halted')`,
    [input.subject],
  );
  for (const { id } of older.rows) await askRollout(t, { rollout: id, act: 'cancel', by: input.by });
  const id = uuidv7();
  await t.query(
    `insert into fleet.rollout (id, kind, subject_id, version_id, plan, max_error_percent, requester, purpose)
     values ($1, $8, $2, $3, $4, $5, $6, $7)`,
    [id, input.subject, version, JSON.stringify(plan), input.maxErrorPercent ?? 10, input.by, purpose, input.kind],
  );
  const what = { what: input.kind, [input.kind]: input.subject, version };
  const detail = { rollout: id, ...what, rings: plan.length };
  await emit(t, { kind: 'rollout.started', actor: input.by, detail });
  await t.query("select pg_notify('bartizan_work', '')");
  return id;
}

/** Asks core to pause, resume, skip a soak or give up; core judges it within a second. Skipping takes two people. */
export async function askRollout(
  t: Tx,
  input: { readonly rollout: string; readonly act: 'pause' | 'resume' | 'skip' | 'cancel'; readonly by: string },
): Promise<void> {
  const { rowCount } = await t.query(
    `insert into fleet.rollout_act (id, rollout_id, act, by_admin)
     select $1, id, $3, $4 from fleet.rollout where id = $2 and state in ('running', 'paused', 'halted')`,
    [uuidv7(), input.rollout, input.act, input.by],
  );
  if (!rowCount) throw new FleetError('unknown-rollout', 'There is no such rollout, or it is over.', { status: 409 });
  await t.query("select pg_notify('bartizan_work', '')");
}
