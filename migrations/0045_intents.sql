-- Room: fleet. What waits can be superseded, held, cancelled in one step, scheduled, or run out of time; and says why.

alter table fleet.intent
  drop constraint intent_state_check,
  add constraint intent_state_check check (state in
    ('awaiting-approval', 'ready', 'held', 'dispatched', 'refused', 'cancelled', 'expired')),
  -- not sent before, for instance until a maintenance window opens
  add column not_before timestamptz,
  -- what no device has fetched by then is not sent any more
  add column not_after timestamptz,
  -- why the maintenance window was overridden
  add column emergency text check (length(emergency) between 5 and 200),
  -- an admin's handle, or `brake`: too many devices for one person
  add column held_by text check (length(held_by) <= 63),
  add column held_why text check (length(held_why) <= 200),
  add column held_at timestamptz,
  add column released_by text check (length(released_by) <= 63),
  -- stated by core for a ring of a rollout, which has brakes of its own
  add column rollout_id uuid,
  add column split_from uuid references fleet.intent,
  -- set once nothing of it can wait any more
  add column swept_at timestamptz;
create index intent_not_swept on fleet.intent (not_after) where swept_at is null;
create index intent_recent on fleet.intent (created_at desc, id desc);
create index intent_rollout on fleet.intent (rollout_id) where rollout_id is not null;

-- The console states intents; what releases, exempts or splits them is not its to write.
revoke insert on fleet.intent from bartizan_console;
grant insert (id, verb, risk, params, targets, requester, purpose, state, approval_id, scope, not_before, not_after,
  emergency, held_by, held_why, held_at) on fleet.intent to bartizan_console;

alter table fleet.command
  drop constraint command_state_check,
  add constraint command_state_check check (state in ('queued', 'delivered', 'not_now', 'acknowledged', 'error',
    'format_error', 'unsupported', 'refused', 'cancelled', 'held', 'superseded', 'expired')),
  -- what it is about: a profile's identifier, an app; two commands with the same verb and key ask for the same thing
  add column key text check (length(key) <= 256),
  add column superseded_by uuid,
  -- A held command is not pending: its done_at is infinity until it is released.
  add column held_by text check (length(held_by) <= 63);
create index command_held on fleet.command (device_id) where held_by is not null;
create index command_permitted on fleet.command (uuid) where permit is not null and done_at is null;
grant select (key, superseded_by, held_by) on fleet.command to bartizan_console;

-- Devices that came back: what was meant to lock or erase them before is not delivered any more.
create table fleet.recovery (
  device_id bigint primary key references fleet.device,
  at timestamptz not null default clock_timestamp(),
  by_admin text not null
);
grant select on fleet.recovery to bartizan_core, bartizan_console;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('command.superseded', 6003, 3, 1, 'a command gave way to another that makes it pointless', false),
  ('command.held', 6003, 3, 2, 'commands wait until somebody releases them', true),
  ('command.released', 6003, 3, 2, 'held commands go on', true),
  ('command.expired', 6003, 4, 2, 'commands that no device fetched ran out of time', true),
  ('command.cancelled_all', 6003, 4, 3, 'an admin took back everything of one person or verb that no device had fetched', true),
  ('device.recovered', 5001, 3, 2, 'a lost device is back: what was to lock or erase it was taken back', true);

-- Takes back what no device has fetched: asked for, scheduled, held or queued. A fan-out is one event, not one a device.
create or replace function fleet.cancel_intent(a_intent uuid, a_by text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
  grouped integer;
begin
  update fleet.intent set state = 'cancelled', reason = 'cancelled', held_at = null
  where id = a_intent and state in ('awaiting-approval', 'ready', 'held');
  for c in update fleet.command k set state = 'cancelled', done_at = now(), held_by = null
    where k.intent_id = a_intent and k.fan_out_id is null and k.state in ('queued', 'not_now', 'held')
    returning k.uuid, k.request_type, k.device_id
  loop
    n := n + 1;
    perform log.emit('command.cancelled', a_by, (select handle from fleet.device where id = c.device_id), null,
      jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'cancelled'));
  end loop;
  update fleet.command k set state = 'cancelled', done_at = now(), held_by = null
  where k.fan_out_id = a_intent and k.state in ('queued', 'not_now', 'held');
  get diagnostics grouped = row_count;
  if grouped > 0 then
    perform log.emit('command.group_cancelled', a_by, null, null, jsonb_build_object('fan_out', a_intent, 'count', grouped));
  end if;
  return n + grouped;
end $$;

-- Everything of one person, of one verb, or of both, in one step. Answers how many intents and how many queued commands.
create function fleet.cancel_all(a_requester text, a_verb text, a_by text) returns table (intents integer, commands integer)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  i record;
  n integer;
