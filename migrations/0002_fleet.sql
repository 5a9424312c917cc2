-- Room: fleet. Devices by handle, commands, results. No name, no number: a holder is a person's handle.
create schema fleet;

create table fleet.device (
  id bigint generated always as identity primary key,
  handle text not null unique check (handle ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  holder text check (holder ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  state text not null default 'offered'
    check (state in ('offered', 'certified', 'authenticated', 'enrolled', 'checked_out', 'retired')),
  udid text unique check (length(udid) between 1 and 128),
  serial text check (length(serial) <= 64),
  model text check (length(model) <= 64),
  product_name text check (length(product_name) <= 64),
  os_version text check (length(os_version) <= 32),
  build_version text check (length(build_version) <= 32),
  supervised boolean,
  topic text check (length(topic) <= 256),
  push_token bytea check (octet_length(push_token) <= 256),
  push_magic text check (length(push_magic) <= 128),
  certificate_sha256 bytea unique check (octet_length(certificate_sha256) = 32),
  certificate_not_after timestamptz,
  offered_at timestamptz not null default now(),
  enrolled_at timestamptz,
  last_seen_at timestamptz
);
create index device_holder on fleet.device (holder);

-- A one-time, expiring link. The link's token and the SCEP challenge are kept as hashes only.
create table fleet.enrolment (
  id uuid primary key,
  device_id bigint not null references fleet.device,
  link_sha256 bytea not null unique check (octet_length(link_sha256) = 32),
  challenge_sha256 bytea unique check (octet_length(challenge_sha256) = 32),
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  fetched_at timestamptz,
  used_at timestamptz,
  revoked_at timestamptz
);

-- Edge asks, core signs: the CA key is never in the process that faces the network.
create table fleet.certificate_request (
  id uuid primary key,
  enrolment_id uuid not null references fleet.enrolment,
  csr bytea not null check (octet_length(csr) <= 16384),
  state text not null default 'pending' check (state in ('pending', 'issued', 'refused')),
  certificate bytea,
  reason text,
  created_at timestamptz not null default now(),
  done_at timestamptz
);
create index certificate_request_pending on fleet.certificate_request (created_at) where state = 'pending';

-- What somebody wants done. Core turns it into signed commands.
create table fleet.intent (
  id uuid primary key,
  verb text not null,
  risk text not null check (risk in ('read', 'change', 'lock', 'destroy')),
  params jsonb not null default '{}',
  -- [{device, uuid}]: the command ids are fixed when the intent is stated, so a resumed dispatch cannot double them.
  targets jsonb not null,
  requester text not null,
  purpose text not null check (length(purpose) between 5 and 200),
  state text not null check (state in ('awaiting-approval', 'ready', 'dispatched', 'refused', 'cancelled')),
  reason text,
  approval_id uuid,
  created_at timestamptz not null default now(),
  dispatched_at timestamptz
);
create index intent_ready on fleet.intent (created_at) where state = 'ready';

create table fleet.command (
  uuid uuid primary key,
  device_id bigint not null references fleet.device,
  intent_id uuid references fleet.intent,
  request_type text not null,
  -- the exact plist that the device receives
  body bytea not null check (octet_length(body) <= 1048576),
  -- Ed25519 by core over canonical JSON {v:1, op:'deliver', device, uuid, verb, body: base64url sha256}
  signature bytea not null,
  -- the ledger's permit, for EraseDevice and approved DeviceLock
  permit jsonb,
  state text not null default 'queued'
    check (state in ('queued', 'delivered', 'not_now', 'acknowledged', 'error', 'format_error', 'refused', 'cancelled')),
  queued_at timestamptz not null default clock_timestamp(),
  delivered_at timestamptz,
  deliveries integer not null default 0,
  done_at timestamptz,
  -- error codes and domains only, never localised texts: those can quote the device's name
  errors jsonb
);
create index command_pending on fleet.command (device_id, queued_at, uuid) where state in ('queued', 'delivered', 'not_now');
create index command_intent on fleet.command (intent_id);
create index command_history on fleet.command (device_id, queued_at);

-- The last answers by kind, allow-listed keys only.
create table fleet.inventory (
  device_id bigint not null references fleet.device,
  kind text not null check (kind in ('DeviceInformation', 'SecurityInfo', 'ProfileList')),
  facts jsonb not null,
  taken_at timestamptz not null default now(),
  primary key (device_id, kind)
);

grant usage on schema fleet to bartizan_core, bartizan_console;
grant select, insert, update on all tables in schema fleet to bartizan_core;
grant select on fleet.device, fleet.intent, fleet.inventory to bartizan_console;
grant select (id, device_id, created_by, created_at, expires_at, fetched_at, used_at, revoked_at) on fleet.enrolment to bartizan_console;
grant select (uuid, device_id, intent_id, request_type, state, queued_at, delivered_at, deliveries, done_at, errors) on fleet.command to bartizan_console;
-- The console states intents and offers enrolments; it cannot write a command or touch a device row.
grant insert on fleet.intent to bartizan_console;
