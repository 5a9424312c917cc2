-- Room: fleet. Groups follow the facts: whoever changes a device marks it, core puts it into its groups, and nothing else.

-- `18.1.2` as {18,1,2}, without trailing zeros, so that arrays compare as versions do; anything else is no version.
create function fleet.version_key(a_version text) returns integer[]
language sql immutable parallel safe as $$
  select case when a_version ~ '^[0-9]{1,4}([.][0-9]{1,4}){0,3}$'
    then string_to_array(regexp_replace(a_version, '([.]0+)+$', ''), '.')::integer[] end
$$;

-- Devices whose facts changed and that have not been looked at since. Appended by triggers, taken by core.
create table fleet.touched (device_id bigint not null);

create function fleet.touch_device() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.touched values (new.id);
  return null;
end $$;

create function fleet.touch_devices() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.touched select id from fresh;
  return null;
end $$;

create function fleet.touch_inventory() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.touched values (new.device_id);
  return null;
end $$;

create trigger device_new after insert on fleet.device referencing new table as fresh
  for each statement execute function fleet.touch_devices();
-- Only when one of these columns is written at all: a check-in writes last_seen_at alone and pays nothing.
create trigger device_changed after update of holder, state, model, product_name, os_version, build_version, supervised,
  certificate_not_after, push_token, serial on fleet.device
  for each row when (
    (old.holder, old.state, old.model, old.product_name, old.os_version, old.build_version, old.supervised,
      old.certificate_not_after, old.push_token, old.serial)
    is distinct from
    (new.holder, new.state, new.model, new.product_name, new.os_version, new.build_version, new.supervised,
      new.certificate_not_after, new.push_token, new.serial))
  execute function fleet.touch_device();
create trigger inventory_new after insert on fleet.inventory
  for each row execute function fleet.touch_inventory();
create trigger inventory_changed after update of facts on fleet.inventory
  for each row when (old.facts is distinct from new.facts) execute function fleet.touch_inventory();

-- Takes at most `a_limit` marks away, in the transaction that acts on them.
create function fleet.take_touched(a_limit integer) returns bigint[]
language sql volatile security definer set search_path = pg_catalog as $$
  with gone as (delete from fleet.touched t where t.ctid = any(array(select u.ctid from fleet.touched u limit a_limit))
    returning device_id)
  select array(select distinct device_id from gone order by 1)
$$;

-- A filter's revision grows with each change; a group is in step once it was refreshed at that revision. `timed`: the
-- filter asks about ages, so that devices come and go without any fact changing.
alter table fleet.device_group
  add column revision integer not null default 1,
  add column refreshed_revision integer not null default 0,
  add column refreshed_at timestamptz,
  add column members integer not null default 0,
  add column timed boolean not null default false;
create index device_group_live on fleet.device_group (name) where deleted_at is null;
-- A name is free again after its group is gone.
alter table fleet.device_group drop constraint device_group_name_key;
create unique index device_group_name on fleet.device_group (lower(name)) where deleted_at is null;

-- Makes the members those of `a_fit`, among the devices of `a_scope` or, without one, among all. One event for all that
-- came and went. Who changed in a refresh of the whole is marked, because rules are scoped by groups.
create function fleet.set_group_members(a_group uuid, a_revision integer, a_fit bigint[], a_scope bigint[])
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
    if a_scope is null then insert into fleet.touched select unnest(came || went); end if;
    perform log.emit('group.changed', 'core', null, null, jsonb_build_object('group', a_group, 'joined', joined, 'left', gone,
      'devices', (select jsonb_agg(x.handle) from (select d.handle from fleet.device d
        where d.id = any((came || went)[1:50]) order by 1) x)));
  end if;
  return next;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('group.saved', 3006, 3, 1, 'an admin saved or changed a group of devices', false),
  ('group.deleted', 3006, 2, 1, 'an admin deleted a group of devices', false),
  ('group.changed', 3006, 3, 1, 'devices came into a group or left it', false);

revoke all on function fleet.version_key(text), fleet.take_touched(integer),
  fleet.set_group_members(uuid, integer, bigint[], bigint[]) from public;
revoke all on function fleet.touch_device(), fleet.touch_devices(), fleet.touch_inventory() from public;
grant execute on function fleet.version_key(text) to bartizan_core, bartizan_console;
grant execute on function fleet.take_touched(integer),
  fleet.set_group_members(uuid, integer, bigint[], bigint[]) to bartizan_core;
