import { type Pool, type Tx, tx } from '#store';
import { compileFilter } from '../groups/compile.ts';
import { storedFilter } from '../groups/filter.ts';

/** How old the verdicts of a rule may be whose condition asks about ages. */
const TIMED_SECONDS = 300;

interface RuleRow {
  readonly id: string;
  readonly group_id: string | null;
  /** As the console wrote it. */
  readonly condition: unknown;
  readonly revision: number;
  readonly deleted: boolean;
}

/** Judges all devices by one rule that was saved, changed or deleted, or that asks about ages and is due. Returns 0 or 1. */
export async function judgeRule(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<RuleRow>(
      `select id, group_id, condition, revision, deleted_at is not null as deleted from fleet.compliance_rule
       where judged_revision <> revision
         or (timed and deleted_at is null and judged_at < now() - make_interval(secs => $1))
       order by judged_revision <> revision desc, judged_at nulls first limit 1 for update skip locked`,
      [TIMED_SECONDS],
    );
    const rule = rows[0];
    if (rule === undefined) return 0;
    await judge(t, rule, null);
    return 1;
  });
}

/** Judges devices whose facts or groups changed by every rule. The caller has put them into their groups already. */
export async function rejudge(t: Tx, devices: readonly number[]): Promise<void> {
  const { rows } = await t.query<RuleRow>(
    `select id, group_id, condition, revision, false as deleted from fleet.compliance_rule
     where deleted_at is null and judged_revision = revision order by id for update`,
  );
  for (const rule of rows) await judge(t, rule, devices);
}

async function judge(t: Tx, rule: RuleRow, scope: readonly number[] | null): Promise<void> {
  if (rule.deleted) {
    await t.query(`select fleet.judge($1, $2, '{}', '{}', null)`, [rule.id, rule.revision]);
    return;
  }
  const condition = storedFilter(rule.condition);
  // What nobody can ask is unknown of every device; the rules behind it are judged all the same.
  const { joins, where, params } =
    condition === undefined ? { joins: '', where: 'null::boolean', params: [] } : compileFilter(condition, 5);
  const among = scope === null ? '$3::bigint[] is null' : 'd.id = any($3::bigint[])';
  const of =
    rule.group_id === null
      ? '$4::uuid is null'
      : 'd.id in (select m.device_id from fleet.group_member m where m.group_id = $4::uuid)';
  await t.query(
    `select fleet.judge($1, $2, coalesce(v.devices, '{}'), coalesce(v.verdicts, '{}'), $3) from (
       select array_agg(d.id) as devices, array_agg(${where}) as verdicts from fleet.device d ${joins}
       where ${among} and d.state = 'enrolled' and ${of}) v`,
    [rule.id, rule.revision, scope, rule.group_id, ...params],
  );
}
