import { uuidv7 } from '#base';
import { EVERY_DEVICE } from '#seal';
import type { Queryable } from '#store';
import { compareVersions } from '#wire';
import type { SetInput } from './catalogue.ts';
import { outlineOf } from './items.ts';
import { STANDARD_SET } from './standard.ts';

/** How many handles an answer names; the counts beside them are of all. */
const MOST_NAMED = 500;

/** What making a set so would do. Counts are exact: of enrolled devices, by what is stored now. */
export interface SetPreview {
  /** Devices of the scope now, and then. */
  readonly now: number;
  readonly then: number;
  readonly joining: number;
  readonly leaving: number;
  /** The first 500 of those. */
  readonly join: readonly string[];
  readonly leave: readonly string[];
  /** Devices that would be given something else than they are now, at once. */
  readonly devices: number;
  /** Devices that would not get all of it before two people agree. */
  readonly waiting: number;
}

interface Placed {
  readonly handle: string;
  readonly was: boolean;
  readonly will: boolean;
  /** The other sets that it has. */
  readonly others: readonly string[];
}

/**
 * A dry run of a set: what each device has by the sets, versions and permits that are stored, against what it would have.
 * `declarations` and `predicate` may be left out to keep the stored ones. Changes nothing.
 */
export async function previewSet(
  db: Queryable,
  input: Pick<SetInput, 'id' | 'everyone' | 'groups' | 'devices'> & {
    readonly declarations?: readonly string[] | undefined;
    readonly predicate?: string | null | undefined;
  },
): Promise<SetPreview> {
  const set = input.id ?? uuidv7();
  const stored = await db.query<{ predicate: string | null; declarations: string[] }>(
    `select s.predicate, array(select x.declaration_id from fleet.set_declaration x join fleet.declaration d on d.id = x.declaration_id
       where x.set_id = s.id and d.origin <> 'set') as declarations from fleet.declaration_set s where s.id = $1`,
    [set],
  );
  const draft = {
    set,
    declarations: input.declarations ?? stored.rows[0]?.declarations ?? [],
    predicate: input.predicate === undefined ? (stored.rows[0]?.predicate ?? null) : input.predicate,
  };
  const placed = await placedBy(db, set, input);
  const permits = await livePermits(db);
  const dangerous = await dangerousOf(db, draft.declarations);
  const groups = new Map<string, { before: string[]; after: string[]; permits: string[]; n: number }>();
  let waiting = 0;
  for (const { handle, was, will, others } of placed) {
    const theirs = permits.filter(({ members }) => members === null || members.has(handle));
    const before = withStandard(was ? [...others, set] : others);
    const after = withStandard(will ? [...others, set] : others);
    const ids = theirs.map(({ id }) => id);
    const key = [before, after, ids].join(' ');
    const group = groups.get(key) ?? { before, after, permits: ids, n: 0 };
    group.n += 1;
    groups.set(key, group);
    if (will && dangerous.some((one) => !theirs.some(({ tokens }) => tokens.has(one)))) waiting += 1;
  }
  let devices = 0;
  const known = new Map<string, string>();
  const outline = async (sets: string[], ids: string[], changed: boolean) => {
    const key = [sets, ids, changed].join(' ');
    const found = known.get(key) ?? (await outlineOf(db, sets, ids, changed ? draft : undefined));
    known.set(key, found);
    return found;
  };
  for (const { before, after, permits: ids, n } of groups.values()) {
    if ((await outline(before, ids, false)) !== (await outline(after, ids, true))) devices += n;
  }
  const named = (those: readonly Placed[]) => those.map(({ handle }) => handle).slice(0, MOST_NAMED);
  const then = placed.filter(({ will }) => will).length;
  const [join, leave] = [
    placed.filter(({ was, will }) => will && !was),
    placed.filter(({ was, will }) => was && !will),
  ];
  return {
    now: placed.filter(({ was }) => was).length,
    then,
    ...{ joining: join.length, leaving: leave.length, join: named(join), leave: named(leave), devices, waiting },
  };
}

/** Whoever has any set has the standard one too. */
const withStandard = (sets: readonly string[]): string[] =>
  sets.length === 0 ? [] : [...new Set([...sets, STANDARD_SET])].sort();

