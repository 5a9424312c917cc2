-- Room: fleet. As before, but only where it can matter: measured with 100 000 devices.

-- Who came and went is marked only if a compliance rule is scoped by the group.
create or replace function fleet.set_group_members(a_group uuid, a_revision integer, a_fit bigint[], a_scope bigint[])
returns table (joined integer, gone integer)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  came bigint[];
  went bigint[];
begin
  perform from fleet.device_group g where g.id = a_group for update;
  if not found then return; end if;
  with d as (delete from fleet.group_member m where m.group_id = a_group
      and (a_scope is null or m.device_id = any(a_scope))
      and not exists (select from unnest(a_fit) f(id) where f.id = m.device_id) returning m.device_id)
  select coalesce(array_agg(device_id), '{}') into went from d;
  with i as (insert into fleet.group_member (group_id, device_id) select a_group, f.id from unnest(a_fit) f(id)
      order by 2 on conflict do nothing returning device_id)
  select coalesce(array_agg(device_id), '{}') into came from i;
  joined := cardinality(came);
  gone := cardinality(went);
  update fleet.device_group g set members = g.members + joined - gone,
    refreshed_revision = case when a_scope is null then a_revision else g.refreshed_revision end,
    refreshed_at = case when a_scope is null then clock_timestamp() else g.refreshed_at end
  where g.id = a_group;
  if joined + gone > 0 then
    if a_scope is null and exists (select from fleet.compliance_rule r where r.group_id = a_group and r.deleted_at is null) then
      insert into fleet.touched select unnest(came || went);
    end if;
    perform log.emit('group.changed', 'core', null, null, jsonb_build_object('group', a_group, 'joined', joined, 'left', gone,
      'devices', (select jsonb_agg(x.handle) from (select d.handle from fleet.device d
        where d.id = any((came || went)[1:50]) order by 1) x)));
  end if;
  return next;
end $$;

-- Devices with nothing to compare are left out before anything is computed for them.
create or replace function fleet.judge_drift(a_devices bigint[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
begin
  for c in
    with able as (
      -- Most devices have nothing to compare: no wish of ours, and no profile but the one that enrolled them.
      select d.id, d.state = 'enrolled' as live from fleet.device d where d.id = any(a_devices) and (
        exists (select from fleet.drift x where x.device_id = d.id)
        or exists (select from fleet.command k where k.device_id = d.id and k.request_type in ('InstallProfile', 'RemoveProfile'))
        or exists (select from fleet.declared_device v where v.device_id = d.id)
        or exists (select from fleet.declared_state v where v.device_id = d.id)
        or exists (select from fleet.inventory i where i.device_id = d.id and i.kind = 'ProfileList'
          and jsonb_path_exists(i.facts, '$.profiles[*].PayloadIdentifier ? (@ <> "org.bartizan.enrolment")')))),
    items as materialized (
      select m.id, o.kind, o.key, o.state, o.mark, o.basis from able m cross join lateral fleet.desired_of(m.id) o where m.live),
    gone as (
      delete from fleet.drift x using able m where x.device_id = m.id and not exists (
        select from items o where o.id = m.id and o.kind = x.kind and o.key = x.key)),
    written as (
      insert into fleet.drift as x (device_id, kind, key, state, mark, basis)
      select o.id, o.kind, o.key, o.state, o.mark, o.basis from items o order by 1, 2, 3
      on conflict (device_id, kind, key) do update set state = excluded.state, mark = excluded.mark, basis = excluded.basis,
        since = case when x.state = excluded.state then x.since else now() end
      where (x.state, x.mark, x.basis) is distinct from (excluded.state, excluded.mark, excluded.basis)
      returning x.device_id, x.kind, x.key, x.state, x.since)
    select w.kind, w.key, w.state, array_agg(w.device_id order by w.device_id) as devices from written w
    where w.since = now() and w.state in ('drifted', 'unexpected') group by 1, 2, 3 order by 1, 2, 3
  loop
    n := n + cardinality(c.devices);
    perform fleet.emit_for('device.drift', c.devices, jsonb_build_object('what', c.kind, 'key', c.key, 'state', c.state));
  end loop;
  return n;
end $$;
