-- Rooms: fleet and edge. Automated device enrolment: which serial numbers are ours, and the profile they ask for.

-- One row: the token of one server at Apple. Secrets are files of core's; what arrives is encrypted to core's key.
create table fleet.ade_server (
  one boolean primary key default true check (one),
  -- somebody wants the key pair and its certificate to be made
  key_wanted boolean not null default false,
  certificate bytea check (octet_length(certificate) <= 8192),
  upload bytea check (octet_length(upload) <= 65536),
  upload_by text,
  server_uuid text check (length(server_uuid) <= 64),
  server_name text check (length(server_name) <= 128),
  org_name text check (length(org_name) <= 128),
  token_not_after timestamptz,
  alarmed integer,
  policy jsonb not null default '{}',
  profile_uuid text check (length(profile_uuid) <= 64),
  -- SHA-256 of the definition that Apple knows
  profile_sha256 bytea,
  phase text not null default 'fetch' check (phase in ('fetch', 'sync')),
  cursor text check (length(cursor) <= 4096),
  fetch_started_at timestamptz,
  synced_at timestamptz,
  next_at timestamptz not null default now(),
  attempts integer not null default 0,
  problem text check (length(problem) <= 64),
  problem_at timestamptz
);
insert into fleet.ade_server default values;

create table fleet.ade_device (
  serial text primary key check (length(serial) between 1 and 64),
  device_id bigint not null unique references fleet.device,
  model text, description text, color text, os text, family text,
  profile_status text not null,
  profile_uuid text,
  op_at timestamptz,
  seen_at timestamptz not null default now(),
  -- gone from our server at Apple
  removed_at timestamptz,
  wanted text check (wanted in ('assign', 'remove')),
  -- Apple's word for the last assignment
  answer text check (length(answer) <= 32)
);
create index ade_device_wanted on fleet.ade_device (serial) where wanted is not null;

alter table fleet.device add column if not exists awaiting_configuration boolean not null default false;
alter table fleet.device add column awaiting_since timestamptz;

-- Setup Assistant waits from here; core lets it go on, at the latest after a few minutes.
create function fleet.note_awaiting() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  new.awaiting_since := case when new.awaiting_configuration then coalesce(new.awaiting_since, now()) end;
  return new;
end $$;
create trigger note_awaiting before update of awaiting_configuration on fleet.device
  for each row execute function fleet.note_awaiting();
create index device_awaiting on fleet.device (awaiting_since) where awaiting_since is not null;

create function fleet.ade_ask(a_what text, a_value jsonb, a_upload bytea, a_by text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  case a_what
    when 'key' then update fleet.ade_server set key_wanted = true, next_at = now();
    when 'token' then update fleet.ade_server set upload = a_upload, upload_by = a_by, next_at = now();
    when 'policy' then update fleet.ade_server set policy = a_value, next_at = now();
    when 'sync' then update fleet.ade_server set next_at = now(), attempts = 0;
    when 'assign', 'remove' then
      update fleet.ade_device set wanted = a_what
      where removed_at is null and device_id in (select d.id from fleet.device d
        where d.handle in (select jsonb_array_elements_text(a_value)));
      update fleet.ade_server set next_at = now();
    else raise exception 'unknown act' using errcode = '22023';
  end case;
  perform log.emit('ade.asked', a_by, null, null, jsonb_build_object('what', a_what));
  perform pg_notify('bartizan_work', '');
end $$;

create function edge.ade_policy() returns jsonb
language sql stable security definer set search_path = pg_catalog as $$
  select policy from fleet.ade_server
$$;

-- A device of our server at Apple asks for its profile: a challenge for one certificate, good for an hour. Null if the
-- serial number is not ours. An earlier challenge of the same device ends.
create function edge.ade_enrol(a_serial text, a_link_sha256 bytea, a_challenge_sha256 bytea, a_identity text, a_verified boolean)
returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d record;
  e uuid := log.uuidv7();
begin
  select v.id, v.handle, v.ownership into d from fleet.ade_device a join fleet.device v on v.id = a.device_id
  where a.serial = a_serial and a.removed_at is null;
  if not found then
    perform edge.refuse(null, 'serial-not-ours');
    return null;
  end if;
  update fleet.enrolment set revoked_at = now(), revoked_by = 'edge'
  where device_id = d.id and used_at is null and revoked_at is null;
  insert into fleet.enrolment (id, device_id, link_sha256, challenge_sha256, created_by, expires_at, fetched_at, identity)
  values (e, d.id, a_link_sha256, a_challenge_sha256, 'edge', now() + interval '1 hour', now(), a_identity);
  perform log.emit('device.profile_fetched', 'edge', d.handle, null, jsonb_build_object('by', 'ade', 'verified', a_verified));
  if not a_verified then perform edge.note_findings(d.handle, array['ade-signature-not-verified']); end if;
  return e;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('ade.asked', 6002, 99, 2, 'an admin changed automated device enrolment'),
  ('ade.token_accepted', 6002, 1, 2, 'a server token of Apple''s device assignment service came into use'),
  ('ade.token_expiring', 6002, 99, 3, 'the server token for device assignment runs out'),
  ('ade.problem', 6002, 99, 3, 'the device assignment service does not work with us'),
  ('ade.synced', 6002, 99, 1, 'devices of the device assignment service changed'),
  ('ade.profile_assigned', 6002, 99, 1, 'devices were given our profile, or it was taken from them'),
  ('ade.device_removed', 3004, 99, 3, 'an enrolled device was taken off our server at Apple'),
  ('device.setup_released', 3004, 99, 1, 'a device in Setup Assistant was let go on');

revoke all on function fleet.ade_ask(text, jsonb, bytea, text), fleet.note_awaiting(), edge.ade_policy(),
  edge.ade_enrol(text, bytea, bytea, text, boolean) from public;
grant execute on function fleet.ade_ask(text, jsonb, bytea, text) to bartizan_console;
grant execute on function edge.ade_policy(), edge.ade_enrol(text, bytea, bytea, text, boolean) to bartizan_edge;
grant select, update on fleet.ade_server to bartizan_core;
grant select, insert, update on fleet.ade_device to bartizan_core;
grant select (one, key_wanted, certificate, server_uuid, server_name, org_name, token_not_after, policy, profile_uuid, phase,
  synced_at, next_at, attempts, problem, problem_at) on fleet.ade_server to bartizan_console;
grant select on fleet.ade_device to bartizan_console;