begin
  if a_requester is null and a_verb is null then raise exception 'say whose or which' using errcode = '22023'; end if;
  intents := 0;
  commands := 0;
  for i in select x.id, x.state from fleet.intent x where x.swept_at is null
      and (a_requester is null or x.requester = a_requester) and (a_verb is null or x.verb = a_verb)
      and x.state in ('awaiting-approval', 'ready', 'held', 'dispatched') order by x.id for update
  loop
    n := fleet.cancel_intent(i.id, a_by);
    commands := commands + n;
    if n > 0 or i.state <> 'dispatched' then intents := intents + 1; end if;
  end loop;
  perform log.emit('command.cancelled_all', a_by, null, null, jsonb_strip_nulls(jsonb_build_object(
    'requester', a_requester, 'verb', a_verb, 'intents', intents, 'count', commands)));
  return next;
end $$;

-- Holds what no device has fetched. Answers how many queued commands wait now; null if there was nothing to hold.
create function fleet.hold_intent(a_intent uuid, a_by text, a_why text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  i fleet.intent;
  n integer;
begin
  select * into i from fleet.intent where id = a_intent for update;
  if not found or i.state not in ('ready', 'dispatched') or i.held_at is not null then return null; end if;
  update fleet.command k set state = 'held', held_by = a_by, done_at = 'infinity'
  where (k.intent_id = a_intent or k.fan_out_id = a_intent) and k.state in ('queued', 'not_now');
  get diagnostics n = row_count;
  if i.state = 'dispatched' and n = 0 then return null; end if;
  update fleet.intent set state = case state when 'ready' then 'held' else state end,
    held_by = a_by, held_why = left(a_why, 200), held_at = now() where id = a_intent;
  perform log.emit('command.held', a_by, null, null,
    jsonb_build_object('intent', a_intent, 'verb', i.verb, 'count', n, 'requester', i.requester));
  return n;
end $$;

-- Lets it go on. What the brake held is released by another person than the one who asked: `two-people` otherwise.
create function fleet.release_intent(a_intent uuid, a_by text) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  i fleet.intent;
  n integer;
begin
  select * into i from fleet.intent where id = a_intent for update;
  if not found or i.held_at is null then return 'not-held'; end if;
  if i.held_by = 'brake' and i.requester = a_by then return 'two-people'; end if;
  update fleet.command k set state = 'queued', held_by = null, done_at = null
  where (k.intent_id = a_intent or k.fan_out_id = a_intent) and k.held_by = i.held_by;
  get diagnostics n = row_count;
  update fleet.intent set state = case state when 'held' then 'ready' else state end, held_at = null, released_by = a_by
  where id = a_intent;
  perform log.emit('command.released', a_by, null, null,
    jsonb_build_object('intent', a_intent, 'verb', i.verb, 'count', n, 'requester', i.requester));
  perform pg_notify('bartizan_work', '');
  return 'released';
end $$;

-- A lost device is back. What was to lock, track or erase it and was not fetched is taken back now, and what is still
-- waiting for approval does not reach it later.
create function fleet.recover(a_device text, a_by text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
  c record;
  n integer := 0;
begin
  select id into d from fleet.device where handle = a_device;
  if not found then return null; end if;
  insert into fleet.recovery as r (device_id, by_admin) values (d, a_by)
  on conflict (device_id) do update set at = clock_timestamp(), by_admin = a_by;
  for c in update fleet.command k set state = 'cancelled', done_at = now(), held_by = null
    where k.device_id = d and (k.done_at is null or k.held_by is not null) and k.state in ('queued', 'not_now', 'held')
      and k.request_type in ('DeviceLock', 'EraseDevice', 'EnableLostMode', 'DeviceLocation', 'PlayLostModeSound')
    returning k.uuid, k.request_type
  loop
    n := n + 1;
    perform log.emit('command.cancelled', a_by, a_device, null,
      jsonb_build_object('command', c.uuid, 'verb', c.request_type, 'why', 'recovered'));
  end loop;
  perform log.emit('device.recovered', a_by, a_device, null, jsonb_build_object('cancelled', n));
  return n;
end $$;

-- A device that enrols anew or leaves takes its held commands along.
create function fleet.drop_held() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.command k set state = 'cancelled', done_at = now(), held_by = null
  where k.device_id = new.id and k.held_by is not null;
  return null;
end $$;
create trigger device_drops_held after update of state on fleet.device
  for each row when (new.state in ('authenticated', 'checked_out', 'retired')) execute function fleet.drop_held();

revoke all on function fleet.cancel_all(text, text, text), fleet.hold_intent(uuid, text, text), fleet.drop_held(),
  fleet.release_intent(uuid, text), fleet.recover(text, text) from public;
grant execute on function fleet.cancel_all(text, text, text), fleet.hold_intent(uuid, text, text),
  fleet.release_intent(uuid, text), fleet.recover(text, text) to bartizan_console;
grant execute on function fleet.hold_intent(uuid, text, text) to bartizan_core;
