-- Rooms: fleet and edge. User channels beside the device's own; the order of commands; what a device answers to the whole
-- set of commands.

-- A user's channel (per-user connections, Shared iPad): its own push token and its own queue. Who the user is stays out:
-- `key` is a hash under a key that only edge holds.
create table fleet.channel (
  id bigint generated always as identity primary key,
  device_id bigint not null references fleet.device,
  key bytea not null check (octet_length(key) = 32),
  kind text not null check (kind in ('user', 'shared')),
  state text not null default 'enabled' check (state in ('enabled', 'left')),
  topic text check (length(topic) <= 256),
  push_token bytea check (octet_length(push_token) <= 256),
  push_magic text check (length(push_magic) <= 128),
  created_at timestamptz not null default now(),
  token_at timestamptz not null default now(),
  unique (device_id, key)
);

alter table fleet.command
  add column channel_id bigint references fleet.channel,
  -- what locks goes first
  add column priority smallint not null generated always as (case
    when request_type in ('DeviceLock', 'EraseDevice', 'EnableLostMode') then 2
    when request_type in ('DisableLostMode', 'PlayLostModeSound', 'DeviceLocation', 'ClearPasscode', 'DeviceConfigured') then 1
    else 0 end) stored;
alter table fleet.command drop constraint command_state_check;
alter table fleet.command add constraint command_state_check check (state in
  ('queued', 'delivered', 'not_now', 'acknowledged', 'error', 'format_error', 'unsupported', 'refused', 'cancelled'));
drop index fleet.command_pending;
create index command_pending on fleet.command (device_id, priority desc, queued_at, uuid) where done_at is null;

alter table fleet.inventory drop constraint inventory_kind_check;
alter table fleet.inventory add constraint inventory_kind_check check (kind ~ '^[A-Z][A-Za-z]{2,47}$');

alter table fleet.intent drop constraint intent_risk_check;
alter table fleet.intent add constraint intent_risk_check check (risk in ('read', 'change', 'lock', 'locate', 'destroy', 'raw'));

alter table fleet.device
  -- set while Setup Assistant waits for DeviceConfigured
  add column awaiting_configuration boolean not null default false,
  add column lost_mode boolean not null default false;

-- Boxes that the guards sealed to edge's release key: one secret of one device, to be opened once, at delivery. Nobody but
-- edge can open them, and edge only while they are fresh; afterwards the ciphertext goes too.
create table fleet.release (
  -- the grant's id
  id uuid primary key,
  device_id bigint not null references fleet.device,
  field text not null check (field in ('unlock-token', 'bootstrap-token')),
  grant_document jsonb not null,
  receipt jsonb not null,
  enc bytea check (octet_length(enc) = 32),
  ct bytea check (octet_length(ct) <= 16384),
  released_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  opened_at timestamptz
);
create index release_waiting on fleet.release (device_id, field) where opened_at is null;

drop function edge.take_answers(jsonb);
drop function edge.next_commands(bytea[], text[], boolean[]);

-- The next command of each channel that asks, in one read. `a_idle`: it may be offered again what it answered NotNow to.
-- `a_channels`: null for the device's own. What needs a released secret waits for it. A refusal is a verdict here;
-- edge.refuse_turns writes it down.
create function edge.next_commands(a_certificates bytea[], a_udids text[], a_idle boolean[], a_channels bytea[])
returns table (ord integer, verdict text, handle text, uuid uuid, request_type text, body bytea, signature bytea,
  permit jsonb, fan_out uuid)
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
  return query
    select a.ord::integer, v.verdict, d.handle, n.uuid, n.request_type, n.body, n.signature, n.permit, n.fan_out_id
    from unnest(a_certificates, a_udids, a_idle, a_channels) with ordinality a(certificate, udid, idle, channel, ord)
    left join fleet.device d on d.certificate_sha256 = a.certificate
    left join fleet.channel h on a.channel is not null and h.device_id = d.id and h.key = a.channel
    cross join lateral (select case when d.id is null or d.state in ('retired', 'checked_out') then 'unknown'
      when d.udid is not null and d.udid <> a.udid then 'foreign' else 'own' end as verdict) v
    left join lateral (select k.uuid, k.request_type, k.body, k.signature, k.permit, k.fan_out_id from fleet.command k
      where k.device_id = d.id and k.done_at is null and (k.state <> 'not_now' or a.idle)
        and k.channel_id is not distinct from h.id and (a.channel is null or h.id is not null)
        and (k.request_type <> 'ClearPasscode' or exists (select from fleet.release r where r.device_id = d.id
          and r.field = 'unlock-token' and r.opened_at is null and r.expires_at > now()))
      order by k.priority desc, k.queued_at, k.uuid limit 1) n on v.verdict = 'own';
