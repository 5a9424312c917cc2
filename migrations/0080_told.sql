-- Rooms: fleet and edge. A device is heard, but not without end: so many events, enrolments and sealed values an hour, then
-- one event that says so, and one at the end of the hour that says how many more there were.
create table fleet.told (
  device_id bigint primary key references fleet.device,
  since timestamptz not null default now(),
  told integer not null default 0,
  enrolments integer not null default 0,
  sealed integer not null default 0,
  -- how many were left out in this hour, by kind
  left_out jsonb not null default '{}'
);
create index told_left_out on fleet.told (since) where left_out <> '{}';

-- The same for what bears no device's name: by what it was refused for.
create table fleet.told_strangers (
  reason text primary key check (length(reason) <= 64),
  since timestamptz not null default now(),
  told integer not null default 0,
  left_out bigint not null default 0
);

-- Opens a device's hour if the last one is over, saying what that one left out, and locks the row. A phone that enrols, is
-- renewed and reports makes about ten events an hour; these bounds are for those that do nothing else.
create function fleet.told_now(a_device bigint) returns fleet.told
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.told;
begin
  insert into fleet.told (device_id) values (a_device) on conflict do nothing;
  select * into r from fleet.told where device_id = a_device for update;
  if r.since < now() - interval '1 hour' then
    if r.left_out <> '{}' then
      perform log.emit('device.events_left_out', 'edge', (select d.handle from fleet.device d where d.id = a_device), null,
        jsonb_build_object('since', floor(extract(epoch from r.since)), 'left_out', r.left_out));
    end if;
    update fleet.told t set since = now(), told = 0, enrolments = 0, sealed = 0, left_out = '{}'
    where t.device_id = a_device returning * into r;
  end if;
  return r;
end $$;