async function placedBy(
  db: Queryable,
  set: string,
  input: Pick<SetInput, 'everyone' | 'groups' | 'devices'>,
): Promise<Placed[]> {
  const { rows } = await db.query<Placed>(
    `with was as (select x as id from fleet.set_scope($1) x),
       will as (select d.id from fleet.device d where $2
         union select m.device_id from fleet.group_member m where m.group_id = any($3)
         union select d.id from fleet.device d where d.handle = any($4)),
       either as (select d.id, d.handle, w.id is not null as was, n.id is not null as will
         from was w full join will n using (id) join fleet.device d on d.id = coalesce(w.id, n.id) and d.state = 'enrolled'),
       live as (select s.id, s.everyone from fleet.declaration_set s where s.removed_at is null and s.id <> $1),
       other as (
         select b.id, g.set_id from either b join fleet.group_member m on m.device_id = b.id
           join fleet.set_group g on g.group_id = m.group_id join live l on l.id = g.set_id
         union select b.id, x.set_id from either b join fleet.set_device x on x.device_id = b.id join live l on l.id = x.set_id
         union select b.id, l.id from either b cross join live l where l.everyone)
     select b.handle, b.was, b.will, coalesce(array_agg(o.set_id order by o.set_id) filter (where o.set_id is not null), '{}') as others
     from either b left join other o on o.id = b.id group by b.id, b.handle, b.was, b.will order by b.handle`,
    [set, input.everyone, input.groups, input.devices],
  );
  return rows;
}

async function livePermits(db: Queryable) {
  const { rows } = await db.query<{ id: string; everyone: boolean; handles: string[]; tokens: string[] }>(
    `select p.approval_id as id, p.permit->>'devices' = $1 as everyone, p.handles,
       array(select x.identifier || ' ' || x.token from jsonb_to_recordset(p.permit->'declarations') x(identifier text, token text)) as tokens
     from fleet.declared_permit p where p.ended_at is null order by p.approval_id`,
    [EVERY_DEVICE],
  );
  return rows.map(({ id, everyone, handles, tokens }) => ({
    ...{ id, members: everyone ? null : new Set(handles), tokens: new Set(tokens) },
  }));
}

async function dangerousOf(db: Queryable, declarations: readonly string[]): Promise<readonly string[]> {
  const { rows } = await db.query<{ one: string }>(
    `select d.identifier || ' ' || v.token as one from fleet.declaration d join fleet.declaration_version v on v.declaration_id = d.id
     where d.id = any($1) and d.removed_at is null and v.state = 'current' and v.guarded`,
    [declarations],
  );
  return rows.map(({ one }) => one);
}

/** What storing a version would do, by the sets as they are. Counts are exact: of enrolled devices. */
export interface DeclarationPreview {
  /** Devices that would be given it at once. */
  readonly devices: number;
  /** Devices that would be given it once two people have agreed. */
  readonly afterApproval: number;
  /** Of both, those whose system is too old to understand it. */
  readonly tooOld: number;
  /** It says what the version that devices get says already. */
  readonly same: boolean;
}

export async function previewDeclaration(
  db: Queryable,
  version: {
    readonly identifier: string;
    readonly token: string;
    readonly guarded: boolean;
    readonly since: string | undefined;
  },
): Promise<DeclarationPreview> {
  const { identifier, token, guarded, since } = version;
  const { rows } = await db.query<{ version: string | null; permitted: boolean; same: boolean; n: number }>(
    `with d as (select id from fleet.declaration where identifier = $1 and removed_at is null),
       scope as (select distinct x.id from d join fleet.set_declaration s on s.declaration_id = d.id
         join fleet.declaration_set t on t.id = s.set_id and t.removed_at is null cross join lateral fleet.set_scope(s.set_id) x(id)),
       given as (select p.everyone, p.handles from fleet.declared_permit p where p.ended_at is null
         and p.permit->'declarations' @> jsonb_build_array(jsonb_build_object('identifier', $1::text, 'token', $2::text))),
       named as (select distinct unnest(g.handles) as handle from given g)
     select v.os_version as version, h.handle is not null or exists (select from given g where g.everyone) as permitted,
       exists (select from d join fleet.declaration_version c on c.declaration_id = d.id and c.state = 'current' and c.token = $2)
         or exists (select from fleet.declared_device e join fleet.declared_list l on l.id = e.list_id
           where e.device_id = v.id and l.items @> jsonb_build_array(jsonb_build_object('identifier', $1::text, 'token', $2::text))) as same,
       count(*)::int as n
     from scope join fleet.device v on v.id = scope.id and v.state = 'enrolled' left join named h on h.handle = v.handle group by 1, 2, 3`,
    [identifier, token],
  );
  const sum = (of: typeof rows) => of.reduce((total, { n }) => total + n, 0);
  const moved = rows.filter(({ same }) => !same);
  const atOnce = moved.filter(({ permitted }) => !guarded || permitted);
  const old = moved.filter(({ version: os }) => since !== undefined && os !== null && compareVersions(os, since) < 0);
  return {
    devices: sum(atOnce),
    afterApproval: sum(moved) - sum(atOnce),
    tooOld: sum(old),
    same: rows.length > 0 && moved.length === 0,
  };
}
