-- Room: fleet. Every certificate that we issue to a device, whether it still counts, and how it is renewed in time.
-- A device has one pinned certificate (fleet.device.certificate_sha256). A newer one of its own that is only issued is
-- accepted when it is first seen; in that moment the pin moves and all older ones are revoked: never both for ever.
create table fleet.certificate (
  sha256 bytea primary key check (octet_length(sha256) = 32),
  -- INTEGER contents, big-endian; unknown for those issued before this table
  serial bytea unique check (octet_length(serial) between 1 and 20),
  device_id bigint not null references fleet.device,
  not_after timestamptz,
  issued_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz,
  revoked_at timestamptz,
  -- RFC 5280, section 5.3.1
  reason text check (reason in ('superseded', 'cessationOfOperation', 'keyCompromise', 'privilegeWithdrawn')),
  check ((revoked_at is null) = (reason is null))
);
create index certificate_device on fleet.certificate (device_id);
create index certificate_revoked on fleet.certificate (not_after) where revoked_at is not null;
insert into fleet.certificate (sha256, device_id, not_after, seen_at)
select certificate_sha256, id, certificate_not_after, now() from fleet.device where certificate_sha256 is not null;

-- The register follows the pin, whoever moves it: what is pinned counts, all else of that device does not, and a device
-- that left has none.
create function fleet.follow_pin() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if new.state in ('checked_out', 'retired') then
    new.certificate_sha256 := null;
    update fleet.certificate set revoked_at = now(), reason = 'cessationOfOperation'
    where device_id = new.id and revoked_at is null;
    update fleet.renewal set state = 'stopped', challenge_sha256 = null, finished_at = now()
    where device_id = new.id and state in ('due', 'sent', 'issued');
    return new;
  end if;
  if new.certificate_sha256 is distinct from old.certificate_sha256 then
    if exists (select from fleet.certificate c where c.sha256 = new.certificate_sha256
        and (c.revoked_at is not null or c.device_id <> new.id)) then
      raise exception 'a certificate that was revoked, or is another device''s, is never pinned' using errcode = '23514';
    end if;
    if new.certificate_sha256 is not null then
      insert into fleet.certificate as c (sha256, device_id, not_after, seen_at)
      values (new.certificate_sha256, new.id, new.certificate_not_after, now())
      on conflict (sha256) do update set seen_at = coalesce(c.seen_at, now());
    end if;
    update fleet.certificate set revoked_at = now(), reason = 'superseded'
    where device_id = new.id and revoked_at is null and sha256 is distinct from new.certificate_sha256;
  end if;
  return new;
end $$;
create trigger device_pin before update of state, certificate_sha256 on fleet.device
  for each row when ((old.state, old.certificate_sha256) is distinct from (new.state, new.certificate_sha256))
  execute function fleet.follow_pin();

-- One renewal a device: due -> sent (a command is queued) -> issued (the device fetched a certificate) -> done (it used it).
-- A failed attempt goes back to due. Every open state has an end: next_at.
create table fleet.renewal (
  device_id bigint primary key references fleet.device,
  state text not null check (state in ('due', 'sent', 'issued', 'done', 'stopped')),
  -- due: when the next attempt starts; sent and issued: when this attempt has failed
  next_at timestamptz not null,
  attempts integer not null default 0,
  command_uuid uuid references fleet.command,
  challenge_sha256 bytea unique check (octet_length(challenge_sha256) = 32),
  -- why the last attempt failed, a code
  reason text check (length(reason) <= 64),
  asked_by text,
  -- the last expiry alarm that was given, in days
  alarmed integer,
  started_at timestamptz not null,
  finished_at timestamptz
);
create index renewal_open on fleet.renewal (next_at) where state in ('due', 'sent', 'issued');

alter table fleet.certificate_request add column renewal boolean not null default false;

-- A renewal's challenge works once, like a link's. Null if it is not good.
create function edge.request_renewal(a_id uuid, a_challenge_sha256 bytea, a_csr bytea) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.renewal;
begin
  update fleet.renewal set challenge_sha256 = null
  where challenge_sha256 = a_challenge_sha256 and state = 'sent' and next_at > now() returning * into r;
  if not found then return null; end if;
  insert into fleet.certificate_request (id, enrolment_id, csr, renewal)
  select a_id, e.id, a_csr, true from fleet.enrolment e
  where e.device_id = r.device_id and e.used_at is not null order by e.used_at desc limit 1;
  if not found then return null; end if;
  perform pg_notify('bartizan_work', '');
  return a_id;
end $$;

-- A certificate that is not the pinned one: if it is a newer one that we issued to the device that speaks, the pin moves to
-- it. `a_idle`: the device is about to ask for commands, so that the renewal's own need not be offered again. Called only
-- where a check-in would be refused otherwise.
create function edge.adopt_certificate(a_certificate_sha256 bytea, a_udid text, a_idle boolean) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c fleet.certificate;
  d fleet.device;
  r fleet.renewal;
