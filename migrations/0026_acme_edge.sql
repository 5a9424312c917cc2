-- Room: edge. What edge may ask for ACME; see 0005 for the rest.

create function edge.enrolment_identity(a_enrolment uuid) returns text
language sql stable security definer set search_path = pg_catalog as $$
  select identity from fleet.enrolment where id = a_enrolment
$$;

-- True the first time. Those that are too old by themselves are forgotten.
create function edge.acme_spend(a_nonce bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if random() < 0.02 then
    delete from fleet.acme_nonce where nonce in (select n.nonce from fleet.acme_nonce n
      where n.spent_at < now() - interval '20 minutes' order by n.spent_at limit 1000 for update skip locked);
  end if;
  insert into fleet.acme_nonce (nonce) values (a_nonce) on conflict do nothing;
  return found;
end $$;

create function edge.acme_account(a_account uuid) returns table (jwk jsonb, state text)
language sql stable security definer set search_path = pg_catalog as $$
  select a.jwk, a.state from fleet.acme_account a where a.id = a_account
$$;

-- An account by its key, made if there is none. No row: there is none and none is wanted. A null id: too many strangers
-- made accounts within an hour; those of devices with an order do not count.
create function edge.acme_enter(a_id uuid, a_thumbprint bytea, a_jwk jsonb, a_only_existing boolean)
returns table (id uuid, state text, made boolean)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  return query select a.id, a.state, false from fleet.acme_account a where a.thumbprint = a_thumbprint;
  if found or a_only_existing then return; end if;
  delete from fleet.acme_account where acme_account.id in (select a.id from fleet.acme_account a
    where a.created_at < now() - interval '1 hour' and not exists (select from fleet.acme_order o where o.account_id = a.id)
    order by a.created_at limit 200 for update skip locked);
  if (select count(*) from (select from fleet.acme_account a where a.created_at > now() - interval '1 hour'
      and not exists (select from fleet.acme_order o where o.account_id = a.id) limit 5000) x) >= 5000 then
    return query select null::uuid, null::text, false;
    return;
  end if;
  insert into fleet.acme_account (id, thumbprint, jwk) values (a_id, a_thumbprint, a_jwk) on conflict do nothing;
  return query select a.id, a.state, a.id = a_id from fleet.acme_account a where a.thumbprint = a_thumbprint;
end $$;

create function edge.acme_deactivate(a_account uuid) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update fleet.acme_account set state = 'deactivated' where id = a_account
$$;

-- An order of an account; nobody else's. One that was not finished in time is invalid.
create function edge.acme_order(a_order uuid, a_account uuid)
returns table (id uuid, state text, identifier text, token text, expires_at timestamptz, error jsonb)
language sql stable security definer set search_path = pg_catalog as $$
  select o.id, case when o.state in ('pending', 'judging', 'ready') and o.expires_at < now() then 'invalid' else o.state end,
    o.identifier, o.token, o.expires_at, case when o.state in ('pending', 'judging', 'ready') and o.expires_at < now()
      then jsonb_build_object('type', 'malformed', 'detail', 'The order was not finished in time.') else o.error end
  from fleet.acme_order o where o.id = a_order and o.account_id = a_account
$$;

create function edge.acme_orders(a_account uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog as $$
  select o.id from fleet.acme_order o where o.account_id = a_account order by o.created_at desc limit 100
$$;

-- The order for the one-time identifier of a profile. Null if the identifier is unknown, spent or another account's; the
-- same order again for the account that has it already.
create function edge.acme_new_order(a_id uuid, a_account uuid, a_identifier text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  hash bytea := sha256(convert_to(a_identifier, 'UTF8'));
  o record;
  e record;
begin
  select n.id, n.expires_at, d.handle into e from fleet.enrolment n join fleet.device d on d.id = n.device_id
  where n.challenge_sha256 = hash and n.identity <> 'scep' and n.used_at is null and n.revoked_at is null and n.expires_at > now()
  for update of n;
  if not found then return null; end if;
  select k.id, k.account_id into o from fleet.acme_order k where k.identifier_sha256 = hash;
  if found then
    if o.account_id = a_account then return o.id; end if;
    perform log.emit('device.refused', 'edge', e.handle, null, jsonb_build_object('reason', 'identifier-of-another-account'));
    return null;
  end if;
  insert into fleet.acme_order (id, account_id, enrolment_id, identifier, identifier_sha256, token, expires_at)
  values (a_id, a_account, e.id, a_identifier, hash,
    translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), E'+/=\n', '-_'),
    least(e.expires_at, now() + interval '1 hour'));
  return a_id;
end $$;

-- The answer to the challenge goes to core; a second answer changes nothing.
create function edge.acme_answer(a_order uuid, a_account uuid, a_att_obj bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.acme_order set state = 'judging', att_obj = a_att_obj
  where id = a_order and account_id = a_account and state = 'pending' and expires_at > now();
  if found then perform pg_notify('bartizan_work', ''); end if;
end $$;

-- One certificate per order, for the attested key if there is one: `asked`, `not-ready`, `other-key` or `spent`.
create function edge.acme_finalize(a_order uuid, a_account uuid, a_request uuid, a_csr bytea, a_spki_sha256 bytea) returns text
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
  update fleet.enrolment set used_at = now() where id = o.enrolment_id and challenge_sha256 = o.identifier_sha256
    and used_at is null and revoked_at is null and expires_at > now();
  if not found then return 'spent'; end if;
  update fleet.acme_order set state = 'finalizing' where id = a_order;
  insert into fleet.certificate_request (id, enrolment_id, csr, order_id) values (a_request, o.enrolment_id, a_csr, a_order);
  perform pg_notify('bartizan_work', '');
  return 'asked';
end $$;

create function edge.acme_certificate(a_order uuid, a_account uuid) returns bytea
language sql stable security definer set search_path = pg_catalog as $$
  select r.certificate from fleet.certificate_request r join fleet.acme_order o on o.id = r.order_id
  where o.id = a_order and o.account_id = a_account and o.state = 'valid'
$$;

-- Somebody enrolled as another device than the one that his key was attested for; Authenticate itself was undone.
create function edge.attestation_mismatch(a_certificate_sha256 bytea) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('device.attestation_mismatch', 'edge', (select d.handle from fleet.device d
    where d.certificate_sha256 = a_certificate_sha256), null, '{}')
$$;

revoke all on function edge.enrolment_identity(uuid), edge.acme_spend(bytea), edge.acme_account(uuid),
  edge.acme_enter(uuid, bytea, jsonb, boolean), edge.acme_deactivate(uuid), edge.acme_order(uuid, uuid), edge.acme_orders(uuid),
  edge.acme_new_order(uuid, uuid, text), edge.acme_answer(uuid, uuid, bytea),
  edge.acme_finalize(uuid, uuid, uuid, bytea, bytea), edge.acme_certificate(uuid, uuid), edge.attestation_mismatch(bytea),
  fleet.identity_rank(text), fleet.expect_serial(text, text), fleet.set_identity_policy(text, jsonb)
from public;
grant execute on function edge.enrolment_identity(uuid), edge.acme_spend(bytea), edge.acme_account(uuid),
  edge.acme_enter(uuid, bytea, jsonb, boolean), edge.acme_deactivate(uuid), edge.acme_order(uuid, uuid), edge.acme_orders(uuid),
  edge.acme_new_order(uuid, uuid, text), edge.acme_answer(uuid, uuid, bytea),
  edge.acme_finalize(uuid, uuid, uuid, bytea, bytea), edge.acme_certificate(uuid, uuid), edge.attestation_mismatch(bytea)
to bartizan_edge;
grant execute on function fleet.expect_serial(text, text) to bartizan_console;
grant execute on function fleet.set_identity_policy(text, jsonb) to bartizan_core;
grant select, update on fleet.acme_order to bartizan_core;
grant select, insert on fleet.attestation to bartizan_core;
grant select on fleet.identity_policy, fleet.attestation to bartizan_console;
grant select on fleet.identity_policy to bartizan_core;
grant select (identity, expected_serial) on fleet.enrolment to bartizan_console;