end $$;

-- A released secret was used, or its time is over: its ciphertext goes.
create function fleet.spend_releases(a_device bigint, a_field text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update fleet.release set opened_at = coalesce(opened_at, now()), enc = null, ct = null
  where device_id = a_device and field = a_field and ct is not null
$$;

-- What else follows from an answer that a device gave to a command for the first time.
create function edge.follow_up(a_device bigint, a_handle text, a_status text, a_verb text, a_kind text, a_facts jsonb)
returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if a_verb = 'ClearPasscode' and a_status <> 'NotNow' then perform fleet.spend_releases(a_device, 'unlock-token'); end if;
  if a_status <> 'Acknowledged' then return; end if;
  if a_kind is not null and a_kind = a_verb and a_facts is not null then
    insert into fleet.inventory as i (device_id, kind, facts) values (a_device, a_kind, a_facts)
    on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = now();
    if a_kind = 'DeviceInformation' then
      update fleet.device d set os_version = coalesce(left(a_facts->>'OSVersion', 32), d.os_version),
        build_version = coalesce(left(a_facts->>'BuildVersion', 32), d.build_version),
        supervised = coalesce((a_facts->>'IsSupervised')::boolean, d.supervised),
        lost_mode = coalesce((a_facts->>'IsMDMLostModeEnabled')::boolean, d.lost_mode) where d.id = a_device;
    end if;
    perform log.emit('device.inventory', 'edge', a_handle, null, jsonb_build_object('what', a_kind));
  end if;
  case a_verb
    when 'EnableLostMode', 'DisableLostMode' then
      update fleet.device set lost_mode = (a_verb = 'EnableLostMode') where id = a_device;
      perform log.emit('device.lost_mode', 'edge', a_handle, null, jsonb_build_object('on', a_verb = 'EnableLostMode'));
    when 'DeviceLocation' then
      perform log.emit('device.located', 'edge', a_handle, null, '{}');
    when 'DeviceConfigured' then
      update fleet.device set awaiting_configuration = false where id = a_device;
    when 'EraseDevice' then
      update fleet.device set state = 'checked_out', lost_mode = false where id = a_device;
      perform edge.cancel_pending(a_device, a_handle);
      perform log.emit('device.checked_out', 'edge', a_handle, null, jsonb_build_object('why', 'erased'));
    else null;
  end case;
end $$;

-- Takes answers to commands, each a JSON object {certificate, udid, channel, status, command, errors, kind, facts,
-- findings}, and gives each channel its next command. All of them in one transaction. A command that the device does not
-- know (12021) ends as `unsupported`.
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
  for a in select x.*, d.id, d.handle as name,
      (select h.id from fleet.channel h where x.channel is not null and h.device_id = d.id and h.key = decode(x.channel, 'hex')) as channel_id
    from jsonb_to_recordset(a_answers) as x(certificate text, udid text, channel text,
      status text, command uuid, errors jsonb, kind text, facts jsonb, findings jsonb)
    join fleet.device d on d.certificate_sha256 = decode(x.certificate, 'hex')
    where d.state not in ('retired', 'checked_out') and (d.udid is null or d.udid = x.udid)
    order by x.command nulls first
  loop
    if a.status <> 'Idle' then
      update fleet.command k set
        state = case when a.status = 'Acknowledged' then 'acknowledged'
          when a.status = 'Error' and a.errors @> '[{"code": 12021, "domain": "MCMDMErrorDomain"}]' then 'unsupported'
          when a.status = 'Error' then 'error' when a.status = 'CommandFormatError' then 'format_error' else 'not_now' end,
        errors = case when jsonb_array_length(coalesce(a.errors, '[]')) > 0 then a.errors end,
        done_at = case when a.status <> 'NotNow' then now() end
      where k.uuid = a.command and k.device_id = a.id and k.channel_id is not distinct from a.channel_id
        and (k.state in ('queued', 'delivered') or (k.state = 'not_now' and a.status <> 'NotNow'))
      returning k.uuid, k.request_type, k.fan_out_id, k.channel_id into c;
      if found then
        if c.fan_out_id is not null and a.status = 'Acknowledged' then
          done_fan_out := done_fan_out || c.fan_out_id;
          done_verb := done_verb || c.request_type;
          done_handle := done_handle || a.name;
        else
          perform log.emit('command.result', 'edge', a.name, null, jsonb_build_object('command', c.uuid,
            'verb', c.request_type, 'status', a.status, 'errors', coalesce(a.errors, '[]'))
            || case when c.channel_id is null then '{}'::jsonb else jsonb_build_object('channel', c.channel_id) end);
        end if;
        -- A user's own lists stay out of the device's inventory.
        if c.channel_id is null then
          perform edge.follow_up(a.id, a.name, a.status, c.request_type, a.kind, a.facts);
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
      array_agg(x->>'status' = 'Idle' order by o) as idle, array_agg(decode(x->>'channel', 'hex') order by o) as channels
    from jsonb_array_elements(a_answers) with ordinality e(x, o)) q,
    lateral edge.next_commands(q.certificates, q.udids, q.idle, q.channels) n;
