-- Room: fleet. Maintenance windows; the library of profiles with its assignments; rollouts in rings with soak.

create table fleet.maintenance_window (
  id uuid primary key,
  group_id uuid not null references fleet.device_group,
  -- IANA name
  time_zone text not null check (length(time_zone) between 1 and 64),
  -- 0 is Monday; the days on which the window opens
  days smallint[] not null check (cardinality(days) between 1 and 7 and days <@ '{0,1,2,3,4,5,6}'::smallint[]),
  -- minutes after midnight by the wall clock there, and how long by the same clock
  from_minute smallint not null check (from_minute between 0 and 1439),
  minutes smallint not null check (minutes between 15 and 1440),
  created_by text not null,
  created_at timestamptz not null default now(),
  removed_by text,
  removed_at timestamptz
);
create index maintenance_window_group on fleet.maintenance_window (group_id) where removed_at is null;
grant select on fleet.maintenance_window to bartizan_core;
grant select, insert, update (removed_by, removed_at) on fleet.maintenance_window to bartizan_console;
-- core takes an intent apart where some of its devices must wait
grant select on fleet.device_group, fleet.group_member to bartizan_core;

create table fleet.profile (
  id uuid primary key,
  identifier text not null unique check (length(identifier) between 1 and 255),
  name text not null check (length(name) between 1 and 120),
  created_by text not null,
  created_at timestamptz not null default now()
);
create table fleet.profile_version (
  id uuid primary key,
  profile_id uuid not null references fleet.profile,
  number integer not null check (number > 0),
  -- the profile itself, out of its signature if it came with one
  body bytea not null check (octet_length(body) between 1 and 524288),
  sha256 bytea not null check (octet_length(sha256) = 32),
  uuid text not null check (length(uuid) between 1 and 64),
  -- SHA-256 of the certificate whose signature was on it when it was stored
  signer_sha256 bytea check (octet_length(signer_sha256) = 32),
  stored_by text not null,
  stored_at timestamptz not null default now(),
  unique (profile_id, number),
  unique (profile_id, sha256)
);
create table fleet.profile_assignment (
  id uuid primary key,
  profile_id uuid not null references fleet.profile,
  group_id uuid references fleet.device_group,
  device_id bigint references fleet.device,
  assigned_by text not null,
  assigned_at timestamptz not null default now(),
  removed_by text,
  removed_at timestamptz,
  check ((group_id is null) <> (device_id is null))
);
create unique index profile_assignment_group on fleet.profile_assignment (profile_id, group_id) where removed_at is null and group_id is not null;
create unique index profile_assignment_device on fleet.profile_assignment (profile_id, device_id) where removed_at is null and device_id is not null;

create table fleet.rollout (
  id uuid primary key,
  kind text not null check (kind in ('profile')),
  -- of the profile; `version_id` is what is rolled out
  subject_id uuid not null references fleet.profile,
  version_id uuid not null references fleet.profile_version,
  -- [{percent, atLeast, soakHours}], checked by core before the first ring opens
  plan jsonb not null check (octet_length(plan::text) <= 4096),
  max_error_percent smallint not null default 10 check (max_error_percent between 0 and 50),
  requester text not null,
  purpose text not null check (length(purpose) between 5 and 200),
  state text not null default 'running' check (state in ('running', 'paused', 'halted', 'done', 'cancelled')),
  ring smallint not null default 0,
  ring_at timestamptz not null default now(),
  soak_until timestamptz,
  accepted_errors integer not null default 0,
  skip_by text,
  why text check (length(why) <= 200),
  -- what the last look found: {devices, waiting, ok, failed}
  facts jsonb not null default '{}',
  started_at timestamptz not null default now(),
  done_at timestamptz
);
create index rollout_live on fleet.rollout (started_at) where state in ('running', 'paused', 'halted');
create index rollout_subject on fleet.rollout (subject_id, started_at desc);