begin
  select * into c from fleet.certificate where sha256 = a_certificate_sha256 and revoked_at is null;
  if not found then return false; end if;
  -- the same order as core's: the renewal first
  select * into r from fleet.renewal where device_id = c.device_id for update;
  select * into d from fleet.device where id = c.device_id for update;
  if d.certificate_sha256 = a_certificate_sha256 then return d.udid = a_udid; end if;
  if d.state <> 'enrolled' or d.udid is distinct from a_udid or c.not_after < now() or exists (select from fleet.certificate p
      where p.sha256 = d.certificate_sha256 and p.issued_at >= c.issued_at)
    or exists (select from fleet.certificate p where p.sha256 = a_certificate_sha256 and p.revoked_at is not null) then
    return false;
  end if;
  update fleet.device set certificate_sha256 = c.sha256, certificate_not_after = c.not_after where id = d.id;
  update fleet.renewal set state = 'done', challenge_sha256 = null, reason = null, finished_at = now() where device_id = d.id;
  if a_idle and r.command_uuid is not null then
    update fleet.command set state = 'cancelled', done_at = now() where uuid = r.command_uuid and done_at is null;
  end if;
  perform log.emit('device.renewed', 'edge', d.handle, null, jsonb_build_object('attempts', r.attempts));
  return true;
end $$;

-- Somebody wants a device's certificate renewed now. False if the device is not enrolled or has no such certificate.
create function fleet.ask_renewal(a_handle text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d fleet.device;
begin
  select * into d from fleet.device where handle = a_handle and state = 'enrolled' and certificate_sha256 is not null;
  if not found then return false; end if;
  insert into fleet.renewal as r (device_id, state, next_at, started_at, asked_by) values (d.id, 'due', now(), now(), a_by)
  on conflict (device_id) do update set asked_by = a_by, next_at = now(),
    state = 'due', started_at = case when r.state in ('done', 'stopped') then now() else r.started_at end,
    attempts = case when r.state in ('done', 'stopped') then 0 else r.attempts end, finished_at = null
  -- one that is under way goes on
  where r.state in ('done', 'stopped', 'due');
  perform log.emit('device.renewal_asked', a_by, a_handle, null, '{}');
  return true;
end $$;

-- The device's certificates count no more, from the next check-in on: it must be enrolled anew.
create function fleet.revoke_certificates(a_handle text, a_by text, a_reason text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d fleet.device;
  n integer;
begin
  select * into d from fleet.device where handle = a_handle and state not in ('checked_out', 'retired') for update;
  if not found then return 0; end if;
  update fleet.certificate set revoked_at = now(), reason = a_reason where device_id = d.id and revoked_at is null;
  get diagnostics n = row_count;
  update fleet.device set state = 'checked_out' where id = d.id;
  perform edge.cancel_pending(d.id, d.handle);
  perform log.emit('device.certificate_revoked', a_by, a_handle, null, jsonb_build_object('count', n, 'reason', a_reason));
  perform log.emit('device.checked_out', a_by, a_handle, null, jsonb_build_object('why', 'revoked'));
  return n;
end $$;

-- The list of revoked certificates (RFC 5280, section 5), signed by core, handed out by edge.
create table fleet.crl (
  one boolean primary key default true check (one),
  number bigint not null,
  der bytea not null,
  -- SHA-256 over what is on it: the same list is not signed again before half of its time
  content_sha256 bytea not null check (octet_length(content_sha256) = 32),
  entries integer not null,
  this_update timestamptz not null,
  next_update timestamptz not null
);
create function edge.crl() returns bytea
language sql stable security definer set search_path = pg_catalog as $$ select der from fleet.crl $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.renewal_asked', 3004, 99, 1, 'somebody asked for a device''s certificate to be renewed now'),
  ('device.renewal_sent', 3004, 99, 1, 'a device was told to renew its certificate'),
  ('device.renewal_failed', 3004, 99, 3, 'an attempt to renew a device''s certificate failed and is repeated later'),
  ('device.renewed', 3004, 3, 1, 'a device uses its new certificate; the older ones are revoked'),
  ('device.certificate_expiring', 3004, 99, 3, 'a device''s certificate runs out and is not renewed yet'),
  ('device.certificate_revoked', 3004, 99, 3, 'a device''s certificates were revoked'),
  ('ca.crl', 6002, 99, 1, 'a new list of revoked certificates was signed');
update log.kind set urgent = false where kind in ('device.renewal_sent', 'device.renewed');

revoke all on function edge.request_renewal(uuid, bytea, bytea), edge.adopt_certificate(bytea, text, boolean), edge.crl(),
  fleet.ask_renewal(text, text), fleet.revoke_certificates(text, text, text), fleet.follow_pin() from public;
grant execute on function edge.request_renewal(uuid, bytea, bytea), edge.adopt_certificate(bytea, text, boolean), edge.crl()
  to bartizan_edge;
grant execute on function fleet.ask_renewal(text, text), fleet.revoke_certificates(text, text, text) to bartizan_console;
grant select, insert, update on fleet.certificate, fleet.renewal, fleet.crl to bartizan_core;
grant select on fleet.certificate to bartizan_console;
grant select (device_id, state, next_at, attempts, command_uuid, reason, asked_by, alarmed, started_at, finished_at)
  on fleet.renewal to bartizan_console;
grant select (number, entries, this_update, next_update) on fleet.crl to bartizan_console;
