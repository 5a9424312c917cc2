-- Room: log. Events in the transaction of the act, and the outbox to the transparency log.
-- Runs as bartizan_owner (NOLOGIN). Login roles exist already: bartizan_edge, bartizan_intake, bartizan_console,
-- bartizan_glass, bartizan_core. Nothing is granted to PUBLIC anywhere.
create schema log;

-- Which kinds of event exist, and their OCSF 1.8 classification. type_uid = class_uid * 100 + activity_id.
create table log.kind (
  kind text primary key check (kind ~ '^[a-z]+(\.[a-z_]+)+$'),
  class_uid integer not null,
  activity_id integer not null,
  severity_id smallint not null default 1 check (severity_id between 0 and 6),
  meaning text not null
);

create sequence log.event_seq as bigint;

-- One row per event. `position` is the contiguous order that readers follow (a sequence is not commit order);
-- `n` is the contiguous number of core's leaves; `leaf` is the index in the transparency log.
create table log.event (
  seq bigint not null default nextval('log.event_seq'),
  time timestamptz not null default clock_timestamp(),
  uid uuid not null,
  kind text not null,
  class_uid integer not null,
  type_uid integer not null,
  severity_id smallint not null,
  source text not null,
  actor text,
  device text,
  subject text,
  body jsonb not null,
  salt bytea not null check (octet_length(salt) = 32),
  xid xid8 not null default pg_current_xact_id(),
  position bigint,
  n bigint,
  leaf bigint,
  primary key (seq, time)
) partition by range (time);

create table log.event_default partition of log.event default;
create index event_waiting on log.event (seq) where position is null;
create index event_unsent on log.event (n) where leaf is null and n is not null;
create index event_position on log.event (position);
create index event_device on log.event (device, position) where device is not null;
create index event_actor on log.event (actor, position) where actor is not null;

-- The integrator's counters: one row, updated under its row lock, so that two integrators cannot number twice.
create table log.counter (
  one boolean primary key default true check (one),
  last_position bigint not null default 0,
  last_n bigint not null default 0,
  -- how far the guards' own entries have been copied into log.event
  guard_tail bigint not null default 0
);
insert into log.counter default values;

-- UUID version 7 (RFC 9562 section 5.7) for PostgreSQL before 18.
create function log.uuidv7() returns uuid language sql volatile set search_path = pg_catalog as $$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$$;

-- The one place where an event comes into being. Builds the OCSF envelope from the kind's classification; `detail`
-- goes to `unmapped` and must hold handles, counts and codes only, never a name or a number of a person.
create function log.emit(kind text, actor text, device text, subject text, detail jsonb default '{}') returns uuid
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
  perform pg_notify('bartizan_event', '');
  return id;
end $$;

