import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Pool, Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import { getGroup } from '../groups/group.ts';

/** How long devices may be silent; for a group, or (group null) for all. */
export interface SilenceRule {
  readonly id: string;
  readonly group: string | null;
  readonly groupName: string | null;
  readonly days: number;
  readonly setBy: string;
  readonly setAt: Date;
}

/** Marks devices that are silent for once, twice or three times the days of their rule. Returns how many changed. */
export async function judgeSilence(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>('select fleet.judge_silence() as n');
  return rows[0]!.n;
}

/** The rule for all first, then those of groups. A device under several follows the strictest. */
export async function silenceRules(db: Queryable): Promise<SilenceRule[]> {
  const { rows } = await db.query<SilenceRule>(
    `select r.id, r.group_id as "group", g.name as "groupName", r.days, r.set_by as "setBy", r.set_at as "setAt"
     from fleet.silence_rule r left join fleet.device_group g on g.id = r.group_id
     where r.deleted_at is null and g.deleted_at is null order by r.group_id is not null, lower(g.name)`,
  );
  return rows;
}

/** Sets the days for all or for a group; null days take a group's rule away. The rule for all can only be changed. */
export async function setSilence(
  t: Tx,
  input: { readonly group: string | null; readonly days: number | null; readonly by: string },
): Promise<void> {
  if (input.group !== null) await getGroup(t, input.group);
  else if (input.days === null)
    throw new FleetError('bad-request', 'The rule for all devices can be changed, not taken away.');
  const { rowCount } = await t.query(
    `update fleet.silence_rule set days = coalesce($2, days), set_by = $3, set_at = now(),
       deleted_at = case when $2::int is null then now() end where group_id is not distinct from $1`,
    [input.group, input.days, input.by],
  );
  if (!rowCount && input.days !== null)
    await t.query('insert into fleet.silence_rule (id, group_id, days, set_by) values ($1, $2, $3, $4)', [
      ...[uuidv7(), input.group, input.days, input.by],
    ]);
  await emit(t, { kind: 'silence.rule_saved', actor: input.by, detail: { group: input.group, days: input.days } });
}
