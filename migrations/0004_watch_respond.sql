-- Rooms: watch, respond, incident, api. Detection state, approvals, locks, incidents, sessions.
create schema watch;
create table watch.cursor (
  name text primary key,
  position bigint not null default 0,
  moved_at timestamptz not null default now()
);
create table watch.alert (
  id uuid primary key,
  rule text not null,
  title text not null,
  level text not null check (level in ('informational', 'low', 'medium', 'high', 'critical')),
  group_key text not null,
  -- start of the window that this alert stands for: one alert per rule, group and window
  window_start timestamptz not null,
  -- the event that completed the rule
  event_uid uuid not null,
  event_position bigint not null,
  event_time timestamptz not null,
  actor text,
  device text,
  events integer not null default 1,
  status text not null default 'open' check (status in ('open', 'acknowledged', 'closed')),
  acknowledged_by text,
  acknowledged_at timestamptz,
  incident_id uuid,
  detail jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  -- when respond decided what to do about it, be it nothing
  answered_at timestamptz,
  unique (rule, group_key, window_start)
);
create index alert_unanswered on watch.alert (created_at) where answered_at is null;
create index alert_last on watch.alert (rule, group_key, event_time);

create schema respond;
-- Something that needs two people. `document` is the exact object that is signed (see src/seal/messages.ts).
create table respond.approval (
  id uuid primary key,
  op text not null check (op in ('command', 'unlock', 'invite')),
  document jsonb not null,
  requester text not null,
  needs smallint not null default 2,
  state text not null default 'open' check (state in ('open', 'executing', 'executed', 'refused', 'expired', 'cancelled')),
  reason text,
  created_at timestamptz not null default now(),
  not_after timestamptz not null,
  done_at timestamptz
);
create table respond.signature (
  approval_id uuid not null references respond.approval,
  admin text not null,
  assertion jsonb not null,
  at timestamptz not null default now(),
  primary key (approval_id, admin)
);
-- The guards hold the truth about locks; this is core's record for screens and for its own lanes.
create table respond.lock (
  id uuid primary key,
  scope text not null check (scope in ('directory', 'admin', 'commands')),
  target text not null default '',
  reason text not null,
  put_by text not null,
  put_at timestamptz not null default clock_timestamp(),
  lifted_at timestamptz,
  lifted_by uuid
);
create unique index lock_on on respond.lock (scope, target) where lifted_at is null;
-- One row per containing action: written before the effect, marked after, repeated safely after a crash.
create table respond.action (
  id uuid primary key,
  alert_id uuid not null,
  verb text not null,
  target text not null default '',
  state text not null default 'started' check (state in ('started', 'done', 'failed')),
  attempts integer not null default 0,
  -- a guard that cannot be reached is asked again then; other actions do not wait for it
  next_at timestamptz not null default clock_timestamp(),
  started_at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  detail jsonb not null default '{}',
  unique (alert_id, verb, target)
);
create index action_waiting on respond.action (next_at) where state = 'started';

-- Any admin may lock by hand; core carries it out and marks it. Lifting needs two people.
create table respond.lock_request (
  id uuid primary key,
  scope text not null check (scope in ('directory', 'admin', 'commands')),
  target text not null default '',
  reason text not null check (length(reason) between 3 and 200),
  by_admin text not null,
  at timestamptz not null default now(),
  done_at timestamptz
);

create schema incident;
create table incident.incident (
  id uuid primary key,
  title text not null check (length(title) between 3 and 200),
  status text not null default 'open' check (status in ('open', 'contained', 'closed')),
  opened_by text not null,
  opened_at timestamptz not null default clock_timestamp(),
  -- when the organisation became aware, confirmed by a person; the legal clocks start here
  t0 timestamptz,
  t0_by text,
  t0_reason text,
  window_from timestamptz not null,
  window_to timestamptz,
  principal text,
  closed_at timestamptz
);
create table incident.note (
  id uuid primary key,
  incident_id uuid not null references incident.incident,
  author text not null,
  text text not null check (length(text) between 1 and 4000),
  at timestamptz not null default now()
);
create table incident.exposure (
  id uuid primary key,
  incident_id uuid not null references incident.incident,
  made_at timestamptz not null default clock_timestamp(),
  report jsonb not null
);

create schema api;
create table api.session (
  token_sha256 bytea primary key check (octet_length(token_sha256) = 32),
  id uuid not null unique,
  admin text not null,
  role text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null,
  ended_at timestamptz,
  ended_by text
);
create index session_admin on api.session (admin) where ended_at is null;
create table api.challenge (
  nonce text primary key,
  expires_at timestamptz not null,
  used_at timestamptz
);

grant usage on schema watch, respond, incident, api to bartizan_core, bartizan_console;
grant select, insert, update on all tables in schema watch, respond, incident to bartizan_core;
grant select on all tables in schema watch, incident to bartizan_console;
grant update (status, acknowledged_by, acknowledged_at, incident_id) on watch.alert to bartizan_console;
grant select on respond.approval, respond.lock, respond.action to bartizan_console;
grant select (approval_id, admin, at) on respond.signature to bartizan_console;
grant insert on respond.approval to bartizan_console;
grant insert, select on respond.lock_request to bartizan_console;
grant insert, update on incident.incident to bartizan_console;
grant insert on incident.note, incident.exposure to bartizan_console;
grant select, insert, update on api.session, api.challenge to bartizan_console;
-- core ends sessions of a locked admin; it cannot make one
grant select (id, admin, created_at, ended_at) on api.session to bartizan_core;
grant update (ended_at, ended_by) on api.session to bartizan_core;
-- glass shows what is to be signed and takes signatures
grant usage on schema respond to bartizan_glass;
grant select on respond.approval to bartizan_glass;
grant select (approval_id, admin, at), insert on respond.signature to bartizan_glass;
