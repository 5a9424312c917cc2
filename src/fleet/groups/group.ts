import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import { compileFilter } from './compile.ts';
import { type Filter, isTimed, parseFilter } from './filter.ts';

/** A dynamic group: a saved filter and how many devices fit it. */
export interface DeviceGroup {
  readonly id: string;
  readonly name: string;
  readonly filter: Filter;
  readonly members: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly refreshedAt: Date | null;
  /** Whether the members are those of the filter as it stands; false until core has seen a change. */
  readonly inStep: boolean;
}

const COLUMNS = `g.id, g.name, g.filter, g.members, g.created_by as "createdBy", g.created_at as "createdAt",
  g.changed_at as "changedAt", g.refreshed_at as "refreshedAt", g.refreshed_revision = g.revision as "inStep"`;
const MOST_GROUPS = 1_000;

const unknown = (): FleetError =>
  new FleetError('unknown-group', 'There is no group with this id. It may have been deleted.', { status: 404 });

/** Saves a new group, or changes the one with `id`. Core fills it within a second. Emits `group.saved`. */
export async function saveGroup(
  t: Tx,
  input: { readonly id?: string; readonly name: string; readonly filter: unknown; readonly by: string },
): Promise<DeviceGroup> {
  const name = input.name.trim();
  if (name.length < 1 || name.length > 80)
    throw new FleetError('bad-request', 'Give the group a name of 1 to 80 characters.');
  const filter = parseFilter(input.filter);
  const same = await t.query(
    'select from fleet.device_group where lower(name) = lower($1) and deleted_at is null and id is distinct from $2',
    [name, input.id ?? null],
  );
  if (same.rows.length > 0)
    throw new FleetError('name-taken', 'There is a group of this name already.', { status: 409 });
  const id = input.id ?? uuidv7();
  const values = [id, name, JSON.stringify(filter), isTimed(filter)];
  if (input.id === undefined) {
    const { rows } = await t.query<{ n: number }>(
      'select count(*)::int as n from fleet.device_group where deleted_at is null',
    );
    if (rows[0]!.n >= MOST_GROUPS)
      throw new FleetError('too-many', `There are ${MOST_GROUPS} groups. Delete one first.`, { status: 409 });
    await t.query('insert into fleet.device_group (id, name, filter, timed, created_by) values ($1, $2, $3, $4, $5)', [
      ...values,
      input.by,
    ]);
  } else {
    const { rowCount } = await t.query(
      `update fleet.device_group set name = $2, filter = $3, timed = $4, changed_at = now(),
         revision = revision + case when filter = $3::jsonb then 0 else 1 end where id = $1 and deleted_at is null`,
      values,
    );
    if (!rowCount) throw unknown();
  }
  await emit(t, { kind: 'group.saved', actor: input.by, detail: { group: id } });
  await t.query("select pg_notify('bartizan_work', '')");
  return getGroup(t, id);
}

/** Deletes a group; its members leave it at core's next turn. What was scoped by it is scoped by nobody. */
export async function deleteGroup(t: Tx, input: { readonly id: string; readonly by: string }): Promise<void> {
  const { rowCount } = await t.query(
    'update fleet.device_group set deleted_at = now(), revision = revision + 1 where id = $1 and deleted_at is null',
    [input.id],
  );
  if (!rowCount) throw unknown();
  await emit(t, { kind: 'group.deleted', actor: input.by, detail: { group: input.id } });
  await t.query("select pg_notify('bartizan_work', '')");
}

/** All groups, by name. */
export async function listGroups(db: Queryable): Promise<DeviceGroup[]> {
  const { rows } = await db.query<DeviceGroup>(
    `select ${COLUMNS} from fleet.device_group g where deleted_at is null order by lower(g.name) limit ${MOST_GROUPS}`,
  );
  return rows;
}

/** One group. Throws `unknown-group`. */
export async function getGroup(db: Queryable, id: string): Promise<DeviceGroup> {
  const { rows } = await db.query<DeviceGroup>(
    `select ${COLUMNS} from fleet.device_group g where id = $1 and deleted_at is null`,
    [id],
  );
  if (rows[0] === undefined) throw unknown();
  return rows[0];
}

/** The groups that a device is in, by name. */
export async function groupsOf(db: Queryable, handle: string): Promise<{ id: string; name: string; since: Date }[]> {
  const { rows } = await db.query<{ id: string; name: string; since: Date }>(
    `select g.id, g.name, m.since from fleet.group_member m join fleet.device d on d.id = m.device_id
     join fleet.device_group g on g.id = m.group_id
     where d.handle = $1 and g.deleted_at is null order by lower(g.name)`,
    [handle],
  );
  return rows;
}

/** How many devices fit a filter now, and some of them. */
export async function previewFilter(db: Queryable, given: unknown): Promise<{ count: number; sample: string[] }> {
  const { joins, where, params } = compileFilter(parseFilter(given));
  const { rows } = await db.query<{ count: number; sample: string[] }>(
    `with fit as (select d.handle from fleet.device d ${joins} where d.state <> 'retired' and ${where})
     select (select count(*)::int from fit) as count, array(select handle from fit order by handle limit 10) as sample`,
    params,
  );
  return rows[0]!;
}
