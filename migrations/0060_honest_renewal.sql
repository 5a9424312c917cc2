-- Room: fleet. Where core cannot make a device's enrolment profile anew it says so early, instead of trying: the device must
-- be enrolled again before its certificate ends.

-- Why not, or null. `account`: a profile for a holder's own device names a managed Apple ID that nobody keeps here, and with
-- AccessRights in its place the device refuses it. `imported`: the profile is another server's, its identifiers are unknown.
-- `acme`: its certificate was not asked for by SCEP.
create function fleet.renewal_obstacle(a_device bigint) returns text
language sql stable security definer set search_path = pg_catalog as $$
  select case when exists (select from fleet.account_device a where a.device_id = a_device) then 'account'
    else coalesce((select case e.identity when 'scep' then null else 'acme' end from fleet.enrolment e
      where e.device_id = a_device and e.used_at is not null order by e.used_at desc limit 1),
      case when exists (select from fleet.enrolment e where e.device_id = a_device and e.used_at is not null)
        then null else 'imported' end) end
$$;
create or replace function fleet.renewable(a_device bigint) returns boolean
language sql stable security definer set search_path = pg_catalog as $$
  select fleet.renewal_obstacle(a_device) is null
$$;

-- What was already found to be so, and what somebody asked for in vain.
update fleet.renewal r set reason = fleet.renewal_obstacle(r.device_id), next_at = 'infinity', alarmed = null
where r.state = 'due' and fleet.renewal_obstacle(r.device_id) is not null;

-- As before, but nothing is begun that a device would refuse.
create or replace function fleet.ask_renewal(a_handle text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d fleet.device;
begin
  select * into d from fleet.device where handle = a_handle and state = 'enrolled' and certificate_sha256 is not null;
  if not found or fleet.renewal_obstacle(d.id) is not null then return false; end if;
  insert into fleet.renewal as r (device_id, state, next_at, started_at, asked_by) values (d.id, 'due', now(), now(), a_by)
  on conflict (device_id) do update set asked_by = a_by, next_at = now(),
    state = 'due', started_at = case when r.state in ('done', 'stopped') then now() else r.started_at end,
    attempts = case when r.state in ('done', 'stopped') then 0 else r.attempts end, finished_at = null
  -- one that is under way goes on
  where r.state in ('done', 'stopped', 'due');
  perform log.emit('device.renewal_asked', a_by, a_handle, null, '{}');
  return true;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.renewal_impossible', 3004, 99, 3, 'a device''s certificate runs out and can only be replaced by enrolling the device again');

revoke all on function fleet.renewal_obstacle(bigint) from public;
grant execute on function fleet.renewal_obstacle(bigint) to bartizan_core, bartizan_console;
