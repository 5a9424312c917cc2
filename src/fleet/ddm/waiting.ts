import type { Queryable } from '#store';

/** How a set stands to what two people must agree to. */
export interface SetPermit {
  /** Dangerous declarations of the set. */
  readonly guarded: number;
  /** Devices of its scope that do not get all of them as they are now: nobody agreed to the bytes, or not for the device. */
  readonly waiting: number;
  /** When the permit in force ends; null if there is none. */
  readonly until: Date | null;
  /** An approval that waits for signatures. */
  readonly approval: string | null;
}

/** Sets with dangerous declarations, by id. A set without any is not named. */
export async function permitsOfSets(db: Queryable): Promise<ReadonlyMap<string, SetPermit>> {
  const { rows } = await db.query<SetPermit & { set: string }>(
    `with guarded as (select x.set_id, d.identifier, v.token from fleet.set_declaration x
         join fleet.declaration d on d.id = x.declaration_id and d.removed_at is null
         join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current' and v.guarded
         join fleet.declaration_set s on s.id = x.set_id and s.removed_at is null),
       state as (select g.set_id, count(*)::int as guarded, p.approval_id, p.everyone, p.handles, p.until,
           coalesce(bool_and(p.permit->'declarations' @> jsonb_build_array(jsonb_build_object('identifier', g.identifier, 'token', g.token))), false) as agreed
         from guarded g left join fleet.declared_permit p on p.set_id = g.set_id and p.ended_at is null
         group by g.set_id, p.approval_id)
     select z.set_id as set, z.guarded, z.until,
       (select count(*)::int from fleet.set_scope(z.set_id) w(id) join fleet.device d on d.id = w.id and d.state = 'enrolled'
         left join unnest(z.handles) h on h = d.handle where not (z.agreed and (z.everyone or h is not null))) as waiting,
       (select k.approval_id from fleet.declared_ask k join respond.approval a on a.id = k.approval_id
         where k.set_id = z.set_id and a.state = 'open' and a.not_after > now() order by k.approval_id desc limit 1) as approval
     from state z`,
  );
  return new Map(rows.map(({ set, ...permit }) => [set, permit]));
}
