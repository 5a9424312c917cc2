-- Rooms: fleet and edge. Renewal of devices that came by account and of those that came from another server: each with the form of
-- profile that it has.

-- A device that was enrolled by account carries that account's name in the address that it talks to, in a box that opens only with edge's
-- secret and this key. The key is given out while the device's certificate is renewed, and is gone when the device leaves.
alter table fleet.account_device
  add column renewal_key bytea check (octet_length(renewal_key) = 32),
  -- the form of its profile: of a user's part, or of the whole device
  add column mode text check (mode in ('BYOD', 'ADDE'));

-- Edge makes the key when it makes the profile, and cannot read it back.
create function edge.keep_account_key(a_enrolment uuid, a_key bytea, a_mode text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update fleet.account_device a set renewal_key = a_key, mode = a_mode from fleet.enrolment e
  where e.id = a_enrolment and a.device_id = e.device_id and e.used_at is null and a.renewal_key is null
$$;

-- For the delivery of this very command, which renews this very device; each time is an event. Null otherwise.
create function edge.account_key(a_handle text, a_command uuid) returns bytea
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  k bytea;
begin
  select a.renewal_key into k from fleet.account_device a join fleet.device d on d.id = a.device_id
  join fleet.renewal r on r.device_id = d.id
  where d.handle = a_handle and d.state = 'enrolled' and r.command_uuid = a_command and r.state in ('sent', 'issued');
  if k is not null then
    perform log.emit('device.account_opened', 'edge', a_handle, null, jsonb_build_object('command', a_command));
  end if;
  return k;
end $$;

create function fleet.forget_account_key() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  update fleet.account_device set renewal_key = null where device_id = new.id and renewal_key is not null;
  return null;
end $$;
create trigger forget_account_key after update of state on fleet.device
  for each row when (new.state in ('checked_out', 'retired') and old.state is distinct from new.state)
  execute function fleet.forget_account_key();

-- What is known of the enrolment profile that another server gave a device: enough to put ours in its place. Its secrets are not kept.
create table fleet.foreign_profile (
  device_id bigint primary key references fleet.device,
  identifier text not null check (identifier ~ '^[A-Za-z0-9._-]{1,255}$'),
  mdm_identifier text not null check (length(mdm_identifier) between 1 and 255),
  server_url text not null check (length(server_url) between 8 and 512),
  check_in_url text check (length(check_in_url) between 8 and 512),
  access_rights integer not null check (access_rights between 0 and 65535),
  added_by text not null,
  added_at timestamptz not null default now()
);

-- With its profile a device of another server can be renewed: from then on it has an enrolment like any other.
create function fleet.know_profile() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into fleet.enrolment (id, device_id, link_sha256, created_by, expires_at, fetched_at, used_at)
  select log.uuidv7(), new.device_id, sha256(uuid_send(gen_random_uuid())), new.added_by, now(), now(), now()
  where not exists (select from fleet.enrolment e where e.device_id = new.device_id and e.used_at is not null);
  update fleet.renewal set reason = null, next_at = now()
  where device_id = new.device_id and state = 'due' and next_at = 'infinity';
  return null;
end $$;
create trigger know_profile after insert on fleet.foreign_profile for each row execute function fleet.know_profile();

-- Why a certificate cannot be renewed, or null. `account`: the device came before its account's box did. `imported`: nobody
-- told us of the profile that it has.
create or replace function fleet.renewal_obstacle(a_device bigint) returns text
language sql stable security definer set search_path = pg_catalog as $$
  select case when exists (select from fleet.account_device a where a.device_id = a_device and a.renewal_key is null) then 'account'
    when exists (select from fleet.enrolment e where e.device_id = a_device and e.used_at is not null) then null
    else 'imported' end
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.account_opened', 3004, 99, 1, 'edge was given the key to the account that a device carries, to renew its certificate');

revoke all on function edge.keep_account_key(uuid, bytea, text), edge.account_key(text, uuid), fleet.forget_account_key(),
  fleet.know_profile() from public;
grant execute on function edge.keep_account_key(uuid, bytea, text), edge.account_key(text, uuid) to bartizan_edge;
grant select (mode) on fleet.account_device to bartizan_core;
grant select, insert on fleet.foreign_profile to bartizan_core;
grant select (device_id, identifier) on fleet.foreign_profile to bartizan_console;
