import { type Pool, type Tx, tx } from '#store';
import { compileFilter } from './compile.ts';
import { storedFilter } from './filter.ts';

/** Devices whose facts changed, per turn. */
export const TOUCHED_BATCH = 5_000;
/** How old the members of a group may be whose filter asks about ages. */
const TIMED_SECONDS = 60;

interface GroupRow {
  readonly id: string;
  /** As the console wrote it. */
  readonly filter: unknown;
  readonly revision: number;
  readonly deleted: boolean;
}

/**
 * Refreshes one group as a whole, if one was saved, changed or deleted, or asks about ages and was not looked at for a
 * minute. Returns how many it refreshed (0 or 1). A crash before the commit leaves it due.
 */
export async function refreshGroup(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<GroupRow>(
      `select id, filter, revision, deleted_at is not null as deleted from fleet.device_group
       where refreshed_revision <> revision
         or (timed and deleted_at is null and refreshed_at < now() - make_interval(secs => $1))
       order by refreshed_revision <> revision desc, refreshed_at nulls first limit 1 for update skip locked`,
      [TIMED_SECONDS],
    );
    const group = rows[0];
    if (group === undefined) return 0;
    await fill(t, group, null);
    return 1;
  });
}

/** Puts devices whose facts changed into the groups that they fit now and takes them out of the others. */
export async function regroup(t: Tx, devices: readonly number[]): Promise<void> {
  const { rows } = await t.query<GroupRow>(
    `select id, filter, revision, false as deleted from fleet.device_group
     where deleted_at is null and refreshed_revision = revision order by id for update`,
  );
  // A group that waits for a whole refresh is left to it.
  for (const group of rows) await fill(t, group, devices);
}

async function fill(t: Tx, group: GroupRow, scope: readonly number[] | null): Promise<void> {
  const filter = storedFilter(group.filter);
  // Nothing fits a question that nobody can ask; the groups behind it are filled all the same.
  const { joins, where, params } =
    filter === undefined ? { joins: '', where: 'false', params: [] } : compileFilter(filter, 4);
  // The planner takes the devices of `scope` by their primary key only if it sees no "or" around them.
  const among = scope === null ? '$3::bigint[] is null' : 'd.id = any($3::bigint[])';
  const fit = group.deleted
    ? `'{}'::bigint[]`
    : `array(select d.id from fleet.device d ${joins} where ${among} and d.state <> 'retired' and ${where})`;
  await t.query(
    `select from fleet.set_group_members($1, $2, ${fit}, $3)`,
    group.deleted ? [group.id, group.revision, scope] : [group.id, group.revision, scope, ...params],
  );
}
