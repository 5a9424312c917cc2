import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import { readFacts } from '../groups/facts.ts';
import { conditionsOf, type Filter, isTimed, parseFilter } from '../groups/filter.ts';
import { getGroup } from '../groups/group.ts';
import { explain } from './explain.ts';

export const VERDICTS = ['compliant', 'grace', 'failing', 'unknown'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** A rule: which devices, what must be true of them, and how long they may take to make it so. */
export interface ComplianceRule {
  readonly id: string;
  readonly name: string;
  readonly group: string | null;
  readonly groupName: string | null;
  readonly condition: Filter;
  readonly graceHours: number;
  readonly createdBy: string;
  readonly changedAt: Date;
  readonly judgedAt: Date | null;
  readonly inStep: boolean;
  readonly counts: Readonly<Record<Verdict, number>>;
}

/** What a rule says of one device. */
export interface Finding {
  readonly rule: string;
  readonly name: string;
  readonly device: string;
  readonly state: Verdict;
  readonly since: Date;
  readonly graceUntil: Date | null;
  /** One sentence for each thing in the way, from the facts as they are now; empty when compliant. */
  readonly why: readonly string[];
}

const MOST_RULES = 200;
const unknown = (): FleetError =>
  new FleetError('unknown-rule', 'There is no rule with this id. It may have been deleted.', { status: 404 });

export interface RuleInput {
  readonly id?: string;
  readonly name: string;
  readonly group: string | null;
  readonly condition: unknown;
  readonly graceHours: number;
  readonly by: string;
}

/** Saves a rule, or changes the one with `id`; core judges every device it speaks of. Emits `compliance.rule_saved`. */
export async function saveRule(t: Tx, input: RuleInput): Promise<string> {
  const name = input.name.trim();
  if (name.length < 1 || name.length > 80)
    throw new FleetError('bad-request', 'Give the rule a name of 1 to 80 characters.');
  const condition = parseFilter(input.condition);
  if (input.group !== null) await getGroup(t, input.group);
  const same = await t.query(
    'select from fleet.compliance_rule where lower(name) = lower($1) and deleted_at is null and id is distinct from $2',
    [name, input.id ?? null],
  );
  if (same.rows.length > 0)
    throw new FleetError('name-taken', 'There is a rule of this name already.', { status: 409 });
  const id = input.id ?? uuidv7();
  const values = [id, name, input.group, JSON.stringify(condition), input.graceHours, isTimed(condition)];
  if (input.id === undefined) {
    const { rows } = await t.query<{ n: number }>(
      'select count(*)::int as n from fleet.compliance_rule where deleted_at is null',
    );
    if (rows[0]!.n >= MOST_RULES)
      throw new FleetError('too-many', `There are ${MOST_RULES} rules. Delete one first.`, { status: 409 });
    await t.query(
      `insert into fleet.compliance_rule (id, name, group_id, condition, grace_hours, timed, created_by)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [...values, input.by],
    );
  } else {
    const { rowCount } = await t.query(
      `update fleet.compliance_rule set name = $2, group_id = $3, condition = $4, grace_hours = $5, timed = $6,
         changed_at = now(), revision = revision + 1 where id = $1 and deleted_at is null`,
      values,
    );
    if (!rowCount) throw unknown();
  }
  await emit(t, {
    kind: 'compliance.rule_saved',
    actor: input.by,
    detail: { rule: id, grace_hours: input.graceHours },
  });
  await t.query("select pg_notify('bartizan_work', '')");
  return id;
}

export async function deleteRule(t: Tx, input: { readonly id: string; readonly by: string }): Promise<void> {
  const { rowCount } = await t.query(
    'update fleet.compliance_rule set deleted_at = now(), revision = revision + 1 where id = $1 and deleted_at is null',
    [input.id],
  );
  if (!rowCount) throw unknown();
  await emit(t, { kind: 'compliance.rule_deleted', actor: input.by, detail: { rule: input.id } });
  await t.query("select pg_notify('bartizan_work', '')");
}

/** All rules by name, with how many devices are in which state. */
export async function listRules(db: Queryable): Promise<ComplianceRule[]> {
  const { rows } = await db.query<Omit<ComplianceRule, 'counts'> & { counts: Partial<Record<Verdict, number>> | null }>(
    `select r.id, r.name, r.group_id as "group", g.name as "groupName", r.condition, r.grace_hours as "graceHours",
       r.created_by as "createdBy", r.changed_at as "changedAt", r.judged_at as "judgedAt",
       r.judged_revision = r.revision as "inStep",
       (select jsonb_object_agg(c.state, c.n) from (select k.state, count(*) as n from fleet.compliance k
         where k.rule_id = r.id group by 1) c) as counts
     from fleet.compliance_rule r left join fleet.device_group g on g.id = r.group_id
     where r.deleted_at is null order by lower(r.name)`,
  );
  return rows.map((row) => ({ ...row, counts: { compliant: 0, grace: 0, failing: 0, unknown: 0, ...row.counts } }));
}

const FINDING = `r.id as rule, r.name, d.handle as device, k.state, k.since, case when k.state = 'grace' then k.grace_until end as "graceUntil", r.condition
  from fleet.compliance k join fleet.device d on d.id = k.device_id
  join fleet.compliance_rule r on r.id = k.rule_id and r.deleted_at is null`;
type Found = Omit<Finding, 'why'> & { readonly condition: Filter };

/** What every rule says of one device, the worst first. */
export async function complianceOf(db: Queryable, handle: string, now: number): Promise<Finding[]> {
  const { rows } = await db.query<Found>(
    `select ${FINDING} where d.handle = $1
     order by array_position(array['failing', 'grace', 'unknown', 'compliant'], k.state), lower(r.name)`,
    [handle],
  );
  return withWhy(db, rows, now);
}

/** Devices of one rule in one state, by handle after `after`. */
export async function findingsOf(
  db: Queryable,
  asked: { readonly rule: string; readonly state: Verdict; readonly after?: string; readonly limit: number },
  now: number,
): Promise<Finding[]> {
  const { rows } = await db.query<Found>(
    `select ${FINDING} where k.rule_id = $1 and k.state = $2 and d.handle > $3 order by d.handle limit $4`,
    [asked.rule, asked.state, asked.after ?? '', asked.limit],
  );
  return withWhy(db, rows, now);
}

async function withWhy(db: Queryable, rows: readonly Found[], now: number): Promise<Finding[]> {
  const fields = rows.flatMap(({ condition }) => conditionsOf(condition).map(({ field }) => field));
  const facts = await readFacts(db, [...new Set(rows.map(({ device }) => device))], fields);
  return rows.map(({ condition, ...row }) => ({ ...row, why: explain(condition, facts.get(row.device) ?? {}, now) }));
}
