-- Room: fleet and edge. Identities by ACME (RFC 8555) with device attestation. Edge speaks the protocol; core judges
-- attestations and signs, so whoever owns edge gets no certificate for a key that Apple did not vouch for.

-- What an enrolment asks for; from weak to strong.
create function fleet.identity_rank(a_identity text) returns integer
language sql immutable set search_path = pg_catalog as $$
  select array_position(array['scep', 'acme', 'acme-attested'], a_identity)
$$;

-- The installation's policy, written by core from its settings at every start: the least that an enrolment may ask for,
-- and the attestation roots that are trusted (names and hashes, for people to see).
create table fleet.identity_policy (
  one boolean primary key default true check (one),
  identity text not null check (identity in ('scep', 'acme', 'acme-attested')),
  roots jsonb not null default '[]' check (jsonb_typeof(roots) = 'array'),
  set_at timestamptz not null default now()
);

alter table fleet.enrolment add column if not exists identity text not null default 'scep';
alter table fleet.enrolment drop constraint if exists enrolment_identity_check;
alter table fleet.enrolment
  add constraint enrolment_identity_check check (identity in ('scep', 'acme', 'acme-attested')),
  -- the device that the link is meant for, if that is known before it enrols
  add column expected_serial text check (length(expected_serial) between 1 and 64);

-- Whoever makes an enrolment may ask for more than the policy, never for less.
create function fleet.settle_identity() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  wanted text := coalesce((select p.identity from fleet.identity_policy p), 'scep');
begin
  if fleet.identity_rank(new.identity) < fleet.identity_rank(wanted) then new.identity := wanted; end if;
  return new;
end $$;
create trigger settle_identity before insert or update of identity on fleet.enrolment
  for each row execute function fleet.settle_identity();

-- Account keys. No contact: it would name a person. An account without an order is forgotten after an hour.
create table fleet.acme_account (
  id uuid primary key,
  thumbprint bytea not null unique check (octet_length(thumbprint) = 32),
  jwk jsonb not null check (octet_length(jwk::text) <= 4096),
  state text not null default 'valid' check (state in ('valid', 'deactivated')),
  created_at timestamptz not null default now()
);
create index acme_account_age on fleet.acme_account (created_at);

-- Nonces that were used; older ones say themselves that they are too old.
create table fleet.acme_nonce (
  nonce bytea primary key check (octet_length(nonce) = 22),
  spent_at timestamptz not null default now()
);
create index acme_nonce_age on fleet.acme_nonce (spent_at);