-- Counts what is left out; the first of the hour is told.
create function fleet.leave_out(a_told fleet.told, a_what text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.told t set left_out = t.left_out || jsonb_build_object(a_what, coalesce((t.left_out->>a_what)::bigint, 0) + 1)
  where t.device_id = a_told.device_id;
  if a_told.left_out = '{}' then
    perform log.emit('device.noisy', 'edge', (select d.handle from fleet.device d where d.id = a_told.device_id), null,
      jsonb_build_object('what', a_what));
  end if;
end $$;

-- An event that a device causes by itself: at most 60 an hour.
create function fleet.tell(a_device bigint, a_kind text, a_detail jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.told := fleet.told_now(a_device);
begin
  if r.told >= 60 then
    perform fleet.leave_out(r, a_kind);
    return;
  end if;
  update fleet.told t set told = t.told + 1 where t.device_id = a_device;
  perform log.emit(a_kind, 'edge', (select d.handle from fleet.device d where d.id = a_device), null, a_detail);
end $$;

-- Whether a device may begin to enrol once more in this hour: 20 times.
create function fleet.may_authenticate(a_device bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.told := fleet.told_now(a_device);
begin
  if r.enrolments >= 20 then
    perform fleet.leave_out(r, 'device.authenticated');
    return false;
  end if;
  update fleet.told t set enrolments = t.enrolments + 1 where t.device_id = a_device;
  return true;
end $$;

-- Hours that are over and that no further word of their device ends: core ends them. Returns how many.
create function fleet.tell_rest() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r record;
  n integer := 0;
begin
  for r in select t.device_id as id from fleet.told t
    where t.left_out <> '{}' and t.since < now() - interval '1 hour' order by t.device_id limit 1000
  loop
    perform fleet.told_now(r.id);
    n := n + 1;
  end loop;
  for r in select s.reason, s.since, s.left_out from fleet.told_strangers s
    where s.left_out > 0 and s.since < now() - interval '1 hour' order by s.reason for update
  loop
    perform log.emit('edge.events_left_out', 'edge', null, null, jsonb_build_object('reason', r.reason,
      'since', floor(extract(epoch from r.since)), 'count', r.left_out));
    update fleet.told_strangers s set since = now(), told = 0, left_out = 0 where s.reason = r.reason;
    n := n + 1;
  end loop;
  return n;
end $$;

-- As before, but bounded.
create or replace function edge.note_findings(a_handle text, a_findings text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if coalesce(array_length(a_findings, 1), 0) > 0 then
    perform fleet.tell((select d.id from fleet.device d where d.handle = a_handle), 'device.finding',
      jsonb_build_object('findings', to_jsonb(a_findings[1:16])));
  end if;
end $$;

-- As before, but bounded: for a device, and for certificates that belong to none (those of devices that left, too), 300 an
-- hour and reason.
create or replace function edge.refuse(a_handle text, a_reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  s fleet.told_strangers;
begin
  if a_handle is not null then
    perform fleet.tell((select d.id from fleet.device d where d.handle = a_handle), 'device.refused',
      jsonb_build_object('reason', a_reason));
    return;
  end if;
  insert into fleet.told_strangers (reason) values (left(a_reason, 64)) on conflict do nothing;
  select * into s from fleet.told_strangers where reason = left(a_reason, 64) for update;
  if s.since < now() - interval '1 hour' then
    if s.left_out > 0 then
      perform log.emit('edge.events_left_out', 'edge', null, null, jsonb_build_object('reason', s.reason,
        'since', floor(extract(epoch from s.since)), 'count', s.left_out));
    end if;
    update fleet.told_strangers t set since = now(), told = 0, left_out = 0 where t.reason = s.reason returning * into s;
  end if;
  if s.told >= 300 then
    update fleet.told_strangers t set left_out = t.left_out + 1 where t.reason = s.reason;
  else
    update fleet.told_strangers t set told = t.told + 1 where t.reason = s.reason;
    perform log.emit('device.refused', 'edge', null, null, jsonb_build_object('reason', a_reason));
  end if;
end $$;

create or replace function edge.asked(a_handle text, a_what text, a_answer text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select fleet.tell((select d.id from fleet.device d where d.handle = a_handle), 'device.asked',
    jsonb_build_object('what', left(a_what, 64), 'answer', left(a_answer, 32)))
$$;

create or replace function edge.attestation_mismatch(a_certificate_sha256 bytea) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select fleet.tell(d.id, 'device.attestation_mismatch', '{}') from fleet.device d
  where d.certificate_sha256 = a_certificate_sha256
$$;

-- As before; a link that is opened again and again is told of 60 times an hour.
create or replace function edge.open_link(a_link_sha256 bytea, a_challenge_sha256 bytea) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  e fleet.enrolment;
begin
  update fleet.enrolment set challenge_sha256 = a_challenge_sha256, fetched_at = now()
  where link_sha256 = a_link_sha256 and used_at is null and revoked_at is null and expires_at > now() returning * into e;
  if not found then return null; end if;
  perform fleet.tell(e.device_id, 'device.profile_fetched', '{}');
  return e.id;
end $$;

-- As before; beyond 120 values an hour what a device says is counted and forgotten: each would be moved under its lock and
-- told of.
create or replace function edge.put_sealed(a_handle text, a_field text, a_version bigint, a_outer bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
  r fleet.told;
begin
  if a_field not in ('device-name', 'unlock-token', 'bootstrap-token', 'location') then
    raise exception 'not a device field' using errcode = '42501';
  end if;
  select id into d from fleet.device where handle = a_handle;
  if not found then raise exception 'unknown device' using errcode = '42501'; end if;
  r := fleet.told_now(d);
  if r.sealed >= 120 then
    perform fleet.leave_out(r, 'sealed');
    return;
  end if;
  update fleet.told t set sealed = t.sealed + 1 where t.device_id = d;
  insert into people.arriving (subject, field, version, outer_layer) values (a_handle, a_field, a_version, a_outer);
  perform pg_notify('bartizan_work', '');
end $$;

-- As before; a user's channel that opens and closes for ever is bounded like all else.
create or replace function edge.check_out(a_certificate_sha256 bytea, a_udid text, a_channel bytea)
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  h bigint;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict <> 'own' then
    perform edge.refuse(w.handle, 'check-out');
  elsif a_channel is not null then
    update fleet.channel c set state = 'left', push_token = null, push_magic = null
    where c.device_id = w.id and c.key = a_channel and c.state = 'enabled' returning c.id into h;
    if found then
      update fleet.command k set state = 'cancelled', done_at = now() where k.channel_id = h and k.done_at is null;
      perform fleet.tell(w.id, 'channel.closed', jsonb_build_object('channel', h));
    end if;
  else
    update fleet.device d set state = 'checked_out' where d.id = w.id;
    update fleet.channel c set state = 'left', push_token = null, push_magic = null where c.device_id = w.id;
    perform edge.cancel_pending(w.id, w.handle);
    perform log.emit('device.checked_out', 'edge', w.handle, null, jsonb_build_object('why', 'device'));
  end if;
  return query select w.verdict, w.handle;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.noisy', 5001, 99, 3, 'a device says more than is kept: until its hour is over the rest is only counted'),
  ('device.events_left_out', 5001, 99, 3, 'how much of a device was only counted in an hour'),
  ('edge.events_left_out', 6002, 99, 3, 'how many refusals of unknown certificates were only counted in an hour');

revoke all on function fleet.told_now(bigint), fleet.leave_out(fleet.told, text), fleet.tell(bigint, text, jsonb),
  fleet.may_authenticate(bigint), fleet.tell_rest() from public;
grant execute on function fleet.tell_rest() to bartizan_core;
