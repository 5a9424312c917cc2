-- Room: fleet. What a device should have against what it says it has, profile by profile and declaration by declaration.

create table fleet.drift (
  device_id bigint not null references fleet.device,
  kind text not null check (kind in ('profile', 'declaration')),
  key text not null check (length(key) <= 300),
  state text not null check (state in ('wanted', 'pushed', 'installed', 'drifted', 'unexpected', 'unknown')),
  -- what was installed for which wish: the payload's UUID and the command, a declaration's token. Another mark for the same
  -- wish is a change that we did not make.
  mark text,
  basis text,
  since timestamptz not null default now(),
  primary key (device_id, kind, key)
);
create index drift_bad on fleet.drift (state, device_id) where state in ('drifted', 'unexpected');
create index command_profiles on fleet.command (device_id, queued_at) where request_type in ('InstallProfile', 'RemoveProfile');

-- The items of one device. Profiles: the newest command of each identifier that was not taken back is the wish, ProfileList
-- the report. Declarations: the device's signed list is the wish, its status report the report. What was never reported is
-- unknown, never installed.
create function fleet.desired_of(a_device bigint)
returns table (kind text, key text, state text, why text, mark text, basis text)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
  return query
  with asked as (
    select distinct on (c.key) c.key, c.request_type as verb, c.state, c.uuid::text as uuid, c.done_at, c.delivered_at
    from fleet.command c where c.device_id = a_device and c.request_type in ('InstallProfile', 'RemoveProfile')
      and c.key is not null and c.state not in ('cancelled', 'superseded', 'expired', 'refused')
    order by c.key, c.queued_at desc, c.uuid desc),
  report as (select i.taken_at, i.facts from fleet.inventory i where i.device_id = a_device and i.kind = 'ProfileList'),
  there as (
    select distinct on (p->>'PayloadIdentifier') left(p->>'PayloadIdentifier', 256) as id, p->>'PayloadUUID' as uuid,
      coalesce(p->'IsManaged' = 'true', false) as managed, r.taken_at
    from report r cross join lateral jsonb_array_elements(case jsonb_typeof(r.facts->'profiles') when 'array'
      then r.facts->'profiles' else '[]' end) p
    where p->>'PayloadIdentifier' is not null order by p->>'PayloadIdentifier', p->>'PayloadUUID'),
  profiles as (
    select 'profile'::text as kind, a.key, a.uuid as basis, t.uuid as mark, x.mark as old_mark,
      case
        when a.state in ('error', 'format_error', 'unsupported') then 'wanted'
        when a.state = 'delivered' then 'pushed'
        when a.state <> 'acknowledged' then 'wanted'
        when r.taken_at is null then 'unknown'
        when r.taken_at < a.done_at then 'pushed'
        when t.id is null then 'drifted'
        when x.basis = a.uuid and x.mark <> t.uuid then 'drifted'
        else 'installed' end as state,
      case
        when a.state in ('error', 'format_error', 'unsupported') then 'the device refused it'
        when a.state = 'delivered' then 'the device fetched it and has not answered'
        when a.state <> 'acknowledged' then 'it waits for the device'
        when r.taken_at is null then 'the device has never listed its profiles'
        when r.taken_at < a.done_at then 'the device took it; it has not listed its profiles since'
        when t.id is null then 'it was installed and is gone'
        when x.basis = a.uuid and x.mark <> t.uuid then 'another payload than ours is installed under its identifier'
        else 'as the device lists it' end as why
    from asked a left join report r on true left join there t on t.id = a.key
    left join fleet.drift x on x.device_id = a_device and x.kind = 'profile' and x.key = a.key
    where a.verb = 'InstallProfile'),
  others as (
    select 'profile'::text as kind, t.id as key, 'unexpected'::text as state,
      case when a.verb = 'RemoveProfile' then 'it was removed and is there again'
        when t.managed then 'it is managed and no command of ours installed it' else 'it was installed by hand' end as why,
      t.uuid as mark, null::text as basis
    from there t left join asked a on a.key = t.id
    where t.id <> 'org.bartizan.enrolment' and (a.key is null
      or (a.verb = 'RemoveProfile' and a.state = 'acknowledged' and a.done_at <= t.taken_at))),
  listed as (
    select i->>'kind' as dkind, i->>'identifier' as id, i->>'token' as token, v.fetched_token, l.token as list_token
    from fleet.declared_device v join fleet.declared_list l on l.id = v.list_id
    cross join lateral jsonb_array_elements(l.items) i where v.device_id = a_device),
  declarations as (
    select 'declaration'::text as kind, left(coalesce(i.id, s.identifier), 300) as key,
      case
        when i.id is null then 'unexpected'
        when s.token = i.token and s.valid = 'valid' and (s.active or i.dkind <> 'configuration') then 'installed'
        when s.token = i.token and s.valid = 'invalid' then 'drifted'
        when s.token = i.token and not s.active and i.dkind = 'configuration' and x.basis = i.token and x.state in ('installed', 'drifted') then 'drifted'
        when s.token is null and x.basis = i.token and x.state in ('installed', 'drifted') then 'drifted'
        when i.fetched_token = i.list_token then case when r.device_id is null then 'unknown' else 'pushed' end
        else 'wanted' end as state,
      case
        when i.id is null then 'the device reports it and its list does not have it'
        when s.token = i.token and s.valid = 'invalid' then 'the device finds it invalid'
        when s.token = i.token and s.valid = 'valid' and (s.active or i.dkind <> 'configuration') then 'as the device reports it'
        when s.token = i.token and not s.active then 'the device has it and does not apply it'
        when s.token is null and x.basis = i.token and x.state in ('installed', 'drifted') then 'it was there and is gone'
        when i.fetched_token = i.list_token then case when r.device_id is null then 'the device has never reported its status'
          else 'the device fetched its list and has not reported this one' end
        else 'the device has not fetched its list' end as why,
      s.token as mark, i.token as basis
    from listed i full join (select * from fleet.declared_state z where z.device_id = a_device) s
      on s.kind = i.dkind and s.identifier = i.id
    left join fleet.declared_status r on r.device_id = a_device
    left join fleet.drift x on x.device_id = a_device and x.kind = 'declaration' and x.key = left(coalesce(i.id, s.identifier), 300))
  select p.kind, p.key, p.state, p.why,
    -- the mark of a wish is the one that was seen first
    case when p.state = 'drifted' and p.mark is not null then p.old_mark else p.mark end, p.basis from profiles p
  union all select o.kind, o.key, o.state, o.why, o.mark, o.basis from others o
  union all select distinct on (z.key) z.kind, z.key, z.state, z.why, z.mark, z.basis from declarations z;
