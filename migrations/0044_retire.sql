-- Room: fleet. How a device leaves: asked, done by the device or out of time, certificate revoked, forgotten; with evidence.

create table fleet.retirement (
  id uuid primary key,
  device_id bigint not null references fleet.device,
  -- unenrol: management is removed and what is managed goes; erase: everything goes, two people; forget: the device is not asked
  way text not null check (way in ('unenrol', 'erase', 'forget')),
  requester text not null,
  purpose text not null check (length(purpose) between 5 and 200),
  state text not null default 'open'
    check (state in ('open', 'confirmed', 'timed-out', 'revoked', 'forgotten', 'cancelled', 'failed')),
  intent_id uuid references fleet.intent,
  command_uuid uuid unique,
  reason text check (length(reason) <= 64),
  requested_at timestamptz not null default now(),
  not_after timestamptz not null,
  confirmed_at timestamptz,
  -- command: the device acknowledged it; check-out: it said that it left; nobody: it was not asked, or did not answer in time
  confirmed_by text check (confirmed_by in ('command', 'check-out', 'nobody')),
  revoked_at timestamptz,
  certificate_sha256 bytea,
  forgotten_at timestamptz,
  -- how many rows of what were erased
  erased jsonb,
  ended_at timestamptz,
  check ((way = 'forget') = (intent_id is null)),
  check ((state in ('forgotten', 'cancelled', 'failed')) = (ended_at is not null))
);
-- A device leaves once at a time.
create unique index retirement_open on fleet.retirement (device_id) where ended_at is null;
create index retirement_device on fleet.retirement (device_id, requested_at);
create index retirement_recent on fleet.retirement (requested_at desc, id desc);

-- Moves one retirement on by one step, if it stands where the caller saw it. A step and its event commit together.
create function fleet.retire_step(a_id uuid, a_from text, a_to text, a_reason text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.retirement;
  d fleet.device;
  c record;
  n integer;
  gone jsonb := '{}';
  t text;
begin
  if (a_from, a_to) not in (('open', 'confirmed'), ('open', 'timed-out'), ('open', 'cancelled'), ('open', 'failed'),
    ('confirmed', 'revoked'), ('timed-out', 'revoked'), ('revoked', 'forgotten')) then
    raise exception 'no such step' using errcode = '22023';
  end if;
  select * into r from fleet.retirement where id = a_id and state = a_from for update;
  if not found then return false; end if;
  select * into d from fleet.device where id = r.device_id for update;
  update fleet.retirement x set state = a_to,
    reason = case when a_to in ('cancelled', 'failed') then left(a_reason, 64) else x.reason end,
    confirmed_at = case when a_to in ('confirmed', 'timed-out') then now() else x.confirmed_at end,
    confirmed_by = case when a_to = 'timed-out' then 'nobody' when a_to = 'confirmed' then a_reason else x.confirmed_by end,
    revoked_at = case when a_to = 'revoked' then now() else x.revoked_at end,
    certificate_sha256 = case when a_to = 'revoked' then d.certificate_sha256 else x.certificate_sha256 end,
    forgotten_at = case when a_to = 'forgotten' then now() else x.forgotten_at end,
    ended_at = case when a_to in ('forgotten', 'cancelled', 'failed') then now() else x.ended_at end
  where x.id = a_id;
  if a_to in ('timed-out', 'revoked') then
    for c in update fleet.command k set state = 'cancelled', done_at = now()
      where k.device_id = d.id and k.done_at is null returning k.uuid, k.request_type
    loop
      perform log.emit('command.cancelled', 'core', d.handle, null,
        jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'retired'));
    end loop;
  end if;
  if a_to = 'revoked' then
    -- From here on edge answers this certificate with a refusal; whoever keeps revocation lists sees the state.
    update fleet.device x set state = 'retired' where x.id = d.id;
    update fleet.enrolment e set revoked_at = now() where e.device_id = d.id and e.revoked_at is null and e.used_at is null;
  elsif a_to = 'forgotten' then
    update fleet.device x set holder = null, udid = null, serial = null, model = null, product_name = null, os_version = null,
      build_version = null, supervised = null, topic = null, push_token = null, push_magic = null, token_at = null,
      certificate_sha256 = null where x.id = d.id;
    delete from people.sealed s where s.subject = d.handle;
    get diagnostics n = row_count;
    gone := gone || jsonb_build_object('people.sealed', n);
    delete from people.arriving s where s.subject = d.handle;
    foreach t in array array['inventory', 'inventory_change', 'inventory_turn', 'push', 'push_sent', 'group_member',
      'compliance', 'silence', 'drift', 'declared_state', 'declared_status', 'status_change', 'declared_device', 'stale_device',
      'set_device'] loop
      -- what another version of the schema does not have yet holds nothing either
      if to_regclass('fleet.' || t) is not null then
        execute format('delete from fleet.%I where device_id = $1', t) using d.id;
        get diagnostics n = row_count;
        gone := gone || jsonb_build_object('fleet.' || t, n);
      end if;
    end loop;
    if to_regclass('fleet.channel') is not null then
      execute 'update fleet.channel set push_token = null, push_magic = null where device_id = $1' using d.id;
    end if;
    update fleet.retirement x set erased = gone where x.id = a_id;
    perform log.emit('device.retired', a_by, d.handle, null, jsonb_build_object('retirement', a_id, 'way', r.way));
  end if;
  perform log.emit('retire.step', a_by, d.handle, null, jsonb_strip_nulls(jsonb_build_object('retirement', a_id,
    'step', a_to, 'way', r.way, 'why', left(a_reason, 64))));
  return true;
end $$;

-- The console asks through this: in which state a retirement begins is not its to say.
create function fleet.request_retirement(a_id uuid, a_device text, a_way text, a_by text, a_purpose text, a_intent uuid,
  a_command uuid, a_days integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.retirement (id, device_id, way, requester, purpose, intent_id, command_uuid, not_after, state, confirmed_at, confirmed_by)
  select a_id, d.id, a_way, a_by, a_purpose, a_intent, a_command, now() + make_interval(days => a_days),
    case when a_way = 'forget' then 'confirmed' else 'open' end, case when a_way = 'forget' then now() end,
    case when a_way = 'forget' then 'nobody' end
  from fleet.device d where d.handle = a_device and d.state <> 'retired';
  if not found then raise exception 'unknown device' using errcode = '42501'; end if;
  perform log.emit('retire.requested', a_by, a_device, null,
    jsonb_strip_nulls(jsonb_build_object('retirement', a_id, 'way', a_way, 'intent', a_intent)));
end $$;

-- All that the console may do to a retirement afterwards.
create function fleet.cancel_retirement(a_id uuid, a_by text) returns boolean
language sql volatile security definer set search_path = pg_catalog as $$
  select fleet.retire_step(a_id, 'open', 'cancelled', 'cancelled', a_by)
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('retire.requested', 3004, 4, 2, 'an admin asked for a device to leave'),
  ('retire.step', 3004, 4, 2, 'a device that is to leave came one step further');

revoke all on function fleet.retire_step(uuid, text, text, text, text), fleet.cancel_retirement(uuid, text),
  fleet.request_retirement(uuid, text, text, text, text, uuid, uuid, integer) from public;
grant execute on function fleet.retire_step(uuid, text, text, text, text) to bartizan_core;
grant execute on function fleet.cancel_retirement(uuid, text),
  fleet.request_retirement(uuid, text, text, text, text, uuid, uuid, integer) to bartizan_console;
grant select on fleet.retirement to bartizan_core, bartizan_console;
