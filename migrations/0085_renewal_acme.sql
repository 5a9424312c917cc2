-- Rooms: fleet and edge. Devices that came by ACME renew by ACME: the enrolment profile again, with a fresh one-time
-- identifier, and with an attestation of the new key where the enrolment or the policy asks for one. What stands behind a
-- certificate is noted beside it, so that the device's own facts change only when the new certificate is used.

alter table fleet.certificate
  add column identity text check (identity in ('scep', 'acme', 'acme-attested')),
  add column attestation_id uuid references fleet.attestation;
update fleet.certificate c set identity = d.identity, attestation_id = d.attestation_id
from fleet.device d where d.id = c.device_id and d.certificate_sha256 = c.sha256;

-- How the attempt under way asks for its certificate.
alter table fleet.renewal add column identity text check (identity in ('scep', 'acme', 'acme-attested'));
alter table fleet.acme_order
  add column renewal boolean not null default false,
  -- what the order must bring; null where the enrolment says it
  add column identity text check (identity in ('acme', 'acme-attested'));

-- What a device's next certificate must bring: what its enrolment asked for, or more if the policy asks for more by now.
create function fleet.renewal_identity(a_enrolment uuid) returns text
language sql stable security definer set search_path = pg_catalog as $$
  select x.identity from (select e.identity from fleet.enrolment e where e.id = a_enrolment
    union all select p.identity from fleet.identity_policy p) x
  order by fleet.identity_rank(x.identity) desc limit 1
$$;

-- As before, but only where the attempt asked for SCEP.
create or replace function edge.request_renewal(a_id uuid, a_challenge_sha256 bytea, a_csr bytea) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.renewal;
begin
  update fleet.renewal set challenge_sha256 = null
  where challenge_sha256 = a_challenge_sha256 and state = 'sent' and next_at > now() and coalesce(identity, 'scep') = 'scep'
  returning * into r;
  if not found then return null; end if;
  insert into fleet.certificate_request (id, enrolment_id, csr, renewal)
  select a_id, e.id, a_csr, true from fleet.enrolment e
  where e.device_id = r.device_id and e.used_at is not null order by e.used_at desc limit 1;
  if not found then return null; end if;
  perform pg_notify('bartizan_work', '');
  return a_id;
end $$;

-- As before; an attempt to renew has an identifier of its own, which is good as long as the attempt is.
create or replace function edge.acme_new_order(a_id uuid, a_account uuid, a_identifier text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  hash bytea := sha256(convert_to(a_identifier, 'UTF8'));
  o record;
  e record;
begin
  select n.id, n.expires_at, d.handle, false as renewal, null::text as identity into e
  from fleet.enrolment n join fleet.device d on d.id = n.device_id
  where n.challenge_sha256 = hash and n.identity <> 'scep' and n.used_at is null and n.revoked_at is null and n.expires_at > now()
  for update of n;
  if not found then
    select n.id, r.next_at as expires_at, d.handle, true as renewal, r.identity into e
    from fleet.renewal r join fleet.device d on d.id = r.device_id
    cross join lateral (select x.id from fleet.enrolment x where x.device_id = d.id and x.used_at is not null
      order by x.used_at desc limit 1) n
    where r.challenge_sha256 = hash and r.state = 'sent' and r.next_at > now() and r.identity <> 'scep' and d.state = 'enrolled'
    for update of r;
    if not found then return null; end if;
  end if;
  select k.id, k.account_id into o from fleet.acme_order k where k.identifier_sha256 = hash;
  if found then
    if o.account_id = a_account then return o.id; end if;
    perform log.emit('device.refused', 'edge', e.handle, null, jsonb_build_object('reason', 'identifier-of-another-account'));
    return null;
  end if;
  insert into fleet.acme_order (id, account_id, enrolment_id, identifier, identifier_sha256, token, expires_at, renewal, identity)
  values (a_id, a_account, e.id, a_identifier, hash,
    translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), E'+/=\n', '-_'),
    least(e.expires_at, now() + interval '1 hour'), e.renewal, e.identity);
  return a_id;
end $$;

-- As before; a renewal spends its attempt's identifier and not the enrolment's.
create or replace function edge.acme_finalize(a_order uuid, a_account uuid, a_request uuid, a_csr bytea, a_spki_sha256 bytea) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  o fleet.acme_order;
begin
  select * into o from fleet.acme_order where id = a_order and account_id = a_account and state = 'ready' and expires_at > now()
  for update;
  if not found then return 'not-ready'; end if;
  if exists (select from fleet.attestation t where t.id = o.attestation_id and t.spki_sha256 <> a_spki_sha256) then
    return 'other-key';
  end if;
  if o.renewal then
    update fleet.renewal r set challenge_sha256 = null where r.challenge_sha256 = o.identifier_sha256 and r.state = 'sent'
      and r.next_at > now() and r.device_id = (select e.device_id from fleet.enrolment e where e.id = o.enrolment_id);
  else
    update fleet.enrolment set used_at = now() where id = o.enrolment_id and challenge_sha256 = o.identifier_sha256
      and used_at is null and revoked_at is null and expires_at > now();
  end if;
  if not found then return 'spent'; end if;
  update fleet.acme_order set state = 'finalizing' where id = a_order;
  insert into fleet.certificate_request (id, enrolment_id, csr, order_id, renewal)
  values (a_request, o.enrolment_id, a_csr, a_order, o.renewal);
  perform pg_notify('bartizan_work', '');
  return 'asked';
end $$;

-- A certificate that is only issued changes nothing of its device.
create or replace function fleet.settle_order() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if new.state = 'issued' then
    update fleet.acme_order set state = 'valid' where id = new.order_id;
  else
    update fleet.acme_order set state = 'invalid',
      error = jsonb_build_object('type', 'badCSR', 'detail', 'The certificate request was refused.') where id = new.order_id;
  end if;
  return null;
end $$;

-- What stands behind a device follows its pin.
create function fleet.follow_identity() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  c fleet.certificate;
begin
  select * into c from fleet.certificate where sha256 = new.certificate_sha256;
  if found and c.identity is not null then
    new.identity := c.identity;
    new.attestation_id := c.attestation_id;
  end if;
  return new;
end $$;
create trigger device_identity before update of certificate_sha256 on fleet.device
  for each row when (old.certificate_sha256 is distinct from new.certificate_sha256) execute function fleet.follow_identity();

-- As before (0060), without `acme`.
create or replace function fleet.renewal_obstacle(a_device bigint) returns text
language sql stable security definer set search_path = pg_catalog as $$
  select case when exists (select from fleet.account_device a where a.device_id = a_device) then 'account'
    when exists (select from fleet.enrolment e where e.device_id = a_device and e.used_at is not null) then null
    else 'imported' end
$$;
update fleet.renewal r set reason = null, next_at = now()
where r.state = 'due' and r.next_at = 'infinity' and fleet.renewal_obstacle(r.device_id) is null;

revoke all on function fleet.renewal_identity(uuid), fleet.follow_identity() from public;
grant execute on function fleet.renewal_identity(uuid) to bartizan_core;
grant select (device_id) on fleet.account_device to bartizan_core;
