import { createHash, type KeyObject } from 'node:crypto';
import { uuidv7 } from '#base';
import { emit } from '#log';
import { type Pool, type Queryable, type Tx, tx } from '#store';
import { checkDeclaration, newestFor, type OsRelease } from '#wire';
import { FleetError } from '../error.ts';
import { ownDeclaration } from './own.ts';
import { listReleases } from './releases.ts';
import { lockDeclared } from './sign.ts';

const TYPE = 'com.apple.configuration.softwareupdate.enforcement.specific';

export interface UpdateInput {
  readonly name: string;
  /** Null for every device. */
  readonly group: string | null;
  /** Null for the newest that each model can have. */
  readonly version: string | null;
  /** On the devices' own clocks, `2026-12-01T18:00:00`. */
  readonly deadline: string;
  readonly detailsUrl: string | null;
  readonly by: string;
}

/** What a model in scope would get, and why nothing. */
export interface ModelTarget {
  readonly model: string;
  readonly devices: number;
  readonly version: string | null;
  readonly build: string | null;
  /** `model-unknown`: the device did not say; `not-for-this-model`; null if it gets the version. */
  readonly why: 'model-unknown' | 'not-for-this-model' | null;
  /** Devices that are older than the version and so would be made to update. */
  readonly behind: number;
}

/** What a plan would do, by model. Throws FleetError if there is no list of versions or no such group. */
export async function previewUpdate(
  db: Queryable,
  plan: Pick<UpdateInput, 'group' | 'version'>,
): Promise<ModelTarget[]> {
  const releases = await listReleases(db);
  if (releases.length === 0) {
    throw new FleetError('no-feed', 'No list of system versions was read yet. Upload one, or set its address.', {
      status: 409,
    });
  }
  const group =
    plan.group === null || (await db.query('select 1 from fleet.device_group where id = $1', [plan.group])).rowCount;
  if (!group) throw new FleetError('unknown-group', 'There is no group with this id.', { status: 404 });
  const { rows } = await db.query<{ model: string | null; devices: number; versions: Record<string, number> }>(
    `select product_name as model, sum(n)::int as devices, jsonb_object_agg(coalesce(os_version, ''), n) as versions from (
       select d.product_name, d.os_version, count(*)::int as n from fleet.device d where d.state = 'enrolled'
         and ($1::uuid is null or exists (select from fleet.group_member m where m.group_id = $1 and m.device_id = d.id))
       group by 1, 2) x group by 1 order by 1`,
    [plan.group],
  );
  return rows.map(({ model, devices, versions }) => {
    const target = model === null ? undefined : targetFor(model, plan.version, releases);
    const behind = target === undefined ? 0 : countBehind(versions, target.version);
    return {
      ...{ model: model ?? 'unknown', devices, version: target?.version ?? null, build: target?.build ?? null, behind },
      why: target !== undefined ? null : model === null ? 'model-unknown' : 'not-for-this-model',
    };
  });
}

const today = () => new Date().toISOString().slice(0, 10);

function targetFor(model: string, version: string | null, releases: readonly OsRelease[]): OsRelease | undefined {
  return newestFor(model, version === null ? releases : releases.filter((one) => one.version === version), today());
}

function countBehind(versions: Record<string, number>, target: string): number {
  const key = (version: string) =>
    version.split('.').map((part) => (Number.parseInt(part, 10) || 0).toString().padStart(4, '0'));
  const goal = key(`${target}.0.0`).slice(0, 3).join();
  return Object.entries(versions)
    .filter(
      ([version]) =>
        key(`${version || '0'}.0.0`)
          .slice(0, 3)
          .join() < goal,
    )
    .reduce((sum, [, n]) => sum + n, 0);
}

/** Plans an update. Refuses a version that a model in scope cannot have. Throws FleetError. */
export async function planUpdate(t: Tx, input: UpdateInput): Promise<{ id: string; models: ModelTarget[] }> {
  const models = await previewUpdate(t, input);
  const cannot = models.filter(({ why }) => why === 'not-for-this-model').map(({ model }) => model);
  if (input.version !== null && cannot.length > 0) {
    throw new FleetError(
      'bad-request',
      `These models cannot have ${input.version}: ${cannot.slice(0, 8).join(', ')}. Choose the newest per model, or a smaller group.`,
      { status: 409 },
    );
  }
  const { problems } = checkDeclaration({
    ...{ type: TYPE, identifier: 'bartizan.update' },
    payload: payloadOf(input, { version: input.version ?? '26.0', build: '23A1' }),
  });
  if (problems[0] !== undefined) throw new FleetError('bad-request', `${problems[0].path} ${problems[0].rule}.`);
  const id = uuidv7();
  try {
    await t.query(
      `insert into fleet.update_plan (id, name, group_id, version, deadline, details_url, created_by) values ($1, $2, $3, $4, $5, $6, $7)`,
      [id, input.name, input.group, input.version, input.deadline, input.detailsUrl, input.by],
    );
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== '23505') throw error;
    throw new FleetError('name-taken', 'Another plan has this name.', { status: 409 });
  }
  const devices = models.reduce((sum, { behind }) => sum + behind, 0);
  await emit(t, { kind: 'update.planned', actor: input.by, detail: { plan: id, devices, deadline: input.deadline } });
  await t.query("select pg_notify('bartizan_work', '')");
  return { id, models };
}