end $$;

-- Writes down where the items of these devices stand, and tells what drifted or appeared. Returns how many changed.
create function fleet.judge_drift(a_devices bigint[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
begin
  delete from fleet.drift x where x.device_id = any(a_devices) and not exists (
    select from fleet.device d cross join lateral fleet.desired_of(d.id) o
    where d.id = x.device_id and d.state = 'enrolled' and o.kind = x.kind and o.key = x.key);
  for c in
    with written as (
      insert into fleet.drift as x (device_id, kind, key, state, mark, basis)
      select d.id, o.kind, o.key, o.state, o.mark, o.basis from fleet.device d cross join lateral fleet.desired_of(d.id) o
      where d.id = any(a_devices) and d.state = 'enrolled' order by 1, 2, 3
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

-- What a device says of its declarations is a fact too.
create function fleet.touch_declared() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.touched values (coalesce(new.device_id, old.device_id));
  return null;
end $$;
create trigger declared_state_changed after insert or update or delete on fleet.declared_state
  for each row execute function fleet.touch_declared();

-- The same list again can still be news: a command was done in between and the list should differ.
create trigger inventory_repeated after update of facts on fleet.inventory
  for each row when (new.kind = 'ProfileList' and old.facts is not distinct from new.facts) execute function fleet.touch_inventory();

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('device.drift', 2003, 99, 3, 'something that was installed is gone or changed on devices, or something is there that we did not install', false);

revoke all on function fleet.desired_of(bigint), fleet.judge_drift(bigint[]), fleet.touch_declared() from public;
grant execute on function fleet.judge_drift(bigint[]) to bartizan_core;
grant execute on function fleet.desired_of(bigint) to bartizan_console;
grant select on fleet.drift to bartizan_core, bartizan_console;