-- What people ask of a rollout; core carries it out by its rules, once each.
create table fleet.rollout_act (
  id uuid primary key,
  rollout_id uuid not null references fleet.rollout,
  act text not null check (act in ('pause', 'resume', 'skip', 'cancel')),
  by_admin text not null,
  at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  outcome text check (length(outcome) <= 64)
);
create index rollout_act_waiting on fleet.rollout_act (at) where done_at is null;

-- What core last sent to a device of a profile, and because of which rollout. Null version: removed, or never sent.
create table fleet.profile_on (
  profile_id uuid not null references fleet.profile,
  device_id bigint not null references fleet.device,
  version_id uuid references fleet.profile_version,
  rollout_id uuid references fleet.rollout,
  intent_id uuid references fleet.intent,
  at timestamptz not null default clock_timestamp(),
  primary key (profile_id, device_id)
);
create index profile_on_device on fleet.profile_on (device_id);

grant select on fleet.profile, fleet.profile_version, fleet.profile_assignment to bartizan_core;
grant select, insert, update on fleet.profile_on to bartizan_core;
grant select, update on fleet.rollout, fleet.rollout_act to bartizan_core;
grant select, insert on fleet.profile, fleet.profile_version to bartizan_console;
grant select, insert (id, profile_id, group_id, device_id, assigned_by), update (removed_by, removed_at)
  on fleet.profile_assignment to bartizan_console;
grant select, insert (id, kind, subject_id, version_id, plan, max_error_percent, requester, purpose) on fleet.rollout to bartizan_console;
grant select, insert (id, rollout_id, act, by_admin) on fleet.rollout_act to bartizan_console;
grant select on fleet.profile_on to bartizan_console;

-- A device that enrols anew has lost what it was sent; its held commands go too.
create or replace function fleet.drop_held() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.command k set state = 'cancelled', done_at = now(), held_by = null
  where k.device_id = new.id and k.held_by is not null;
  update fleet.profile_on p set version_id = null, rollout_id = null, intent_id = null, at = clock_timestamp()
  where p.device_id = new.id and p.version_id is not null;
  return null;
end $$;

-- Everything of one person in one step takes his rollouts along.
create or replace function fleet.cancel_all(a_requester text, a_verb text, a_by text) returns table (intents integer, commands integer)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  i record;
  n integer;
begin
  if a_requester is null and a_verb is null then raise exception 'say whose or which' using errcode = '22023'; end if;
  intents := 0;
  commands := 0;
  for i in update fleet.rollout r set state = 'cancelled', why = 'taken back with everything of this person', done_at = now()
    where r.requester = a_requester and r.state in ('running', 'paused', 'halted') and a_verb is null returning r.id
  loop
    perform log.emit('rollout.cancelled', a_by, null, null, jsonb_build_object('rollout', i.id, 'requester', a_requester));
  end loop;
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

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('window.saved', 3006, 3, 1, 'a maintenance window was added to a group or taken from it', true),
  ('command.waits', 6003, 3, 1, 'a change waits for the maintenance window of its devices', true),
  ('profile.stored', 3006, 1, 1, 'a version of a configuration profile was stored', true),
  ('profile.assigned', 3006, 3, 2, 'a profile was assigned to devices, or is no longer', true),
  ('rollout.started', 6003, 1, 2, 'a rollout in rings began', true),
  ('rollout.ring', 6003, 3, 1, 'a rollout opened its next ring', true),
  ('rollout.paused', 6003, 3, 2, 'an admin paused a rollout', true),
  ('rollout.resumed', 6003, 3, 2, 'a rollout goes on', true),
  ('rollout.halted', 6003, 3, 4, 'a rollout stopped by itself because too much went wrong', true),
  ('rollout.skip_asked', 6003, 3, 3, 'an admin asks to cut a soak short; another must agree', true),
  ('rollout.skipped', 6003, 3, 3, 'two admins cut a soak short', true),
  ('rollout.cancelled', 6003, 4, 2, 'a rollout was given up', true),
  ('rollout.done', 6003, 2, 1, 'a rollout reached all its devices and soaked', true);
