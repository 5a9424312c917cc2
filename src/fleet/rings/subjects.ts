import type { Queryable } from '#store';
import type { RolloutKind } from './subject.ts';

/** Something that a rollout can carry, with what can be chosen of it. */
export interface SubjectRow {
  readonly kind: RolloutKind;
  readonly id: string;
  readonly name: string;
  /** Newest first; empty for a set of declarations, which is what it is. */
  readonly versions: readonly { readonly id: string; readonly number: number; readonly label: string | null }[];
  /** Groups, or what else says whom it is for. */
  readonly groups: readonly string[];
  /** Each ring waits for two people, whatever is in it. */
  readonly twoPeople: boolean;
}

/** What can be rolled out now: profiles, apps with a version that is ready, sets that wait for it. By kind and name. */
export async function listSubjects(db: Queryable): Promise<SubjectRow[]> {
  const { rows } = await db.query<SubjectRow>(
    `select 'profile' as kind, p.id, p.name, (select jsonb_agg(jsonb_build_object('id', v.id, 'number', v.number, 'label', null)
         order by v.number desc) from fleet.profile_version v where v.profile_id = p.id) as versions,
       array(select coalesce(g.name, d.handle) from fleet.profile_assignment a left join fleet.device_group g on g.id = a.group_id
         left join fleet.device d on d.id = a.device_id where a.profile_id = p.id and a.removed_at is null order by 1 limit 50) as groups, false as "twoPeople"
     from fleet.profile p
     union all
     select 'app', a.id, a.name, v.versions, array(select g.name from fleet.app_assignment x join fleet.device_group g on g.id = x.group_id
         where x.app_id = a.id and x.removed_at is null order by 1), a.kind <> 'store'
     from fleet.app a cross join lateral (select jsonb_agg(jsonb_build_object('id', v.id, 'number', v.number, 'label', k.version)
         order by v.number desc) as versions
       from fleet.app_version v left join fleet.package k on k.id = v.package_id
       where v.app_id = a.id and (a.kind = 'package') = (v.package_id is not null) and (k.id is null or k.state = 'ready')) v
     where v.versions is not null
     union all
     select 'set', s.id, s.name, '[]', case when s.everyone then array['every device'] else array(select g.name from fleet.set_group x
         join fleet.device_group g on g.id = x.group_id where x.set_id = s.id order by 1) end, false
     from fleet.set_gate x join fleet.declaration_set s on s.id = x.set_id and s.removed_at is null
     order by 1, 3, 2 limit 2000`,
  );
  return rows;
}
