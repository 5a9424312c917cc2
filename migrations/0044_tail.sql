-- Room: fleet. Apps and the device's own certificate beside profiles and declarations; facts that came later.

-- As before, without what changes by itself in lists of apps.
create or replace function fleet.inventory_flat(a_facts jsonb) returns table (key text, value jsonb)
language sql immutable set search_path = pg_catalog as $$
  select f.key, f.value from jsonb_each(a_facts) f where jsonb_typeof(f.value) <> 'array'
    -- these change by themselves all the time and say nothing about what the device is
    and f.key not in ('BatteryLevel', 'AvailableDeviceCapacity', 'LastCloudBackupDate')
  union all
  select left(f.key || ':' || coalesce(i.value->>'PayloadIdentifier', i.value->>'Identifier', i.value->>'sha256',
      i.value->>'UUID', i.value->>'ProductKey', i.value #>> '{}'), 300),
    -- the same thing twice is one key, whatever the order of the list
    (jsonb_agg(case jsonb_typeof(i.value) when 'object' then i.value - array['PayloadContent', 'BundleSize', 'DynamicSize',
      'Installing', 'DownloadWaiting', 'DownloadPaused', 'DownloadPercentComplete', 'DataUsed'] else i.value end order by i.value))->0
  from jsonb_each(a_facts) f cross join lateral jsonb_array_elements(case jsonb_typeof(f.value) when 'array' then f.value else '[]' end) i(value)
  group by 1
$$;

alter table fleet.drift drop constraint drift_kind_check;
alter table fleet.drift add constraint drift_kind_check check (kind in ('profile', 'declaration', 'app', 'certificate'));
create index command_apps on fleet.command (device_id, queued_at) where request_type in ('InstallApplication', 'RemoveApplication');

alter function fleet.desired_of(bigint) rename to desired_settings_of;
revoke all on function fleet.desired_settings_of(bigint) from public, bartizan_console;

-- Profiles and declarations, as before, then apps that were installed by their identifier (ManagedApplicationList is the
-- report) and the certificate that the device signs with (CertificateList).
create function fleet.desired_of(a_device bigint)
returns table (kind text, key text, state text, why text, mark text, basis text)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
  return query select * from fleet.desired_settings_of(a_device);
  return query
  with asked as (
    select distinct on (c.key) c.key, c.request_type as verb, c.state, c.uuid::text as uuid, c.done_at
    from fleet.command c where c.device_id = a_device and c.request_type in ('InstallApplication', 'RemoveApplication')
      and c.key like '%.%' and c.state not in ('cancelled', 'superseded', 'expired', 'refused')
    order by c.key, c.queued_at desc, c.uuid desc),
  apps as (
    select a.key, a.state, a.done_at, a.uuid, r.taken_at, t.status, coalesce(x.basis = a.uuid and x.state in ('installed', 'drifted'), false) as was
    from asked a left join fleet.inventory r on r.device_id = a_device and r.kind = 'ManagedApplicationList'
    left join lateral (select p->>'Status' as status from jsonb_array_elements(case jsonb_typeof(r.facts->'apps') when 'array'
      then r.facts->'apps' else '[]' end) p where p->>'Identifier' = a.key limit 1) t on true
    left join fleet.drift x on x.device_id = a_device and x.kind = 'app' and x.key = a.key
    where a.verb = 'InstallApplication')
  select 'app'::text, a.key,
    case when a.state in ('error', 'format_error', 'unsupported') then 'wanted' when a.state = 'delivered' then 'pushed'
      when a.state <> 'acknowledged' then 'wanted' when a.taken_at is null then 'unknown' when a.taken_at < a.done_at then 'pushed'
      when a.status = 'Managed' then 'installed' when a.was then 'drifted' else 'pushed' end,
    case when a.state in ('error', 'format_error', 'unsupported') then 'the device refused it'
      when a.state = 'delivered' then 'the device fetched it and has not answered'
      when a.state <> 'acknowledged' then 'it waits for the device'
      when a.taken_at is null then 'the device has never listed its managed apps'
      when a.taken_at < a.done_at then 'the device took it; it has not listed its managed apps since'
      when a.status = 'Managed' then 'as the device lists it'
      when a.was then 'it was installed and is ' || coalesce('now ' || left(a.status, 40), 'gone')
      else 'the device says ' || coalesce(left(a.status, 40), 'nothing') || ' of it' end,
    null::text, a.uuid
  from apps a;
  return query
  select 'certificate'::text, 'device identity'::text,
    case when c.taken_at is null then 'unknown' when c.has then 'installed' when c.taken_at < d.enrolled_at then 'unknown' else 'drifted' end,
    case when c.taken_at is null then 'the device has never listed its certificates'
      when c.has then 'as the device lists it'
      when c.taken_at < d.enrolled_at then 'the device has not listed its certificates since it enrolled'
      else 'the certificate that it signs with is not in its list' end,
    null::text, encode(d.certificate_sha256, 'hex')
  from fleet.device d left join lateral (select i.taken_at, i.facts @> jsonb_build_object('certificates',
      jsonb_build_array(jsonb_build_object('sha256', encode(d.certificate_sha256, 'hex')))) as has
    from fleet.inventory i where i.device_id = d.id and i.kind = 'CertificateList') c on true
  where d.id = a_device and d.certificate_sha256 is not null and d.state = 'enrolled';
end $$;
revoke all on function fleet.desired_of(bigint) from public;
grant execute on function fleet.desired_of(bigint) to bartizan_console;

-- As before, for apps and certificates too.
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
        or exists (select from fleet.command k where k.device_id = d.id and k.request_type in ('InstallApplication', 'RemoveApplication'))
        or exists (select from fleet.inventory i where i.device_id = d.id and i.kind = 'CertificateList' and not i.facts @>
          jsonb_build_object('certificates', jsonb_build_array(jsonb_build_object('sha256', encode(d.certificate_sha256, 'hex')))))
        or exists (select from fleet.declared_device v where v.device_id = d.id)
        or exists (select from fleet.declared_state v where v.device_id = d.id)
        or exists (select from fleet.inventory i where i.device_id = d.id and i.kind = 'ProfileList'
          and jsonb_path_exists(i.facts, '$.profiles[*].PayloadIdentifier ? (@ <> "org.bartizan.enrolment")')))),
    items as materialized (
      select m.id, o.kind, o.key, o.state, o.mark, o.basis from able m cross join lateral fleet.desired_of(m.id) o
      -- that nothing is known of a certificate is no finding worth a row
      where m.live and not (o.kind = 'certificate' and o.state = 'unknown')),
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
