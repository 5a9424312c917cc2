-- Room: edge. For each name its own permits, so that many others keep none away; those in force first.
create or replace function edge.declared_permits(a_identifiers text[]) returns table (permit jsonb, handles text[])
language sql stable security definer set search_path = pg_catalog as $$
  with found as (select distinct m.approval_id from (select distinct unnest(a_identifiers)) n(identifier)
    cross join lateral (select p.approval_id from fleet.declared_permit p where p.identifiers @> array[n.identifier]
      order by p.ended_at is not null, p.at desc limit 200) m)
  select p.permit, p.handles from found join fleet.declared_permit p using (approval_id)
$$;

-- Room: fleet. Told once that a permit runs out.
alter table fleet.declared_permit add column warned_at timestamptz;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('declaration.permit_ending', 6002, 99, 2, 'the time of a permit for dangerous declarations is up within 30 days');
update log.kind set urgent = false where kind in ('declaration.permit_ending', 'declaration.permit_ended');
