-- Room: edge. Declarative management at the door. Edge believes no row: lists, members and declarations are signed by core.

-- Whose list each device has, for devices that ask together.
create function edge.declared(a_certificates bytea[], a_udids text[])
returns table (ord integer, verdict text, handle text, list bigint, token text, signature bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select a.ord::integer, case when d.id is null or d.state in ('retired', 'checked_out') then 'unknown'
      when d.udid is not null and d.udid <> a.udid then 'foreign' else 'own' end,
    d.handle, l.id, l.token, dd.signature
  from unnest(a_certificates, a_udids) with ordinality a(certificate, udid, ord)
  left join fleet.device d on d.certificate_sha256 = a.certificate
  left join fleet.declared_device dd on dd.device_id = d.id
  left join fleet.declared_list l on l.id = dd.list_id
$$;

create function edge.declared_list(a_list bigint) returns table (token text, items jsonb, at bigint, signature bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select l.token, l.items, l.at, l.signature from fleet.declared_list l where l.id = a_list
$$;

-- A declaration's bytes as of one token: an older version can still be asked for while a device works through its list.
create function edge.declaration(a_identifier text, a_token text) returns table (body bytea, signature bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select v.body, v.signature from fleet.declaration d join fleet.declaration_version v on v.declaration_id = d.id
  where d.identifier = a_identifier and v.token = a_token and v.state in ('current', 'superseded') order by v.version desc limit 1
$$;

-- Devices that were given their list.
create function edge.declared_fetched(a_handles text[], a_tokens text[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  with mine as (select dd.device_id, a.token from unnest(a_handles, a_tokens) a(handle, token)
    join fleet.device d on d.handle = a.handle join fleet.declared_device dd on dd.device_id = d.id
    order by dd.device_id for update of dd)
  update fleet.declared_device dd set fetched_token = mine.token, fetched_at = now() from mine where dd.device_id = mine.device_id
$$;

create function edge.declared_unsigned(a_handle text, a_what text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('declaration.unsigned', 'edge', a_handle, null, jsonb_build_object('what', left(a_what, 200)))
$$;

create function edge.declared_data(a_id text) returns table (content_type text, content bytea, sha256 bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select d.content_type, d.content, d.sha256 from fleet.declared_data d where d.id = a_id
$$;

-- What differs between two objects, as history. At most 200 lines a report.
create function fleet.note_changes(a_device bigint, a_prefix text, a_before jsonb, a_after jsonb) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  insert into fleet.status_change (device_id, path, before, after)
  select a_device, a_prefix || k, a_before->k, a_after->k from jsonb_object_keys(a_before || a_after) k
  where a_before->k is distinct from a_after->k order by k limit 200
$$;

-- One report: a full one replaces everything, any other names what changed.
create function fleet.apply_status(a_device bigint, a_handle text, a_report jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  s fleet.declared_status;
  first boolean;
  whole boolean := (a_report->>'full')::boolean;
  n_values jsonb;
  n_lists jsonb;
  n_errors jsonb;
  p record;
  c record;
begin
  insert into fleet.declared_status (device_id) values (a_device) on conflict do nothing;
  first := found;
  select * into s from fleet.declared_status where device_id = a_device for update;
  n_values := case when whole then '{}'::jsonb else s.values end || (a_report->'values');
  n_lists := case when whole then '{}'::jsonb else s.lists end;
  n_errors := case when whole then '{}'::jsonb else s.errors end;
  for p in select key, value from jsonb_each(a_report->'lists') loop
    n_lists := n_lists || jsonb_build_object(p.key, (coalesce(n_lists->p.key, '{}') || (p.value->'set'))
      - array(select jsonb_array_elements_text(p.value->'removed')));
  end loop;
  -- an item that has a value again has no error
  n_errors := (n_errors - array(select jsonb_object_keys((a_report->'values') || (a_report->'lists')))) || (a_report->'errors');
  if not first then
    perform fleet.note_changes(a_device, '', s.values, n_values);
    for p in select k from jsonb_object_keys(s.lists || n_lists) k where s.lists->k is distinct from n_lists->k loop
      perform fleet.note_changes(a_device, p.k || '/', coalesce(s.lists->p.k, '{}'), coalesce(n_lists->p.k, '{}'));
    end loop;
  end if;
  update fleet.declared_status set "values" = n_values, lists = n_lists, errors = n_errors, reports = s.reports + 1,
    reported_at = now(), full_at = case when whole then now() else s.full_at end
  where device_id = a_device;
  if n_values->>'device.operating-system.version' is not null then
    update fleet.device d set os_version = left(n_values->>'device.operating-system.version', 32),
      build_version = coalesce(left(n_values->>'device.operating-system.build-version', 32), d.build_version)
    where d.id = a_device and d.os_version is distinct from left(n_values->>'device.operating-system.version', 32);
  end if;
  if jsonb_typeof(a_report->'declarations') <> 'array' then return; end if;
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
    if c.valid = 'invalid' and (c.was_valid is distinct from 'invalid' or c.was_token is distinct from c.token) then
      perform log.emit('declaration.invalid', 'edge', a_handle, null,
        jsonb_build_object('identifier', c.identifier, 'kind', c.kind, 'reasons', c.reasons));
    elsif c.was_active and not c.active and c.was_token = c.token and c.kind <> 'activation' then
      perform log.emit('declaration.drift', 'edge', a_handle, null,
        jsonb_build_object('identifier', c.identifier, 'kind', c.kind, 'valid', c.valid, 'reasons', c.reasons));
    end if;
  end loop;
end $$;

-- Reports of devices, each {certificate, udid, report}, in one transaction; in the order of the devices, so that two
-- batches never wait for each other crosswise. A device's own reports keep their order.
create function edge.take_statuses(a_reports jsonb) returns table (ord integer, verdict text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r record;
begin
  for r in select x.o, x.v->'report' as report, w.verdict, w.id, w.handle
    from jsonb_array_elements(a_reports) with ordinality x(v, o)
    cross join lateral edge.whose(decode(x.v->>'certificate', 'hex'), x.v->>'udid') w order by w.id, x.o
  loop
    if r.verdict = 'own' then perform fleet.apply_status(r.id, r.handle, r.report); end if;
    ord := r.o;
    verdict := r.verdict;
    return next;
  end loop;
end $$;

revoke all on function fleet.note_changes(bigint, text, jsonb, jsonb), fleet.apply_status(bigint, text, jsonb) from public;
revoke all on all functions in schema edge from public;
grant execute on function edge.declared(bytea[], text[]), edge.declared_list(bigint), edge.declaration(text, text),
  edge.declared_fetched(text[], text[]), edge.declared_unsigned(text, text), edge.declared_data(text),
  edge.take_statuses(jsonb) to bartizan_edge;
