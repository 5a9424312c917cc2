-- Room: fleet. Whether core can make a device's enrolment profile anew: one with SCEP that we wrote ourselves. A profile for an
-- account names a managed Apple ID that nobody keeps here, and ACME has its own way.
create function fleet.renewable(a_device bigint) returns boolean
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
  return coalesce((select e.identity = 'scep' from fleet.enrolment e where e.device_id = a_device and e.used_at is not null
      order by e.used_at desc limit 1), false)
    and not exists (select from fleet.account_device a where a.device_id = a_device);
end $$;
revoke all on function fleet.renewable(bigint) from public;
grant execute on function fleet.renewable(bigint) to bartizan_core;