const payloadOf = (
  plan: { readonly deadline: string; readonly detailsUrl: string | null },
  { version, build }: { readonly version: string; readonly build: string },
) => ({
  ...{ TargetOSVersion: version, TargetBuildVersion: build, TargetLocalDateTime: plan.deadline },
  ...(plan.detailsUrl === null ? {} : { DetailsURL: plan.detailsUrl }),
});

interface PlanRow {
  readonly id: string;
  readonly name: string;
  readonly group: string | null;
  readonly version: string | null;
  readonly deadline: string;
  readonly detailsUrl: string | null;
  /** Why it could not be followed the last time. */
  readonly fault: string | null;
}

/**
 * Makes each plan's declarations and puts devices that are behind under the one for their model. Once the deadline has
 * passed the target stays: what comes out later would otherwise be forced at once. Each plan is a transaction of its own:
 * one that cannot be followed says why and holds up no other. Returns how many sets changed.
 */
export async function followUpdates(pool: Pool, signKey: KeyObject): Promise<number> {
  const { rows } = await pool.query<PlanRow>(
    `select id, name, group_id as "group", version, to_char(deadline, 'YYYY-MM-DD"T"HH24:MI:SS') as deadline,
       details_url as "detailsUrl", fault from fleet.update_plan
     where ended_at is null and deadline >= localtimestamp - interval '14 hours' order by id`,
  );
  if (rows.length === 0) return 0;
  const releases = await listReleases(pool);
  let changed = 0;
  let unwell: unknown;
  for (const plan of rows) {
    let error: unknown;
    try {
      changed += await tx(pool, async (t) => {
        await lockDeclared(t);
        return (await hasEnded(t, plan.id)) ? 0 : follow(t, plan, releases, signKey);
      });
    } catch (caught) {
      error = caught;
    }
    if (error !== undefined && isTransient(error)) unwell ??= error;
    else await noteFault(pool, plan, error);
  }
  if (unwell !== undefined) throw unwell;
  return changed;
}

/** Whether the database was to blame, or the moment, and not the plan: lost connections, deadlocks, no room, shut down. */
function isTransient(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return (
    /^(08|40|53|55|57|58)...$/.test(code) || /^E[A-Z]+$/.test(code) || (code === '' && !(error instanceof TypeError))
  );
}

async function hasEnded(t: Tx, id: string): Promise<boolean> {
  const { rows } = await t.query<{ ended: boolean }>(
    'select ended_at is not null as ended from fleet.update_plan where id = $1',
    [id],
  );
  return rows[0]!.ended;
}

/** Tells once that a plan is stuck, and forgets it when it goes on. */
async function noteFault(pool: Pool, plan: PlanRow, error: unknown): Promise<void> {
  const code = error instanceof Error && 'code' in error ? String(error.code).slice(0, 60) : 'malformed';
  const fault = error === undefined ? null : code === '23505' ? 'name-taken' : code;
  if (fault === plan.fault) return;
  await tx(pool, async (t) => {
    await t.query('update fleet.update_plan set fault = $2 where id = $1', [plan.id, fault]);
    if (fault !== null) await emit(t, { kind: 'update.stuck', actor: 'core', detail: { plan: plan.id, why: fault } });
  });
}