-- One order has one identifier, one authorization, one challenge and one certificate; all bear its id.
create table fleet.acme_order (
  id uuid primary key,
  account_id uuid not null references fleet.acme_account,
  enrolment_id uuid not null references fleet.enrolment,
  -- The one-time secret of the profile. As an identifier it is spent the moment the order exists, so it may be kept.
  identifier text not null check (length(identifier) between 1 and 256),
  identifier_sha256 bytea not null unique check (octet_length(identifier_sha256) = 32),
  -- made here and not by edge: an attestation is fresh only if nobody could choose what it answers
  token text not null unique,
  state text not null default 'pending' check (state in ('pending', 'judging', 'ready', 'finalizing', 'valid', 'invalid')),
  -- what the device answered, until core has judged it; null if it answered without an attestation
  att_obj bytea check (octet_length(att_obj) <= 49152),
  attestation_id uuid,
  error jsonb,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index acme_order_account on fleet.acme_order (account_id);
create index acme_order_judging on fleet.acme_order (created_at) where state = 'judging';

-- What Apple's servers vouched for, with the chain, so that anybody can verify it again.
create table fleet.attestation (
  id uuid primary key,
  device_id bigint not null references fleet.device,
  via text not null check (via in ('acme', 'device-information')),
  serial text check (length(serial) <= 64),
  udid text check (length(udid) <= 128),
  facts jsonb not null default '{}',
  freshness bytea not null unique,
  spki_sha256 bytea not null check (octet_length(spki_sha256) = 32),
  leaf_sha256 bytea not null check (octet_length(leaf_sha256) = 32),
  root_sha256 bytea not null check (octet_length(root_sha256) = 32),
  root_name text not null check (length(root_name) <= 128),
  chain bytea[] not null,
  attested_at timestamptz not null default now()
);
create index attestation_device on fleet.attestation (device_id, attested_at);
-- A key is attested once: the same attestation serves no second order.
create unique index attestation_key on fleet.attestation (spki_sha256) where via = 'acme';

alter table fleet.device
  -- how the certificate in use was asked for, and the attestation that stands behind it
  add column identity text check (identity in ('scep', 'acme', 'acme-attested')),
  add column attestation_id uuid references fleet.attestation;

-- Held: core has not compared the request's key with the attested one yet.
alter table fleet.certificate_request
  add column order_id uuid unique references fleet.acme_order,
  drop constraint certificate_request_state_check,
  add constraint certificate_request_state_check check (state in ('held', 'pending', 'issued', 'refused'));
create index certificate_request_held on fleet.certificate_request (created_at) where state = 'held';

-- An enrolment that must come by ACME gets nothing by SCEP; a request by ACME waits for core's look at it.
create function fleet.hold_request() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  e record;
begin
  if new.order_id is not null then
    new.state := 'held';
    return new;
  end if;
  select n.identity, d.handle into e from fleet.enrolment n join fleet.device d on d.id = n.device_id where n.id = new.enrolment_id;
  if e.identity <> 'scep' then
    new.state := 'refused';
    new.reason := 'identity-kind';
    new.done_at := now();
    perform log.emit('device.refused', 'edge', e.handle, null, jsonb_build_object('reason', 'identity-kind'));
  end if;
  return new;
end $$;
create trigger hold_request before insert on fleet.certificate_request for each row execute function fleet.hold_request();

create function fleet.settle_order() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if new.state = 'issued' then
    update fleet.device d set identity = e.identity,
      attestation_id = (select o.attestation_id from fleet.acme_order o where o.id = new.order_id)
    from fleet.enrolment e where e.id = new.enrolment_id and d.id = e.device_id;
    update fleet.acme_order set state = 'valid' where id = new.order_id;
  else
    update fleet.acme_order set state = 'invalid',
      error = jsonb_build_object('type', 'badCSR', 'detail', 'The certificate request was refused.') where id = new.order_id;
  end if;
  return null;
end $$;
create trigger settle_order after update of state on fleet.certificate_request for each row
  when (new.state in ('issued', 'refused') and old.state <> new.state) execute function fleet.settle_order();

-- A device that begins its enrolment must be the one that its key was attested for. It runs inside Authenticate and undoes
-- all of it: nobody else's enrolment gives way to a liar. A Mac's attested identifier is not the one it enrols with.
create function fleet.check_attested() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  a fleet.attestation;
begin
  select * into a from fleet.attestation where id = new.attestation_id;
  if (a.serial is not null and new.serial is distinct from a.serial)
    or (a.udid is not null and new.udid is distinct from a.udid and a.facts->'sipStatus' is null) then
    if new.identity = 'acme-attested' then
      raise exception 'not the device that was attested' using errcode = 'BZ001';
    end if;
    perform log.emit('device.finding', 'edge', new.handle, null, jsonb_build_object('findings', jsonb_build_array('attestation-mismatch')));
  end if;
  return new;
end $$;
create trigger check_attested before update of udid, serial on fleet.device for each row
  when (new.attestation_id is not null and new.state = 'authenticated') execute function fleet.check_attested();

-- The console says which device an offer is meant for, as long as nobody has opened its link.
create function fleet.expect_serial(a_device text, a_serial text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.enrolment e set expected_serial = a_serial from fleet.device d
  where d.id = e.device_id and d.handle = a_device and d.state = 'offered'
    and e.fetched_at is null and e.used_at is null and e.revoked_at is null;
  return found;
end $$;

-- Core sets what its settings say; a change is an event.
create function fleet.set_identity_policy(a_identity text, a_roots jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.identity_policy as p (identity, roots) values (a_identity, a_roots)
  on conflict (one) do update set identity = excluded.identity, roots = excluded.roots, set_at = now()
  where p.identity <> excluded.identity or p.roots <> excluded.roots;
  if found then
    perform log.emit('identity.policy', 'core', null, null, jsonb_build_object('identity', a_identity,
      'roots', (select coalesce(jsonb_agg(r->'sha256'), '[]') from jsonb_array_elements(a_roots) r)));
  end if;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('identity.policy', 6002, 3, 3, 'how devices must prove their identity, or whose attestations are believed, was set'),
  ('device.attested', 3004, 3, 1, 'Apple''s servers vouched for a device and its key'),
  ('device.attestation_refused', 3004, 99, 3, 'an attestation was not believed'),
  ('device.attestation_mismatch', 3004, 99, 4, 'a device enrolled as another one than its key was attested for');
