-- Rooms: fleet and edge. One command to many devices is one signed row and a narrow row per device; check-ins that arrive
-- together are served by one statement, and an idle one writes nothing.

create table fleet.fan_out (
  -- the intent's id
  id uuid primary key,
  verb text not null,
  -- the command with the nil UUID in place of each device's own
  template bytea not null check (octet_length(template) <= 1048576),
  -- SHA-256 over the handles of all devices, in byte order, joined by line feeds
  members_sha256 bytea not null check (octet_length(members_sha256) = 32),
  members integer not null check (members > 0),
  -- Ed25519 by core over canonical JSON {v:1, op:'fan-out', id, verb, template, members, count}
  signature bytea not null,
  created_at timestamptz not null default clock_timestamp()
);

alter table fleet.command alter column body drop not null, alter column signature drop not null,
  add column fan_out_id uuid references fleet.fan_out,
  add constraint command_body check ((fan_out_id is null) = (body is not null and signature is not null));

-- `state` is left out of the index on what is pending, so that handing a command out rewrites no index at all; the room
-- on each page is for the new version of the row.
alter table fleet.command set (fillfactor = 80);
alter table fleet.device set (fillfactor = 85);
drop index fleet.command_pending;
create index command_pending on fleet.command (device_id, queued_at, uuid) where done_at is null;
-- A fan-out's commands name it as their intent; the index is for single ones.
drop index fleet.command_intent;
create index command_intent on fleet.command (intent_id) where intent_id is not null;
create index command_fan_out on fleet.command (fan_out_id) where fan_out_id is not null;

-- Which devices an intent is for when they are too many to list with their commands: {"all": true} or {"devices": [...]}.
alter table fleet.intent add column scope jsonb;

-- The UUID of one device's command in a fan-out (RFC 9562, section 5.8), the same for whoever computes it.
create function fleet.fan_out_uuid(a_fan_out uuid, a_handle text) returns uuid
language sql immutable parallel safe set search_path = pg_catalog as $$
  select encode(set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 128), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid
  from (select substring(sha256(convert_to('bartizan fan-out v1' || chr(10) || a_fan_out || chr(10) || a_handle, 'UTF8'))
    from 1 for 16) as h) x
$$;

drop function edge.turn(bytea, text, text, uuid, jsonb, text, jsonb, text[]);
drop function edge.delivered(uuid);

-- The next command of each device that asks, in one read. `a_idle`: it may be offered again what it answered NotNow to.
-- A refusal is a verdict here; edge.refuse_turns writes it down.
create function edge.next_commands(a_certificates bytea[], a_udids text[], a_idle boolean[])
returns table (ord integer, verdict text, handle text, uuid uuid, request_type text, body bytea, signature bytea,
  permit jsonb, fan_out uuid)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
  return query
    select a.ord::integer, v.verdict, d.handle, n.uuid, n.request_type, n.body, n.signature, n.permit, n.fan_out_id
    from unnest(a_certificates, a_udids, a_idle) with ordinality a(certificate, udid, idle, ord)
    left join fleet.device d on d.certificate_sha256 = a.certificate
    cross join lateral (select case when d.id is null or d.state in ('retired', 'checked_out') then 'unknown'
      when d.udid is not null and d.udid <> a.udid then 'foreign' else 'own' end as verdict) v
    left join lateral (select k.uuid, k.request_type, k.body, k.signature, k.permit, k.fan_out_id from fleet.command k
      where k.device_id = d.id and k.done_at is null and (k.state <> 'not_now' or a.idle)
      order by k.queued_at, k.uuid limit 1) n on v.verdict = 'own';
end $$;

