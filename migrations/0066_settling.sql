-- Room: fleet. Whether anything changed that decides which devices should have which profiles and apps. Core compares
-- assignments with devices over the whole fleet; without this it would do so every two seconds, for nothing.

create sequence fleet.settling;
select nextval('fleet.settling');

-- Counts outside of any transaction, so that no two writers ever wait for each other: core looks for a while longer than
-- the count moves, and at times without.
create function fleet.to_settle() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  perform nextval('fleet.settling');
  return null;
end $$;
revoke all on function fleet.to_settle() from public;

do $$
declare
  what text;
begin
  foreach what in array array['group_member', 'device_group', 'profile_assignment', 'profile_on', 'rollout', 'rollout_act', 'app',
    'app_assignment', 'app_licence', 'app_on']
  loop
    execute format('create trigger to_settle after insert or update or delete on fleet.%I for each statement execute function fleet.to_settle()', what);
  end loop;
end $$;
create trigger to_settle after update of state on fleet.device
  for each row when (new.state is distinct from old.state) execute function fleet.to_settle();

create function fleet.settling_count() returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select last_value from fleet.settling
$$;
revoke all on function fleet.settling_count() from public;
grant execute on function fleet.settling_count() to bartizan_core;

-- The lane's holds are looked for all the time, and the rest of a fan-out every few seconds for as long as one of its
-- devices is away: neither may read a hundred thousand rows to find none.
create index command_lane on fleet.command (uuid) where held_by = 'lane';
create index command_fan_out_open on fleet.command (fan_out_id) where fan_out_id is not null and (done_at is null or held_by is not null);