async function follow(t: Tx, plan: PlanRow, releases: readonly OsRelease[], signKey: KeyObject): Promise<number> {
  const models = await t.query<{ model: string }>(
    `select distinct product_name as model from fleet.device where state = 'enrolled' and product_name is not null`,
  );
  const targets = new Map<string, { release: OsRelease; models: string[] }>();
  for (const { model } of models.rows) {
    const release = targetFor(model, plan.version, releases);
    if (release === undefined) continue;
    const key = `${release.version} ${release.build}`;
    const target = targets.get(key) ?? { release, models: [] };
    target.models.push(model);
    targets.set(key, target);
  }
  let changed = 0;
  const kept: string[] = [];
  for (const { release, models: theirs } of targets.values()) {
    const set = setId(plan.id, release);
    kept.push(set);
    const { rows } = await t.query<{ id: number }>(
      `select d.id from fleet.device d where d.state = 'enrolled' and d.product_name = any($1)
         and coalesce(fleet.version_key(d.os_version), '{}') < fleet.version_key($2)
         and ($3::uuid is null or exists (select from fleet.group_member m where m.group_id = $3 and m.device_id = d.id))`,
      [theirs, release.version, plan.group],
    );
    const devices = rows.map(({ id }) => id);
    const declaration = await ownDeclaration(
      t,
      {
        ...{
          identifier: `bartizan.update.${plan.id}.${release.version}`,
          type: TYPE,
          origin: 'update',
          author: 'core',
        },
        payload: payloadOf(plan, release),
      },
      signKey,
    );
    const name = `Update ${plan.name}: ${release.version}`.slice(0, 80);
    const done = await t.query<{ changed: boolean }>(
      `select fleet.change_set($1, $2, null, false, $3, '{}', $4, 'update', 'core') as changed`,
      [set, name, [declaration], devices],
    );
    await t.query('insert into fleet.update_set values ($1, $2, $3, $4) on conflict do nothing', [
      ...[plan.id, set, release.version, release.build],
    ]);
    if (done.rows[0]!.changed) changed += 1;
  }
  // a version that another has replaced
  const gone = await t.query<{ set_id: string }>(
    `select u.set_id from fleet.update_set u join fleet.declaration_set s on s.id = u.set_id and s.removed_at is null
     where u.plan_id = $1 and not u.set_id = any($2)`,
    [plan.id, kept],
  );
  for (const { set_id } of gone.rows) await t.query(`select fleet.remove_set($1, 'core')`, [set_id]);
  return changed + gone.rows.length;
}

/** One set for one version of one plan, always the same. */
function setId(plan: string, { version, build }: OsRelease): string {
  const hex = createHash('sha256').update(`bartizan update\n${plan}\n${version}\n${build}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export async function endUpdate(db: Queryable, plan: string, by: string): Promise<void> {
  const { rows } = await db.query<{ done: boolean }>('select fleet.end_update($1, $2) as done', [plan, by]);
  if (rows[0]!.done) return;
  const { rows: known } = await db.query('select from fleet.update_plan where id = $1', [plan]);
  if (known.length === 0) throw new FleetError('unknown-plan', 'There is no such plan.', { status: 404 });
  throw new FleetError('bad-request', 'This plan has ended already.', { status: 409 });
}

/** Plans with how far they are. `overdue`: past the deadline and still behind. */
export async function listUpdates(db: Queryable) {
  const { rows } = await db.query<{
    id: string;
    name: string;
    wanted: number;
    failed: number;
    overdue: number;
    fault: string | null;
  }>(
    `select p.id, p.name, p.group_id as "group", g.name as "groupName", p.version, to_char(p.deadline, 'YYYY-MM-DD"T"HH24:MI:SS') as deadline,
       p.details_url as "detailsUrl", p.created_by as "createdBy", p.created_at as "createdAt", p.ended_at as "endedAt", p.fault,
       count(x.device_id)::int as wanted,
       count(*) filter (where st."values"->>'softwareupdate.install-state' = 'failed')::int as failed,
       count(x.device_id) filter (where p.deadline < localtimestamp)::int as overdue,
       array(select distinct u.version from fleet.update_set u join fleet.declaration_set s on s.id = u.set_id
         where u.plan_id = p.id and s.removed_at is null order by 1) as versions
     from fleet.update_plan p left join fleet.device_group g on g.id = p.group_id
     left join fleet.update_set u on u.plan_id = p.id left join fleet.set_device x on x.set_id = u.set_id
     left join fleet.declared_status st on st.device_id = x.device_id
     group by p.id, g.name order by p.ended_at is not null, p.created_at desc limit 100`,
  );
  return rows;
}

/** Devices that are to update: wanted, reported, deadline, overdue; the ones in trouble first. */
export async function updateDevices(db: Queryable, options: { readonly limit: number; readonly handle?: string }) {
  const { rows } = await db.query<{ device: string; wanted: string; state: string | null; overdue: boolean }>(
    `select d.handle as device, d.product_name as model, d.os_version as "osVersion", u.version as wanted, u.build,
       to_char(p.deadline, 'YYYY-MM-DD"T"HH24:MI:SS') as deadline, p.deadline < localtimestamp as overdue, p.name as plan,
       st."values"->>'softwareupdate.install-state' as state,
       st."values"->'softwareupdate.pending-version'->>'os-version' as pending,
       st."values"->'softwareupdate.failure-reason' as failure, st.reported_at as "reportedAt",
       coalesce(dd.fetched_token = l.token, false) as fetched
     from fleet.update_set u join fleet.update_plan p on p.id = u.plan_id and p.ended_at is null
     join fleet.set_device x on x.set_id = u.set_id join fleet.device d on d.id = x.device_id
     left join fleet.declared_status st on st.device_id = d.id
     left join fleet.declared_device dd on dd.device_id = d.id left join fleet.declared_list l on l.id = dd.list_id
     where ($2::text is null or d.handle = $2)
     order by (p.deadline < localtimestamp) desc, (st."values"->>'softwareupdate.install-state' = 'failed') desc nulls last, d.handle
     limit $1`,
    [options.limit, options.handle ?? null],
  );
  return rows;
}