-- Takes answers to commands, each a JSON object {certificate, udid, status, command, errors, kind, facts, findings}, and
-- gives each device its next command. All of them in one transaction.
create function edge.take_answers(a_answers jsonb)
returns table (ord integer, verdict text, handle text, uuid uuid, request_type text, body bytea, signature bytea,
  permit jsonb, fan_out uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a record;
  c record;
  g record;
  done_fan_out uuid[] := '{}';
  done_verb text[] := '{}';
  done_handle text[] := '{}';
begin
  -- In the order of the commands, so that two batches never wait for each other's rows crosswise.
  for a in select x.*, d.id, d.handle as name from jsonb_to_recordset(a_answers) as x(certificate text, udid text,
      status text, command uuid, errors jsonb, kind text, facts jsonb, findings jsonb)
    join fleet.device d on d.certificate_sha256 = decode(x.certificate, 'hex')
    where d.state not in ('retired', 'checked_out') and (d.udid is null or d.udid = x.udid)
    order by x.command nulls first
  loop
    if a.status <> 'Idle' then
      update fleet.command k set
        state = case a.status when 'Acknowledged' then 'acknowledged' when 'Error' then 'error'
          when 'CommandFormatError' then 'format_error' else 'not_now' end,
        errors = case when jsonb_array_length(coalesce(a.errors, '[]')) > 0 then a.errors end,
        done_at = case when a.status <> 'NotNow' then now() end
      where k.uuid = a.command and k.device_id = a.id
        and (k.state in ('queued', 'delivered') or (k.state = 'not_now' and a.status <> 'NotNow'))
      returning k.uuid, k.request_type, k.fan_out_id into c;
      if found then
        if c.fan_out_id is not null and a.status = 'Acknowledged' then
          done_fan_out := done_fan_out || c.fan_out_id;
          done_verb := done_verb || c.request_type;
          done_handle := done_handle || a.name;
        else
          perform log.emit('command.result', 'edge', a.name, null, jsonb_build_object('command', c.uuid,
            'verb', c.request_type, 'status', a.status, 'errors', coalesce(a.errors, '[]')));
        end if;
        if a.status = 'Acknowledged' and a.kind = c.request_type then
          insert into fleet.inventory as i (device_id, kind, facts) values (a.id, a.kind, a.facts)
          on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = now();
          if a.kind = 'DeviceInformation' then
            update fleet.device d set os_version = coalesce(left(a.facts->>'OSVersion', 32), d.os_version),
              build_version = coalesce(left(a.facts->>'BuildVersion', 32), d.build_version),
              supervised = coalesce((a.facts->>'IsSupervised')::boolean, d.supervised) where d.id = a.id;
          end if;
          perform log.emit('device.inventory', 'edge', a.name, null, jsonb_build_object('what', a.kind));
        end if;
        if a.status = 'Acknowledged' and c.request_type = 'EraseDevice' then
          update fleet.device d set state = 'checked_out' where d.id = a.id;
          perform edge.cancel_pending(a.id, a.name);
          perform log.emit('device.checked_out', 'edge', a.name, null, jsonb_build_object('why', 'erased'));
        end if;
      else
        -- an answer to a command that is done already is a repetition: nothing is done twice
        select k.state into c from fleet.command k where k.uuid = a.command and k.device_id = a.id;
        if not found then
          perform edge.note_findings(a.name, array['answer-to-unknown-command']);
        elsif c.state in ('cancelled', 'refused') then
          perform edge.note_findings(a.name, array['answer-to-undelivered-command']);
        end if;
      end if;
    end if;
    if jsonb_typeof(a.findings) = 'array' then
      perform edge.note_findings(a.name, array(select jsonb_array_elements_text(a.findings)));
    end if;
  end loop;
  for g in select f.fan_out, f.verb, jsonb_agg(f.device order by f.device) as devices
    from unnest(done_fan_out, done_verb, done_handle) f(fan_out, verb, device) group by 1, 2
  loop
    perform log.emit('command.group_result', 'edge', null, null,
      jsonb_build_object('fan_out', g.fan_out, 'verb', g.verb, 'status', 'Acknowledged', 'devices', g.devices));
  end loop;
  return query select n.* from (
    select array_agg(decode(x->>'certificate', 'hex') order by o) as certificates, array_agg(x->>'udid' order by o) as udids,
      array_agg(x->>'status' = 'Idle' order by o) as idle
    from jsonb_array_elements(a_answers) with ordinality e(x, o)) q,
    lateral edge.next_commands(q.certificates, q.udids, q.idle) n;
end $$;

-- Called after edge verified the signatures and before the commands leave: a crash in between only delivers them later.
-- Gives back which may leave; one that was cancelled meanwhile is missing.
create function edge.deliver(a_uuids uuid[]) returns table (uuid uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  g record;
  sent_fan_out uuid[] := '{}';
  sent_verb text[] := '{}';
  sent_device bigint[] := '{}';
begin
  -- Edge forgets this at worst if the whole server loses power, and then the device's answer makes up for it. Not so for
  -- what locks or erases: that it left must be on disk before it leaves.
  if not exists (select from fleet.command k where k.uuid = any(a_uuids) and k.request_type in ('DeviceLock', 'EraseDevice')) then
    perform set_config('synchronous_commit', 'off', true);
  end if;
  for c in
    with mine as (select k.uuid from fleet.command k where k.uuid = any(a_uuids) and k.done_at is null order by k.uuid for update)
    update fleet.command k set state = 'delivered', deliveries = k.deliveries + 1,
      delivered_at = coalesce(k.delivered_at, clock_timestamp())
    from mine where k.uuid = mine.uuid
    returning k.uuid, k.deliveries, k.request_type, k.device_id, k.fan_out_id
  loop
    if c.deliveries = 1 and c.fan_out_id is not null then
      sent_fan_out := sent_fan_out || c.fan_out_id;
      sent_verb := sent_verb || c.request_type;
      sent_device := sent_device || c.device_id;
    elsif c.deliveries = 1 then
      perform log.emit('command.delivered', 'edge', (select d.handle from fleet.device d where d.id = c.device_id), null,
        jsonb_build_object('command', c.uuid, 'verb', c.request_type));
    end if;
    uuid := c.uuid;
    return next;
  end loop;
  for g in select f.fan_out, f.verb, jsonb_agg(d.handle order by d.handle) as devices
    from unnest(sent_fan_out, sent_verb, sent_device) f(fan_out, verb, device) join fleet.device d on d.id = f.device group by 1, 2
  loop
    perform log.emit('command.group_delivered', 'edge', null, null,
      jsonb_build_object('fan_out', g.fan_out, 'verb', g.verb, 'devices', g.devices));
  end loop;
end $$;

-- Check-ins that were turned away, written down after the read that found them.
create function edge.refuse_turns(a_certificates bytea[], a_udids text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a record;
  w record;
begin
  for a in select * from unnest(a_certificates, a_udids) x(certificate, udid) limit 256 loop
    select * into w from edge.whose(a.certificate, a.udid);
    if w.verdict <> 'own' then
      perform edge.refuse(w.handle, case w.verdict when 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    end if;
  end loop;
end $$;

-- Devices that were heard of lately, gathered by edge outside of any other transaction.
create function edge.seen(a_certificates bytea[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  with mine as (select d.id from fleet.device d where d.certificate_sha256 = any(a_certificates)
    and d.state not in ('retired', 'checked_out') order by d.id for update)
  update fleet.device d set last_seen_at = now() from mine where d.id = mine.id;
end $$;

-- A fan-out with its members, for edge to check against core's signature once.
create function edge.fan_out(a_fan_out uuid) returns table (verb text, template bytea, signature bytea, handles text[])
language sql stable security definer set search_path = pg_catalog as $$
  select f.verb, f.template, f.signature,
    (select array_agg(d.handle) from fleet.command k join fleet.device d on d.id = k.device_id where k.fan_out_id = f.id)
  from fleet.fan_out f where f.id = a_fan_out
$$;

-- As before, but a fan-out that is taken back is one event, not one a device.
create or replace function fleet.cancel_intent(a_intent uuid, a_by text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
  grouped integer;
begin
  update fleet.intent set state = 'cancelled', reason = 'cancelled' where id = a_intent and state in ('awaiting-approval', 'ready');
  for c in update fleet.command k set state = 'cancelled', done_at = now()
    where k.intent_id = a_intent and k.fan_out_id is null and k.state in ('queued', 'not_now')
    returning k.uuid, k.request_type, k.device_id
  loop
    n := n + 1;
    perform log.emit('command.cancelled', a_by, (select handle from fleet.device where id = c.device_id), null,
      jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'cancelled'));
  end loop;
  update fleet.command k set state = 'cancelled', done_at = now()
  where k.fan_out_id = a_intent and k.state in ('queued', 'not_now');
  get diagnostics grouped = row_count;
  if grouped > 0 then
    perform log.emit('command.group_cancelled', a_by, null, null, jsonb_build_object('fan_out', a_intent, 'count', grouped));
  end if;
  return n + grouped;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('command.group_queued', 6003, 1, 2, 'one command was signed and queued for many devices'),
  ('command.group_delivered', 6003, 2, 1, 'several devices fetched their copy of a command to many'),
  ('command.group_result', 6003, 3, 1, 'several devices carried out their copy of a command to many'),
  ('command.group_cancelled', 6003, 4, 1, 'a command to many was taken back where no device had fetched it');

revoke all on function fleet.fan_out_uuid(uuid, text) from public;
revoke all on all functions in schema edge from public;
grant execute on function
  edge.next_commands(bytea[], text[], boolean[]), edge.take_answers(jsonb), edge.deliver(uuid[]),
  edge.refuse_turns(bytea[], text[]), edge.seen(bytea[]), edge.fan_out(uuid)
to bartizan_edge;
grant select, insert on fleet.fan_out to bartizan_core;
grant execute on function fleet.fan_out_uuid(uuid, text) to bartizan_core;
grant select (id, verb, members, created_at) on fleet.fan_out to bartizan_console;
grant select (fan_out_id) on fleet.command to bartizan_console;

-- As before; the index on what is pending serves it, however long the device's history is.
create or replace function edge.cancel_pending(a_device bigint, a_handle text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
begin
  for c in update fleet.command set state = 'cancelled', done_at = now()
    where device_id = a_device and done_at is null returning uuid, request_type
  loop
    perform log.emit('command.cancelled', 'edge', a_handle, null,
      jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'enrolment'));
  end loop;
end $$;

-- A notification makes every transaction that sends one wait for the others at its commit, so what happens by the thousand
-- sends none; core looks for new events ten times a second anyway.
alter table log.kind add column urgent boolean not null default true;
update log.kind set urgent = false where kind in ('command.queued', 'command.delivered', 'command.result', 'device.inventory',
  'device.finding', 'command.group_queued', 'command.group_delivered', 'command.group_result');

-- As before, in a language that keeps its plan.
create or replace function log.uuidv7() returns uuid language plpgsql volatile set search_path = pg_catalog as $$
begin
  return encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid;
end $$;

create or replace function log.emit(kind text, actor text, device text, subject text, detail jsonb default '{}') returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  k log.kind;
  id uuid := log.uuidv7();
  at timestamptz := clock_timestamp();
begin
  select * into k from log.kind where log.kind.kind = emit.kind;
  if not found then raise exception 'unknown event kind' using errcode = '22023'; end if;
  -- Whatever gets past here must fit into a leaf, or one event would stop the shipping of all: short identifiers, and
  -- only what canonical JSON can carry (flat enough, numbers that a double holds exactly).
  if actor !~ '^[a-z0-9][a-z0-9._-]{0,62}$' or device !~ '^[a-z0-9][a-z0-9._-]{0,62}$'
    or subject !~ '^[a-z0-9][a-z0-9._-]{0,62}$' then
    raise exception 'an event names handles and processes only' using errcode = '22023';
  end if;
  if jsonb_typeof(detail) is distinct from 'object' or octet_length(detail::text) > 16384
    or jsonb_path_exists(detail, '$.**{6 to last}')
    or jsonb_path_exists(detail, '$.** ? (@ > 9007199254740991 || @ < -9007199254740991)') then
    raise exception 'event detail too large' using errcode = '22023';
  end if;
  insert into log.event (time, uid, kind, class_uid, type_uid, severity_id, source, actor, device, subject, salt, body)
  values (at, id, k.kind, k.class_uid, k.class_uid * 100 + k.activity_id, k.severity_id, session_user, actor, device,
    subject, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()),
    jsonb_strip_nulls(jsonb_build_object(
      'metadata', jsonb_build_object('uid', id, 'version', '1.8.0', 'log_name', k.kind,
        'product', jsonb_build_object('name', 'Bartizan', 'vendor_name', 'Bartizan')),
      'time', floor(extract(epoch from at) * 1000)::bigint,
      'class_uid', k.class_uid, 'category_uid', k.class_uid / 1000, 'activity_id', k.activity_id,
      'type_uid', k.class_uid * 100 + k.activity_id, 'severity_id', k.severity_id,
      'actor', case when actor is null then null else jsonb_build_object('user', jsonb_build_object('uid', actor)) end,
      'device', case when device is null then null else jsonb_build_object('uid', device) end,
      'unmapped', detail || jsonb_build_object('kind', k.kind, 'source', session_user)
        || case when subject is null then '{}'::jsonb else jsonb_build_object('subject', subject) end)));
  if k.urgent then perform pg_notify('bartizan_event', ''); end if;
  return id;
end $$;
