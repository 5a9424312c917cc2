-- Room: edge. ACME: a client revokes its certificate (RFC 8555 section 7.6) and changes its account's key (section 7.3.5).

-- Edge has seen the signature: of the account that the certificate was issued to, or (a_account is null) of the certificate's own
-- key. `revoked`, `already`, or `not-yours`, which says nothing of whether there is such a certificate. The device whose
-- certificate it is in use loses it, and is enrolled anew or not at all.
create function edge.acme_revoke(a_sha256 bytea, a_account uuid, a_reason text) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c fleet.certificate;
  d fleet.device;
begin
  select * into c from fleet.certificate where sha256 = a_sha256;
  if not found or (a_account is not null and not exists (select from fleet.certificate_request r
      join fleet.acme_order o on o.id = r.order_id where o.account_id = a_account and sha256(r.certificate) = a_sha256)) then
    return 'not-yours';
  end if;
  -- the same order as core's: the renewal first
  perform from fleet.renewal where device_id = c.device_id for update;
  select * into d from fleet.device where id = c.device_id for update;
  update fleet.certificate set revoked_at = now(), reason = a_reason where sha256 = a_sha256 and revoked_at is null;
  if not found then return 'already'; end if;
  perform log.emit('device.certificate_revoked', 'edge', d.handle, null, jsonb_build_object('count', 1, 'reason', a_reason,
    'by', case when a_account is null then 'acme-key' else 'acme-account' end, 'in_use', d.certificate_sha256 is not distinct from a_sha256));
  if d.certificate_sha256 = a_sha256 and d.state not in ('checked_out', 'retired') then
    update fleet.device set state = 'checked_out' where id = d.id;
    perform edge.cancel_pending(d.id, d.handle);
    perform log.emit('device.checked_out', 'edge', d.handle, null, jsonb_build_object('why', 'revoked'));
  else
    -- A new one that was thrown away before it was used: the next attempt starts at once.
    update fleet.renewal set state = 'due', next_at = now(), challenge_sha256 = null, reason = 'Revoked'
    where device_id = d.id and state = 'issued';
  end if;
  return 'revoked';
end $$;

-- `changed`, `stale` if the account has another key by now or is closed, or the account that has the new key already.
create function edge.acme_change_key(a_account uuid, a_old bytea, a_new bytea, a_jwk jsonb) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  other uuid;
begin
  update fleet.acme_account set thumbprint = a_new, jwk = a_jwk
  where id = a_account and thumbprint = a_old and state = 'valid'
    and not exists (select from fleet.acme_account x where x.thumbprint = a_new);
  if found then return 'changed'; end if;
  select x.id into other from fleet.acme_account x where x.thumbprint = a_new;
  return coalesce(other::text, 'stale');
exception when unique_violation then
  return (select x.id::text from fleet.acme_account x where x.thumbprint = a_new);
end $$;

revoke all on function edge.acme_revoke(bytea, uuid, text), edge.acme_change_key(uuid, bytea, bytea, jsonb) from public;
grant execute on function edge.acme_revoke(bytea, uuid, text), edge.acme_change_key(uuid, bytea, bytea, jsonb) to bartizan_edge;