end $$;

-- As before; what locks, locates, erases or opens a phone must be on disk before it leaves.
create or replace function edge.deliver(a_uuids uuid[]) returns table (uuid uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  g record;
  sent_fan_out uuid[] := '{}';
  sent_verb text[] := '{}';
  sent_device bigint[] := '{}';
begin
  -- Edge forgets this at worst if the whole server loses power, and then the device's answer makes up for it. Not so for
  -- what disrupts.
  if not exists (select from fleet.command k where k.uuid = any(a_uuids)
    and (k.permit is not null or k.priority > 0)) then
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

-- A personal value of a device that must no longer open: the ciphertext goes, the version stays, so that versions only grow.
create function people.forget(a_subject text, a_field text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from people.arriving where subject = a_subject and field = a_field;
  update people.sealed set row = null, settled_at = now() where subject = a_subject and field = a_field and row is not null;
end $$;

-- As before; besides, the bootstrap token and the user channels of the earlier enrolment end.
create or replace function edge.authenticate(a_certificate_sha256 bytea, a_udid text, a_topic text, a_facts jsonb, a_findings text[])
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
    build_version = left(a_facts->>'buildVersion', 32), push_token = null, push_magic = null,
    awaiting_configuration = false, lost_mode = false
  where d.id = w.id;
  update fleet.channel h set state = 'left', push_token = null, push_magic = null where h.device_id = w.id;
  perform people.forget(w.handle, 'bootstrap-token');
  perform fleet.spend_releases(w.id, 'bootstrap-token');
  perform fleet.spend_releases(w.id, 'unlock-token');
  perform edge.cancel_pending(w.id, w.handle);
  perform log.emit('device.authenticated', 'edge', w.handle, null, '{}');
  perform edge.note_findings(w.handle, a_findings);
  return query select 'own', w.handle;
end $$;

drop function edge.token_update(bytea, text, text, bytea, text, text[]);

-- A token of the device's own channel (`a_channel` null) enrols it; one of a user's channel opens that channel.
create function edge.token_update(a_certificate_sha256 bytea, a_udid text, a_channel bytea, a_channel_kind text, a_topic text,
  a_token bytea, a_magic text, a_awaiting boolean, a_findings text[])
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  before text;
  h record;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict = 'own' then select d.state into before from fleet.device d where d.id = w.id and d.udid is not null for update; end if;
  if w.verdict <> 'own' or before is null or (a_channel is not null and before <> 'enrolled') then
    perform edge.refuse(w.handle, case when w.verdict = 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select case when w.verdict = 'own' then 'unknown' else w.verdict end, w.handle;
    return;
  end if;
  if a_channel is null then
    update fleet.device d set state = 'enrolled', push_token = a_token, push_magic = a_magic, topic = a_topic, token_at = now(),
      enrolled_at = coalesce(d.enrolled_at, now()), last_seen_at = now(), awaiting_configuration = a_awaiting where d.id = w.id;
    delete from fleet.push p where p.device_id = w.id and p.state in ('invalid', 'retry');
    if exists (select from fleet.command k where k.device_id = w.id and k.done_at is null) then
      perform fleet.want_push(array[w.id]);
    end if;
    if before <> 'enrolled' then perform log.emit('device.enrolled', 'edge', w.handle, null, '{}'); end if;
  else
    if (select count(*) from fleet.channel c where c.device_id = w.id and c.key <> a_channel) >= 64 then
      perform edge.refuse(w.handle, 'too-many-channels');
      return query select 'unknown', w.handle;
      return;
    end if;
    insert into fleet.channel as c (device_id, key, kind, topic, push_token, push_magic)
    values (w.id, a_channel, a_channel_kind, a_topic, a_token, a_magic)
    on conflict (device_id, key) do update set state = 'enabled', topic = excluded.topic, push_token = excluded.push_token,
      push_magic = excluded.push_magic, token_at = now()
    returning c.id, c.token_at = c.created_at as fresh into h;
    if h.fresh then
      perform log.emit('channel.opened', 'edge', w.handle, null, jsonb_build_object('channel', h.id, 'what', a_channel_kind));
    end if;
  end if;
  perform edge.note_findings(w.handle, a_findings);
  return query select 'own', w.handle;
end $$;

drop function edge.check_out(bytea, text);

-- The device leaves management, or one user's channel does.
create function edge.check_out(a_certificate_sha256 bytea, a_udid text, a_channel bytea) returns table (verdict text, handle text)
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
      perform log.emit('channel.closed', 'edge', w.handle, null, jsonb_build_object('channel', h));
    end if;
  else
    update fleet.device d set state = 'checked_out' where d.id = w.id;
    update fleet.channel c set state = 'left', push_token = null, push_magic = null where c.device_id = w.id;
    perform edge.cancel_pending(w.id, w.handle);
    perform log.emit('device.checked_out', 'edge', w.handle, null, jsonb_build_object('why', 'device'));
  end if;
  return query select w.verdict, w.handle;
end $$;

-- Whose message it is, for those that change nothing by themselves; a refusal is written down.
create function edge.identify(a_certificate_sha256 bytea, a_udid text, a_findings text[]) returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict <> 'own' then
    perform edge.refuse(w.handle, case w.verdict when 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
  else
    perform edge.note_findings(w.handle, a_findings);
  end if;
  return query select w.verdict, w.handle;
end $$;

-- A device asked for something that policy decides; what was answered.
create function edge.asked(a_handle text, a_what text, a_answer text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('device.asked', 'edge', a_handle, null, jsonb_build_object('what', left(a_what, 64), 'answer', left(a_answer, 32)))
$$;

-- The device withdraws its bootstrap token.
create function edge.forget_bootstrap(a_handle text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select people.forget(a_handle, 'bootstrap-token')
$$;

-- The box that waits for a device, for edge to open at delivery.
create function edge.release(a_handle text, a_field text) returns table (grant_document jsonb, receipt jsonb, enc bytea, ct bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select r.grant_document, r.receipt, r.enc, r.ct from fleet.release r join fleet.device d on d.id = r.device_id
  where d.handle = a_handle and r.field = a_field and r.opened_at is null and r.expires_at > now()
  order by r.created_at desc limit 1
$$;

-- The box was handed over, or is not what it should be.
create function edge.released(a_handle text, a_field text, a_what text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if a_what = 'opened' then
    perform log.emit('secret.opened', 'edge', a_handle, null, jsonb_build_object('field', a_field));
  else
    perform log.emit('secret.refused', 'edge', a_handle, null, jsonb_build_object('field', a_field, 'why', left(a_what, 64)));
  end if;
  if a_what <> 'opened' or a_field = 'bootstrap-token' then
    perform fleet.spend_releases((select id from fleet.device where handle = a_handle), a_field);
  end if;
end $$;

-- Glass hands on what the guards sealed to edge. It names one device; what is inside nobody here can read.
create function fleet.put_release(a_id uuid, a_handle text, a_field text, a_grant jsonb, a_receipt jsonb, a_enc bytea, a_ct bytea,
  a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
begin
  select id into d from fleet.device where handle = a_handle and state = 'enrolled';
  if not found then return false; end if;
  insert into fleet.release (id, device_id, field, grant_document, receipt, enc, ct, released_by, expires_at)
  values (a_id, d, a_field, a_grant, a_receipt, a_enc, a_ct, a_by, now() + interval '24 hours');
  perform log.emit('secret.released', a_by, a_handle, null, jsonb_build_object('field', a_field, 'grant', a_id));
  perform fleet.want_push(array[d]);
  return true;
end $$;

-- Boxes whose time is over lose their ciphertext.
create function fleet.drop_releases() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  update fleet.release set enc = null, ct = null where ct is not null and (expires_at <= now() or opened_at is not null);
  get diagnostics n = row_count;
  return n;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('channel.opened', 3004, 3, 1, 'a user of a device got a channel of its own'),
  ('channel.closed', 3004, 4, 1, 'a user''s channel ended'),
  ('device.asked', 5001, 99, 1, 'a device asked for something that policy decides'),
  ('device.lost_mode', 6003, 3, 2, 'lost mode was switched on or off'),
  ('device.located', 6003, 3, 3, 'a device in lost mode told its place, which was sealed'),
  ('secret.released', 6005, 1, 3, 'a secret of a device was released to the device plane, for one use'),
  ('secret.opened', 6005, 1, 3, 'the device plane opened a released secret to hand it to its device'),
  ('secret.refused', 6005, 99, 4, 'a released secret was not what it should be, and was not used');
update log.kind set urgent = false where kind in ('channel.opened', 'channel.closed', 'device.asked');

-- Two sizes of rows: values of people, and secrets of devices, which are long.
alter table people.arriving drop constraint arriving_field_check, drop constraint arriving_outer_layer_check;
alter table people.arriving
  add constraint arriving_field_check check (field in
    ('name', 'number', 'email', 'device-name', 'location', 'unlock-token', 'bootstrap-token')),
  add constraint arriving_outer_layer_check check (octet_length(outer_layer) =
    case when field in ('unlock-token', 'bootstrap-token') then 6240 else 224 end);
alter table people.sealed drop constraint sealed_field_check, drop constraint sealed_row_check, alter column row drop not null;
alter table people.sealed
  add constraint sealed_field_check check (field in
    ('name', 'number', 'email', 'device-name', 'location', 'unlock-token', 'bootstrap-token')),
  add constraint sealed_row_check check (octet_length(row) =
    case when field in ('unlock-token', 'bootstrap-token') then 6220 else 204 end);

create or replace function edge.put_sealed(a_handle text, a_field text, a_version bigint, a_outer bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if a_field not in ('device-name', 'unlock-token', 'bootstrap-token', 'location') then
    raise exception 'not a device field' using errcode = '42501';
  end if;
  if not exists (select from fleet.device where handle = a_handle) then raise exception 'unknown device' using errcode = '42501'; end if;
  insert into people.arriving (subject, field, version, outer_layer) values (a_handle, a_field, a_version, a_outer);
  perform pg_notify('bartizan_work', '');
end $$;

create or replace function edge.next_version(a_handle text, a_field text) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select case when a_field in ('device-name', 'unlock-token', 'bootstrap-token', 'location')
    then people.next_version(a_handle, a_field) end
$$;

revoke all on function people.forget(text, text), fleet.spend_releases(bigint, text), fleet.drop_releases(),
  fleet.put_release(uuid, text, text, jsonb, jsonb, bytea, bytea, text) from public;
revoke all on all functions in schema edge from public;
grant execute on function
  edge.next_commands(bytea[], text[], boolean[], bytea[]), edge.take_answers(jsonb),
  edge.token_update(bytea, text, bytea, text, text, bytea, text, boolean, text[]), edge.check_out(bytea, text, bytea),
  edge.identify(bytea, text, text[]), edge.asked(text, text, text), edge.forget_bootstrap(text), edge.release(text, text),
  edge.released(text, text, text)
to bartizan_edge;
grant execute on function fleet.put_release(uuid, text, text, jsonb, jsonb, bytea, bytea, text) to bartizan_glass;
grant execute on function fleet.drop_releases() to bartizan_core;
grant usage on schema fleet to bartizan_glass;
grant select on fleet.channel to bartizan_core;
grant select (id, device_id, kind, state, created_at, token_at) on fleet.channel to bartizan_console;
grant select (id, device_id, field, released_by, created_at, expires_at, opened_at) on fleet.release to bartizan_console;
grant select (channel_id, priority) on fleet.command to bartizan_console;
