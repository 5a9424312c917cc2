-- Room: fleet. Asking devices again what Apple's servers vouch for (DeviceInformation, DevicePropertiesAttestation).

-- How often; Apple makes a device a fresh attestation once in seven days at most. 0 is never.
create table fleet.reattestation_plan (
  one boolean primary key default true check (one),
  days integer not null default 0 check (days = 0 or days between 7 and 365),
  set_by text not null default 'core',
  set_at timestamptz not null default now()
);
insert into fleet.reattestation_plan default values;

-- One row a device: idle -> asked (a command is queued) -> answered (a chain came) -> idle. Every state has an end: next_at.
create table fleet.reattestation (
  device_id bigint primary key references fleet.device,
  state text not null default 'idle' check (state in ('idle', 'asked', 'answered')),
  next_at timestamptz not null,
  command_uuid uuid references fleet.command,
  asked_by text,
  -- The last nonces, newest first, and when each was asked with: an answer that the device had ready bears an older one.
  nonces bytea[] not null default '{}',
  asked_at timestamptz[] not null default '{}',
  -- what the device answered, base64, leaf first, until core has judged it
  chain jsonb check (octet_length(chain::text) <= 65536),
  result text check (result in ('fresh', 'cached', 'none', 'refused', 'silent')),
  reason text check (length(reason) <= 256),
  checked_at timestamptz,
  attestation_id uuid references fleet.attestation
);
create index reattestation_next on fleet.reattestation (next_at);
create index reattestation_answered on fleet.reattestation (device_id) where state = 'answered';

-- An answer's chain is no fact of the inventory: it goes where it is judged, if it was asked for.
create function fleet.take_attestation() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  update fleet.reattestation set state = 'answered', chain = new.facts->'DevicePropertiesAttestation'
  where device_id = new.device_id and state = 'asked';
  if found then perform pg_notify('bartizan_work', ''); end if;
  new.facts := new.facts - 'DevicePropertiesAttestation';
  return case when new.facts <> '{}' then new end;
end $$;
create trigger a_take_attestation before insert or update of facts on fleet.inventory
  for each row when (new.kind = 'DeviceInformation' and new.facts ? 'DevicePropertiesAttestation')
  execute function fleet.take_attestation();

-- Whether Apple would say which device it is: not of a user's part of a holder's own.
create function fleet.may_attest(a_device bigint) returns boolean
language sql stable security definer set search_path = pg_catalog as $$
  select exists (select from fleet.device d where d.id = a_device and d.state = 'enrolled' and d.certificate_sha256 is not null)
    and not exists (select from fleet.account_device a where a.device_id = a_device and a.mode is distinct from 'ADDE')
    and exists (select from fleet.identity_policy p where p.roots <> '[]')
$$;

-- Somebody wants a device asked now. False if it cannot be, or is being asked already.
create function fleet.ask_attestation(a_handle text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
begin
  select id into d from fleet.device where handle = a_handle and fleet.may_attest(id);
  if not found then return false; end if;
  insert into fleet.reattestation as r (device_id, next_at, asked_by) values (d, now(), a_by)
  on conflict (device_id) do update set next_at = now(), asked_by = a_by where r.state = 'idle';
  if not found then return false; end if;
  perform log.emit('device.attestation_asked', a_by, a_handle, null, '{}');
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

create function fleet.set_reattestation(a_days integer, a_by text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.reattestation_plan set days = a_days, set_by = a_by, set_at = now() where days <> a_days;
  if not found then return; end if;
  -- A shorter time holds at once.
  update fleet.reattestation r set next_at = coalesce(r.checked_at + a_days * interval '1 day', now())
  where r.state = 'idle' and a_days > 0 and r.next_at > coalesce(r.checked_at + a_days * interval '1 day', now());
  perform log.emit('identity.reattestation', a_by, null, null, jsonb_build_object('days', a_days));
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('identity.reattestation', 6002, 3, 2, 'how often devices are asked for an attestation was set'),
  ('device.attestation_asked', 3004, 99, 1, 'a device is asked for an attestation'),
  ('device.attestation_missing', 3004, 99, 3, 'a device that was attested before gave no attestation'),
  ('device.attestation_differs', 3004, 99, 4, 'what Apple''s servers vouch for contradicts what the device reports');

revoke all on function fleet.take_attestation(), fleet.may_attest(bigint), fleet.ask_attestation(text, text),
  fleet.set_reattestation(integer, text) from public;
grant execute on function fleet.may_attest(bigint) to bartizan_core;
grant execute on function fleet.ask_attestation(text, text), fleet.set_reattestation(integer, text) to bartizan_console;
grant select, insert, update on fleet.reattestation to bartizan_core;
grant select on fleet.reattestation_plan to bartizan_core, bartizan_console;
grant select (device_id, state, next_at, asked_by, result, reason, checked_at, attestation_id) on fleet.reattestation
  to bartizan_console;
