import type { Json } from '#base';
import type { Queryable } from '#store';
import { FleetError } from '../error.ts';

/** How a device stands to a declaration: what we want against what it says. */
export interface Standing {
  readonly kind: string;
  readonly identifier: string;
  readonly type: string | null;
  /** `applied`, `waiting`, `changed`, `invalid`, `inactive`, `unknown`, `unapproved`, or `left-over`: it has what we no longer want. */
  readonly state: string;
  readonly why: string;
  readonly reasons: readonly string[];
  readonly since: Date | null;
}

const WHY: Readonly<Record<string, string>> = {
  applied: 'The device says it is active and valid.',
  waiting: 'The device was told and has not reported on it yet.',
  changed: 'The device reports an older version; it was told of the new one.',
  invalid: 'The device says it cannot apply it.',
  inactive: 'The device holds it, but nothing switches it on: no activation, or its predicate does not hold.',
  unknown: 'The device has not said whether it is valid.',
  unapproved:
    'It is dangerous as it stands now, and two people have not agreed to that for this device. It is not sent.',
  'left-over': 'The device still reports it, though it is not on its list any more.',
};

/** Desired against reported of one device, with the status items and their last changes. Undefined if nothing was ever declared. Throws `unknown-device`. */
export async function standingOf(db: Queryable, handle: string) {
  const { rows } = await db.query<{
    id: number;
    token: string;
    fetched: string | null;
    fetchedAt: Date | null;
    toldAt: Date | null;
    values: Record<string, Json> | null;
    lists: Record<string, Json> | null;
    errors: Record<string, Json> | null;
    reportedAt: Date | null;
    fullAt: Date | null;
  }>(
    `select d.id, l.token, dd.fetched_token as fetched, dd.fetched_at as "fetchedAt", l.nudged_at as "toldAt", s."values", s.lists,
       s.errors, s.reported_at as "reportedAt", s.full_at as "fullAt"
     from fleet.device d join fleet.declared_device dd on dd.device_id = d.id join fleet.declared_list l on l.id = dd.list_id
     left join fleet.declared_status s on s.device_id = d.id where d.handle = $1`,
    [handle],
  );
  const found = rows[0];
  if (found === undefined) {
    const { rowCount } = await db.query('select from fleet.device where handle = $1', [handle]);
    if (!rowCount) throw new FleetError('unknown-device', 'There is no such device.', { status: 404 });
    return undefined;
  }
  const { id, ...device } = found;
  const declarations = await db.query<Omit<Standing, 'why'>>(
    `with wanted as (select i->>'kind' as kind, i->>'identifier' as identifier, i->>'token' as token
       from fleet.declared_device dd join fleet.declared_list l on l.id = dd.list_id, jsonb_array_elements(l.items) i
       where dd.device_id = $1)
     select coalesce(w.kind, s.kind) as kind, coalesce(w.identifier, s.identifier) as identifier, d.type,
       case when w.identifier is null then 'left-over' when s.identifier is null then 'waiting'
         when s.token <> w.token then 'changed' when s.valid = 'invalid' then 'invalid'
         when (s.active or s.kind = 'management') and s.valid = 'valid' then 'applied'
         when not s.active and s.kind <> 'management' then 'inactive' else 'unknown' end as state,
       coalesce(s.reasons, '[]') as reasons, s.since
     from wanted w full join (select * from fleet.declared_state where device_id = $1) s using (kind, identifier)
     left join fleet.declaration d on d.identifier = coalesce(w.identifier, s.identifier)
     order by 1, 2`,
    [id],
  );
  const unapproved = await db.query<Omit<Standing, 'why'>>(
    `select distinct d.kind, d.identifier, d.type, 'unapproved' as state, '[]'::jsonb as reasons, null::timestamptz as since
     from fleet.declared_device dd join fleet.declared_list l on l.id = dd.list_id
     join fleet.set_declaration x on x.set_id = any(l.sets) join fleet.declaration d on d.id = x.declaration_id and d.removed_at is null
     join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current' and v.guarded
     where dd.device_id = $1 and not l.items @> jsonb_build_array(jsonb_build_object('identifier', d.identifier, 'token', v.token)) order by 1, 2`,
    [id],
  );
  const changes = await db.query<{ path: string; before: Json; after: Json; at: Date }>(
    'select path, before, after, at from fleet.status_change where device_id = $1 order by id desc limit 50',
    [id],
  );
  return {
    ...device,
    upToDate: device.fetched === device.token,
    declarations: [...declarations.rows, ...unapproved.rows].map(
      (row): Standing => ({ ...row, why: WHY[row.state] ?? '' }),
    ),
    changes: changes.rows,
  };
}
