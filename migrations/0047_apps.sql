-- Room: fleet. Apps: from the store with licences for devices (Apps and Books), or our own by their manifest; assigned to groups.
create table fleet.app (
  id uuid primary key,
  -- bundle identifier
  identifier text not null unique check (identifier ~ '^[A-Za-z0-9._-]{1,155}$'),
  name text not null check (length(name) between 1 and 80),
  kind text not null check (kind in ('store', 'own')),
  adam_id bigint unique check (adam_id > 0),
  manifest_url text check (manifest_url ~ '^https://' and length(manifest_url) <= 500),
  -- managed app configuration, sent with the app; no personal data
  configuration jsonb check (octet_length(configuration::text) <= 32768),
  created_by text not null,
  created_at timestamptz not null default now(),
  changed_by text,
  changed_at timestamptz,
  check ((kind = 'store') = (adam_id is not null) and (kind = 'own') = (manifest_url is not null))
);
create table fleet.app_assignment (
  id uuid primary key,
  app_id uuid not null references fleet.app,
  group_id uuid not null references fleet.device_group,
  assigned_by text not null,
  assigned_at timestamptz not null default now(),
  removed_by text,
  removed_at timestamptz
);
create unique index app_assignment_on on fleet.app_assignment (app_id, group_id) where removed_at is null;

-- A licence of a device, never of a person. What the service was asked is known before it is asked, so that a crash in
-- between asks again, which the service takes as done.
create table fleet.app_licence (
  app_id uuid not null references fleet.app,
  device_id bigint not null references fleet.device,
  state text not null check (state in ('wanted', 'asked', 'held', 'unwanted', 'returning', 'returned', 'failed')),
  event_id text check (length(event_id) <= 64),
  reason text check (length(reason) <= 64),
  at timestamptz not null default clock_timestamp(),
  primary key (app_id, device_id)
);
create index app_licence_open on fleet.app_licence (at) where state in ('wanted', 'asked', 'unwanted', 'returning');

-- What core last sent to a device of an app: the hash of its configuration, or null after removing it.
create table fleet.app_on (
  app_id uuid not null references fleet.app,
  device_id bigint not null references fleet.device,
  sent text check (length(sent) <= 64),
  intent_id uuid references fleet.intent,
  at timestamptz not null default clock_timestamp(),
  primary key (app_id, device_id)
);
create index app_on_device on fleet.app_on (device_id);

-- The licence service as core last saw it; its token is a file of core's.
create table fleet.app_service (
  one boolean primary key default true check (one),
  organisation text check (length(organisation) <= 120),
  token_until timestamptz,
  checked_at timestamptz,
  -- not asked before
  next_at timestamptz not null default now(),
  problem text check (length(problem) <= 64),
  alarmed integer,
  -- [{adamId, total, available}]
  assets jsonb not null default '[]'
);

grant select on fleet.app, fleet.app_assignment to bartizan_core;
grant select, insert, update on fleet.app_licence, fleet.app_on, fleet.app_service to bartizan_core;
grant select, insert (id, identifier, name, kind, adam_id, manifest_url, configuration, created_by),
  update (name, configuration, changed_by, changed_at) on fleet.app to bartizan_console;
grant select, insert (id, app_id, group_id, assigned_by), update (removed_by, removed_at) on fleet.app_assignment to bartizan_console;
grant select on fleet.app_licence, fleet.app_on, fleet.app_service to bartizan_console;

-- A device that enrols anew has lost its managed apps.
create function fleet.drop_apps() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.app_on a set sent = null, intent_id = null, at = clock_timestamp() where a.device_id = new.id and a.sent is not null;
  return null;
end $$;
create trigger device_drops_apps after update of state on fleet.device
  for each row when (new.state in ('authenticated', 'checked_out', 'retired')) execute function fleet.drop_apps();
revoke all on function fleet.drop_apps() from public;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('app.saved', 3006, 1, 1, 'an app was added or its configuration changed', true),
  ('app.assigned', 3006, 3, 2, 'an app was assigned to a group, or is no longer', true),
  ('app.licence_failed', 6003, 3, 3, 'the licence service refused licences', true),
  ('app.token_expiring', 6002, 99, 3, 'the licence service''s token runs out', true),
  ('app.service_problem', 6002, 99, 3, 'the licence service does not answer as it should', true);
