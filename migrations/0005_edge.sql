-- Room: edge. The only thing that the internet-facing process may do with the database: call these functions.
-- Each finds the device by the SHA-256 of the certificate that signed the message, never by what the message claims.
create schema edge;

-- Edge's own registration certificate: edge asks with a key of its own, core signs.
create table fleet.registration (
  spki_sha256 bytea primary key check (octet_length(spki_sha256) = 32),
  csr bytea not null check (octet_length(csr) <= 8192),
  certificate bytea,
  ca bytea,
  requested_at timestamptz not null default now()
);
grant select, update on fleet.registration to bartizan_core;

create function edge.register(a_spki_sha256 bytea, a_csr bytea) returns table (certificate bytea, ca bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if (select count(*) from fleet.registration) < 64 then
    insert into fleet.registration (spki_sha256, csr) values (a_spki_sha256, a_csr) on conflict do nothing;
    perform pg_notify('bartizan_work', '');
  end if;
  return query select r.certificate, r.ca from fleet.registration r where r.spki_sha256 = a_spki_sha256;
end $$;

-- Opens an enrolment link: notes the hash of the SCEP challenge that goes into the profile. Null if the link is not good.
create function edge.open_link(a_link_sha256 bytea, a_challenge_sha256 bytea) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  e fleet.enrolment;
  h text;
begin
  update fleet.enrolment set challenge_sha256 = a_challenge_sha256, fetched_at = now()
  where link_sha256 = a_link_sha256 and used_at is null and revoked_at is null and expires_at > now() returning * into e;
  if not found then return null; end if;
  select handle into h from fleet.device where id = e.device_id;
  perform log.emit('device.profile_fetched', 'edge', h, null, '{}');
  return e.id;
end $$;

-- One certificate per challenge. Null if the challenge is unknown, spent or expired.
create function edge.request_certificate(a_id uuid, a_challenge_sha256 bytea, a_csr bytea) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  e fleet.enrolment;
begin
  update fleet.enrolment set used_at = now()
  where challenge_sha256 = a_challenge_sha256 and used_at is null and revoked_at is null and expires_at > now()
  returning * into e;
  if not found then return null; end if;
  insert into fleet.certificate_request (id, enrolment_id, csr) values (a_id, e.id, a_csr);
  perform pg_notify('bartizan_work', '');
  return a_id;
end $$;

create function edge.certificate(a_id uuid) returns table (state text, certificate bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select state, certificate from fleet.certificate_request where id = a_id
$$;

create function edge.cancel_pending(a_device bigint, a_handle text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
begin
  for c in update fleet.command set state = 'cancelled', done_at = now()
    where device_id = a_device and state in ('queued', 'delivered', 'not_now') returning uuid, request_type
  loop
    perform log.emit('command.cancelled', 'edge', a_handle, null,
      jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'enrolment'));
  end loop;
end $$;

-- The device that a certificate belongs to, if the identifier in the message is its own; 'unknown' and 'foreign' are refusals.
create function edge.whose(a_certificate_sha256 bytea, a_udid text) returns table (verdict text, id bigint, handle text)
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
  d fleet.device;
begin
  select * into d from fleet.device where certificate_sha256 = a_certificate_sha256;
  if not found or d.state in ('retired', 'checked_out') then return query select 'unknown', 0::bigint, null::text; return; end if;
  if d.udid is not null and d.udid <> a_udid then return query select 'foreign', d.id, d.handle; return; end if;
  return query select 'own', d.id, d.handle;
end $$;

create function edge.note_findings(a_handle text, a_findings text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if coalesce(array_length(a_findings, 1), 0) > 0 then
    perform log.emit('device.finding', 'edge', a_handle, null, jsonb_build_object('findings', to_jsonb(a_findings[1:16])));
  end if;
end $$;

create function edge.refuse(a_handle text, a_reason text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('device.refused', 'edge', a_handle, null, jsonb_build_object('reason', a_reason))
$$;

-- Authenticate: pins the identifier to the certificate's device, clears its queue. Returns the device's handle or a refusal.
create function edge.authenticate(a_certificate_sha256 bytea, a_udid text, a_topic text, a_facts jsonb, a_findings text[])
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  o record;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict <> 'own' then
    perform edge.refuse(w.handle, case w.verdict when 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select w.verdict, w.handle;
    return;
  end if;
  -- the same phone enrolled anew through another link: the old enrolment gives way
  for o in update fleet.device d set udid = null, certificate_sha256 = null, state = 'checked_out'
    where d.udid = a_udid and d.id <> w.id returning d.id, d.handle
  loop
    perform edge.cancel_pending(o.id, o.handle);
    perform log.emit('device.checked_out', 'edge', o.handle, null, jsonb_build_object('why', 'enrolled-anew', 'as', w.handle));
  end loop;
  update fleet.device d set udid = a_udid, topic = a_topic, state = 'authenticated', last_seen_at = now(),
    serial = left(a_facts->>'serial', 64), model = left(a_facts->>'model', 64),
    product_name = left(a_facts->>'productName', 64), os_version = left(a_facts->>'osVersion', 32),
    build_version = left(a_facts->>'buildVersion', 32), push_token = null, push_magic = null
  where d.id = w.id;
  perform edge.cancel_pending(w.id, w.handle);
  perform log.emit('device.authenticated', 'edge', w.handle, null, '{}');
  perform edge.note_findings(w.handle, a_findings);
  return query select 'own', w.handle;
end $$;

create function edge.token_update(a_certificate_sha256 bytea, a_udid text, a_topic text, a_token bytea, a_magic text, a_findings text[])
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  before text;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict = 'own' then select d.state into before from fleet.device d where d.id = w.id and d.udid is not null for update; end if;
  if w.verdict <> 'own' or before is null then
    perform edge.refuse(w.handle, case when w.verdict = 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select case when w.verdict = 'own' then 'unknown' else w.verdict end, w.handle;
    return;
  end if;
  update fleet.device d set state = 'enrolled', push_token = a_token, push_magic = a_magic, topic = a_topic,
    enrolled_at = coalesce(d.enrolled_at, now()), last_seen_at = now() where d.id = w.id;
  if before <> 'enrolled' then perform log.emit('device.enrolled', 'edge', w.handle, null, '{}'); end if;
  perform edge.note_findings(w.handle, a_findings);
  return query select 'own', w.handle;
end $$;

create function edge.check_out(a_certificate_sha256 bytea, a_udid text) returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict = 'own' then
    update fleet.device d set state = 'checked_out' where d.id = w.id;
    perform edge.cancel_pending(w.id, w.handle);
    perform log.emit('device.checked_out', 'edge', w.handle, null, jsonb_build_object('why', 'device'));
  else
    perform edge.refuse(w.handle, 'check-out');
  end if;
  return query select w.verdict, w.handle;
end $$;

-- One turn of the command loop: takes the answer, if any, and gives the next command. An idle check-in is this one
-- statement. NotNow commands are offered again at the next Idle only; a delivered command without an answer too.
create function edge.turn(a_certificate_sha256 bytea, a_udid text, a_status text, a_command uuid, a_errors jsonb,
  a_kind text, a_facts jsonb, a_findings text[])
returns table (verdict text, handle text, uuid uuid, request_type text, body bytea, signature bytea, permit jsonb)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  c fleet.command;
  n fleet.command;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict <> 'own' then
    perform edge.refuse(w.handle, case w.verdict when 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select w.verdict, w.handle, null::uuid, null::text, null::bytea, null::bytea, null::jsonb;
    return;
  end if;
  update fleet.device d set last_seen_at = now()
  where d.id = w.id and (d.last_seen_at is null or d.last_seen_at < now() - interval '10 seconds');
  if a_status <> 'Idle' then
    select * into c from fleet.command k where k.uuid = a_command and k.device_id = w.id for update;
    if not found then
      perform edge.note_findings(w.handle, array['answer-to-unknown-command']);
    elsif c.state = 'delivered' or (c.state = 'not_now' and a_status <> 'NotNow') then
      update fleet.command k set
        state = case a_status when 'Acknowledged' then 'acknowledged' when 'Error' then 'error'
          when 'CommandFormatError' then 'format_error' else 'not_now' end,
        errors = case when jsonb_array_length(coalesce(a_errors, '[]')) > 0 then a_errors end,
        done_at = case when a_status <> 'NotNow' then now() end
      where k.uuid = c.uuid;
      perform log.emit('command.result', 'edge', w.handle, null, jsonb_build_object('command', c.uuid,
        'verb', c.request_type, 'status', a_status, 'errors', coalesce(a_errors, '[]')));
      if a_status = 'Acknowledged' and a_kind = c.request_type then
        insert into fleet.inventory as i (device_id, kind, facts) values (w.id, a_kind, a_facts)
        on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = now();
        if a_kind = 'DeviceInformation' then
          update fleet.device d set os_version = coalesce(left(a_facts->>'OSVersion', 32), d.os_version),
            build_version = coalesce(left(a_facts->>'BuildVersion', 32), d.build_version),
            supervised = coalesce((a_facts->>'IsSupervised')::boolean, d.supervised) where d.id = w.id;
        end if;
        perform log.emit('device.inventory', 'edge', w.handle, null, jsonb_build_object('what', a_kind));
      end if;
      if a_status = 'Acknowledged' and c.request_type = 'EraseDevice' then
        update fleet.device d set state = 'checked_out' where d.id = w.id;
        perform edge.cancel_pending(w.id, w.handle);
        perform log.emit('device.checked_out', 'edge', w.handle, null, jsonb_build_object('why', 'erased'));
      end if;
    elsif c.state in ('queued', 'cancelled', 'refused') then
      perform edge.note_findings(w.handle, array['answer-to-undelivered-command']);
    end if;
    -- an answer to a command that is done already is a repetition: nothing is done twice
  end if;
  perform edge.note_findings(w.handle, a_findings);
  select * into n from fleet.command k
  where k.device_id = w.id and (k.state in ('queued', 'delivered') or (k.state = 'not_now' and a_status = 'Idle'))
  order by k.queued_at, k.uuid limit 1;
  return query select 'own', w.handle, n.uuid, n.request_type, n.body, n.signature, n.permit;
end $$;

-- Called after edge verified the signature and before the command leaves: a crash in between only delivers it later.
create function edge.delivered(a_uuid uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
begin
  update fleet.command k set state = 'delivered', deliveries = k.deliveries + 1,
    delivered_at = coalesce(k.delivered_at, clock_timestamp())
  where k.uuid = a_uuid and k.state in ('queued', 'delivered', 'not_now') returning k.deliveries, k.request_type, k.device_id into c;
  if not found then return false; end if;
  if c.deliveries = 1 then
    perform log.emit('command.delivered', 'edge', (select handle from fleet.device where id = c.device_id), null,
      jsonb_build_object('command', a_uuid, 'verb', c.request_type));
  end if;
  return true;
end $$;

create function edge.refuse_unsigned(a_uuid uuid, a_why text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
begin
  update fleet.command k set state = 'refused', done_at = now()
  where k.uuid = a_uuid and k.state in ('queued', 'delivered', 'not_now') returning k.request_type, k.device_id into c;
  if not found then return; end if;
  perform log.emit('command.unsigned', 'edge', (select handle from fleet.device where id = c.device_id), null,
    jsonb_build_object('command', a_uuid, 'verb', left(c.request_type, 64), 'why', left(a_why, 64)));
end $$;

-- Personal values, sealed by edge while parsing: device names and unlock tokens only.
create function edge.put_sealed(a_handle text, a_field text, a_version bigint, a_outer bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if a_field not in ('device-name', 'unlock-token') then raise exception 'not a device field' using errcode = '42501'; end if;
  if not exists (select from fleet.device where handle = a_handle) then raise exception 'unknown device' using errcode = '42501'; end if;
  insert into people.arriving (subject, field, version, outer_layer) values (a_handle, a_field, a_version, a_outer);
  perform pg_notify('bartizan_work', '');
end $$;

create function edge.next_version(a_handle text, a_field text) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select case when a_field in ('device-name', 'unlock-token') then people.next_version(a_handle, a_field) end
$$;

-- What was refused since the last call, by reason. One event per reason, however many requests.
create function edge.count_refused(a_counts jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r record;
begin
  for r in select key, value from jsonb_each_text(a_counts) limit 32 loop
    perform log.emit('edge.refused', 'edge', null, null,
      jsonb_build_object('reason', left(r.key, 64), 'count', r.value::bigint));
  end loop;
end $$;

create function edge.started() returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('system.started', 'edge', null, null, '{}')
$$;

revoke all on all functions in schema edge from public;
grant usage on schema edge to bartizan_edge;
grant execute on function
  edge.register(bytea, bytea), edge.open_link(bytea, bytea), edge.request_certificate(uuid, bytea, bytea),
  edge.certificate(uuid), edge.authenticate(bytea, text, text, jsonb, text[]),
  edge.token_update(bytea, text, text, bytea, text, text[]), edge.check_out(bytea, text),
  edge.turn(bytea, text, text, uuid, jsonb, text, jsonb, text[]), edge.delivered(uuid),
  edge.refuse_unsigned(uuid, text), edge.put_sealed(text, text, bigint, bytea), edge.next_version(text, text),
  edge.count_refused(jsonb), edge.started()
to bartizan_edge;

-- The console offers enrolments through this: it cannot touch a device row otherwise.
create function fleet.offer(a_handle text, a_holder text, a_enrolment uuid, a_link_sha256 bytea, a_by text, a_ttl interval)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
begin
  insert into fleet.device (handle, holder) values (a_handle, a_holder) on conflict (handle) do nothing returning id into d;
  if not found then return false; end if;
  insert into fleet.enrolment (id, device_id, link_sha256, created_by, expires_at)
  values (a_enrolment, d, a_link_sha256, a_by, now() + least(a_ttl, interval '30 days'));
  perform log.emit('device.offered', a_by, a_handle, a_holder, '{}');
  return true;
end $$;

create function fleet.cancel_intent(a_intent uuid, a_by text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
begin
  update fleet.intent set state = 'cancelled', reason = 'cancelled' where id = a_intent and state in ('awaiting-approval', 'ready');
  for c in update fleet.command k set state = 'cancelled', done_at = now()
    where k.intent_id = a_intent and k.state in ('queued', 'not_now') returning k.uuid, k.request_type, k.device_id
  loop
    n := n + 1;
    perform log.emit('command.cancelled', a_by, (select handle from fleet.device where id = c.device_id), null,
      jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'cancelled'));
  end loop;
  return n;
end $$;

revoke all on function fleet.offer(text, text, uuid, bytea, text, interval), fleet.cancel_intent(uuid, text) from public;
grant execute on function fleet.offer(text, text, uuid, bytea, text, interval), fleet.cancel_intent(uuid, text) to bartizan_console;
