-- Room: fleet. What an incremental status report leaves is what the equivalent full one leaves.

-- As before; an error of the declarations ends when they are reported again, and a value that is null was reported but may
-- not be kept: the one before it is not true any more.
create or replace function fleet.apply_status(a_device bigint, a_handle text, a_report jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  s fleet.declared_status;
  first boolean;
  whole boolean := (a_report->>'full')::boolean;
  n_values jsonb;
  n_lists jsonb;
  n_errors jsonb;
  n_list jsonb;
  p record;
  c record;
  n_told integer;
  gone text[];
begin
  insert into fleet.declared_status (device_id) values (a_device) on conflict do nothing;
  first := found;
  select * into s from fleet.declared_status where device_id = a_device for update;
  n_told := case when s.told_since < now() - interval '1 hour' then 0 else s.told end;
  n_values := jsonb_strip_nulls(case when whole then '{}'::jsonb else s.values end || (a_report->'values'));
  n_lists := case when whole then '{}'::jsonb else s.lists end;
  n_errors := case when whole then '{}'::jsonb else s.errors end;
  for p in select key, value from jsonb_each(a_report->'lists') loop
    n_list := (coalesce(n_lists->p.key, '{}') || (p.value->'set')) - array(select jsonb_array_elements_text(p.value->'removed'));
    -- more than any device has: what this report says stays, which the parser bounds
    if (select count(*) from jsonb_object_keys(n_list)) > 2000 then n_list := p.value->'set'; end if;
    n_lists := n_lists || jsonb_build_object(p.key, n_list);
  end loop;
  -- what a device cannot report any more is not known any more
  gone := array(select jsonb_object_keys(a_report->'errors'));
  n_values := n_values - gone;
  n_lists := n_lists - gone;
  -- an item that has a value again has no error
  n_errors := n_errors - array(select jsonb_object_keys((a_report->'values') || (a_report->'lists')));
  if a_report ? 'declarations' then n_errors := n_errors - 'management.declarations'; end if;
  n_errors := n_errors || (a_report->'errors');
  if (select count(*) from jsonb_object_keys(n_errors)) > 500 then n_errors := a_report->'errors'; end if;
  if not first then
    perform fleet.note_changes(a_device, '', s.values, n_values);
    for p in select k from jsonb_object_keys(s.lists || n_lists) k where s.lists->k is distinct from n_lists->k loop
      perform fleet.note_changes(a_device, p.k || '/', coalesce(s.lists->p.k, '{}'), coalesce(n_lists->p.k, '{}'));
    end loop;
  end if;
  if n_values->>'device.operating-system.version' is not null then
    update fleet.device d set os_version = left(n_values->>'device.operating-system.version', 32),
      build_version = coalesce(left(n_values->>'device.operating-system.build-version', 32), d.build_version)
    where d.id = a_device and d.os_version is distinct from left(n_values->>'device.operating-system.version', 32);
  end if;
  if jsonb_typeof(a_report->'declarations') = 'array' then
    delete from fleet.declared_state x where x.device_id = a_device and not exists (
      select from jsonb_array_elements(a_report->'declarations') r
      where r->>'kind' = x.kind and r->>'identifier' = x.identifier);
    for c in select r.*, x.active as was_active, x.valid as was_valid, x.token as was_token
      from jsonb_to_recordset(a_report->'declarations') as r(kind text, identifier text, token text, active boolean, valid text, reasons jsonb)
      left join fleet.declared_state x on x.device_id = a_device and x.kind = r.kind and x.identifier = r.identifier
      where (x.token, x.active, x.valid, x.reasons) is distinct from (r.token, r.active, r.valid, r.reasons)
      order by r.kind, r.identifier
    loop
      insert into fleet.declared_state as x (device_id, kind, identifier, token, active, valid, reasons)
      values (a_device, c.kind, c.identifier, c.token, c.active, c.valid, c.reasons)
      on conflict (device_id, kind, identifier) do update set token = excluded.token, active = excluded.active,
        valid = excluded.valid, reasons = excluded.reasons, since = now();
      if n_told >= 100 then continue; end if;
      if c.valid = 'invalid' and (c.was_valid is distinct from 'invalid' or c.was_token is distinct from c.token) then
        n_told := n_told + 1;
        perform log.emit('declaration.invalid', 'edge', a_handle, null,
          jsonb_build_object('identifier', c.identifier, 'kind', c.kind, 'reasons', c.reasons));
      elsif c.was_active and not c.active and c.was_token = c.token and c.kind not in ('activation', 'management') then
        n_told := n_told + 1;
        perform log.emit('declaration.drift', 'edge', a_handle, null,
          jsonb_build_object('identifier', c.identifier, 'kind', c.kind, 'valid', c.valid, 'reasons', c.reasons));
      end if;
    end loop;
  elsif whole or 'management.declarations' = any(gone) then
    delete from fleet.declared_state x where x.device_id = a_device;
  end if;
  update fleet.declared_status set "values" = n_values, lists = n_lists, errors = n_errors, reports = s.reports + 1,
    reported_at = now(), full_at = case when whole then now() else s.full_at end, told = n_told,
    told_since = case when s.told_since < now() - interval '1 hour' then now() else s.told_since end
  where device_id = a_device;
end $$;