-- A guard's own entry, already a leaf: copied as it is, once per leaf (core moves its cursor in the same transaction).
create function log.copy_guard_entry(a_uid uuid, a_time timestamptz, a_kind text, a_actor text, a_subject text,
  a_body jsonb, a_salt bytea, a_leaf bigint, a_source text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  k log.kind;
begin
  select * into k from log.kind where log.kind.kind = a_kind;
  if not found then raise exception 'unknown event kind' using errcode = '22023'; end if;
  insert into log.event (time, uid, kind, class_uid, type_uid, severity_id, source, actor, subject, salt, body, leaf)
  values (a_time, a_uid, a_kind, k.class_uid, k.class_uid * 100 + k.activity_id, k.severity_id, a_source, a_actor,
    a_subject, a_salt, a_body, a_leaf);
  perform pg_notify('bartizan_event', '');
end $$;

-- Partitions by day, made ahead by core; the default partition catches what nobody prepared for.
create function log.prepare_days(a_days integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  day date;
  part text;
begin
  for i in 0 .. least(a_days, 31) loop
    day := (now() at time zone 'UTC')::date + i;
    part := 'event_' || to_char(day, 'YYYYMMDD');
    -- rows of that day that are in the default partition already would refuse the new one: leave them there
    if to_regclass('log.' || part) is null
      and not exists (select from log.event_default where time >= (day::timestamp at time zone 'UTC')
        and time < ((day + 1)::timestamp at time zone 'UTC')) then
      execute format('create table log.%I partition of log.event for values from (%L) to (%L)', part,
        day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
    end if;
  end loop;
end $$;

revoke all on function log.copy_guard_entry(uuid, timestamptz, text, text, text, jsonb, bytea, bigint, text) from public;
revoke all on function log.prepare_days(integer) from public;
revoke all on function log.emit(text, text, text, text, jsonb) from public;
revoke all on function log.uuidv7() from public;
grant usage on schema log to bartizan_core, bartizan_console, bartizan_glass;
grant execute on function log.emit(text, text, text, text, jsonb) to bartizan_core, bartizan_console, bartizan_glass;
grant execute on function log.copy_guard_entry(uuid, timestamptz, text, text, text, jsonb, bytea, bigint, text),
  log.prepare_days(integer) to bartizan_core;
grant select on log.event, log.kind, log.counter to bartizan_core;
-- core orders, numbers and marks; it cannot rewrite what happened.
grant update (position, n, leaf) on log.event to bartizan_core;
grant update on log.counter to bartizan_core;
grant select (seq, time, uid, kind, severity_id, source, actor, device, subject, body, position, leaf) on log.event to bartizan_console;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('system.started', 6002, 3, 1, 'a process of the product became ready'),
  ('system.stopped', 6002, 4, 1, 'a process of the product stopped'),
  ('auth.sign_in', 3002, 1, 1, 'an admin signed in to the console'),
  ('auth.sign_in_refused', 3002, 1, 3, 'a sign-in was refused'),
  ('auth.sign_out', 3002, 2, 1, 'a session ended'),
  ('account.key_enrolled', 3001, 1, 2, 'a passkey was pinned by the guards'),
  ('account.invited', 3001, 1, 2, 'a new admin was invited by two people'),
  ('account.refused', 3001, 99, 3, 'a change of the roster was refused'),
  ('device.offered', 3004, 1, 1, 'an enrolment link was made'),
  ('device.profile_fetched', 3004, 2, 1, 'an enrolment link was opened by a device'),
  ('device.certified', 3004, 3, 1, 'a device received its identity certificate'),
  ('device.authenticated', 3004, 3, 1, 'a device began its enrolment'),
  ('device.enrolled', 3004, 3, 1, 'a device finished its enrolment'),
  ('device.checked_out', 3004, 4, 2, 'a device left management'),
  ('device.retired', 3004, 4, 2, 'a device was retired'),
  ('device.refused', 3004, 99, 3, 'a device message was refused'),
  ('device.inventory', 5001, 2, 1, 'a device reported its inventory'),
  ('device.finding', 5001, 99, 2, 'a device message was tolerated but is not as the standard says'),
  ('command.requested', 6003, 1, 1, 'an admin or a playbook asked for a command'),
  ('command.permitted', 6003, 3, 2, 'two people were permitted to have devices erased or locked'),
  ('command.refused', 6003, 99, 3, 'a command was refused'),
  ('command.queued', 6003, 1, 1, 'a command was signed and queued for a device'),
  ('command.delivered', 6003, 2, 1, 'a device fetched a command'),
  ('command.result', 6003, 3, 1, 'a device answered a command'),
  ('command.cancelled', 6003, 4, 1, 'a command was cancelled before delivery'),
  ('command.unsigned', 6003, 99, 5, 'a queued row without a valid signature was refused'),
  ('approval.requested', 6003, 1, 2, 'something that needs two people was asked for'),
  ('approval.signed', 6003, 3, 2, 'an admin signed an approval'),
  ('approval.refused', 6003, 99, 4, 'an approval was refused'),
  ('directory.imported', 3004, 1, 2, 'people were sealed into the directory'),
  ('directory.settled', 6005, 3, 1, 'sealed values were moved under their persons'' locks'),
  ('directory.revealed', 6005, 1, 2, 'the guards opened sealed values for an admin'),
  ('directory.refused', 6005, 99, 4, 'the guards refused to open sealed values'),
  ('directory.decoy', 6005, 1, 5, 'a decoy was asked for'),
  ('directory.erased', 6005, 4, 2, 'a person''s lock was destroyed'),
  ('lock.on', 7001, 1, 4, 'something was locked'),
  ('lock.off', 7001, 3, 3, 'a lock was lifted by two people'),
  ('edge.refused', 4002, 99, 2, 'requests to the device plane were refused (counted)'),
  ('console.refused', 4002, 99, 2, 'a request to the console or glass was refused'),
  ('watch.alert', 2004, 1, 4, 'a rule fired'),
  ('watch.acknowledged', 2004, 2, 1, 'an alert was acknowledged'),
  ('respond.action', 7001, 99, 3, 'a containing action was taken'),
  ('incident.opened', 2005, 1, 4, 'an incident was opened'),
  ('incident.updated', 2005, 2, 2, 'an incident was changed'),
  ('incident.exposure', 2005, 2, 2, 'an exposure report was made'),
  ('log.trouble', 6002, 99, 5, 'the evidence log refused or fell behind');
