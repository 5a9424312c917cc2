-- Rooms: fleet and edge. With SCEP a UDID is the phone's own word. A phone that says it is one which is enrolled already is
-- held until there is a better word for it: a proof of its maker, a link that an administrator made for that device or for
-- its holder, or an administrator who agrees.

-- The link was made to enrol this device anew.
alter table fleet.enrolment add column replaces bigint references fleet.device;
grant select (replaces) on fleet.enrolment to bartizan_console;

create table fleet.claim (
  id uuid primary key,
  -- whose certificate it is
  device_id bigint not null references fleet.device,
  -- whose identifier it says
  held_by bigint not null references fleet.device,
  state text not null default 'held' check (state in ('held', 'agreed', 'refused', 'done')),
  tries integer not null default 1,
  first_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  told_at timestamptz not null default now(),
  decided_by text,
  decided_at timestamptz
);
create unique index claim_open on fleet.claim (device_id, held_by) where state in ('held', 'agreed');
create index claim_held on fleet.claim (last_at) where state = 'held';
create index claim_decided on fleet.claim (decided_at) where decided_at is not null;
grant select on fleet.claim to bartizan_console;

-- Whether the enrolment of `a_old` gives way to `a_new`, who says the same identifier.
create function fleet.gives_way(a_old fleet.device, a_new fleet.device) returns boolean
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
  e fleet.enrolment;
  a fleet.attestation;
begin
  -- It left, its certificate opens nothing any more, or it never finished.
  if a_old.state in ('checked_out', 'retired') or a_old.certificate_sha256 is null
    or coalesce(a_old.certificate_not_after < now(), false)
    or (a_old.enrolled_at is null and coalesce(a_old.last_seen_at < now() - interval '10 minutes', true)) then
    return true;
  end if;
  if exists (select from fleet.claim c where c.device_id = a_new.id and c.held_by = a_old.id and c.state = 'agreed'
    and c.decided_at > now() - interval '7 days') then
    return true;
  end if;
  -- Otherwise a holder's link would make the organisation's phone one that can never be erased.
  if a_new.ownership <> a_old.ownership then return false; end if;
  select * into a from fleet.attestation where id = a_new.attestation_id;
  if a_new.identity = 'acme-attested' and (a.udid = a_old.udid or a.serial = a_old.serial) then return true; end if;
  select * into e from fleet.enrolment where device_id = a_new.id and used_at is not null order by used_at desc limit 1;
  if not found then return false; end if;
  if e.replaces is not null then return e.replaces = a_old.id; end if;
  if e.expected_serial is not null then return e.expected_serial = a_old.serial; end if;
  -- Not so for links that edge made by itself: whoever stole the holder's account has one.
  return e.created_by <> 'edge' and a_new.holder is not null and a_new.holder = a_old.holder;
end $$;

-- As before, but an enrolment that is alive gives way to nobody's mere word, and a device begins at most 20 times an hour.
create or replace function edge.authenticate(a_certificate_sha256 bytea, a_udid text, a_topic text, a_facts jsonb, a_findings text[])
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  me fleet.device;
  o fleet.device;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict <> 'own' then
    perform edge.refuse(w.handle, case w.verdict when 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select w.verdict, w.handle;
    return;
  end if;
  if not fleet.may_authenticate(w.id) then
    return query select 'too-often', w.handle;
    return;
  end if;
  select * into me from fleet.device d where d.id = w.id;
  -- Who was attested as another one is not held but refused (fleet.check_attested says the same later).
  if me.identity = 'acme-attested' and exists (select from fleet.attestation a where a.id = me.attestation_id
      and ((a.serial is not null and left(a_facts->>'serial', 64) is distinct from a.serial)
        or (a.udid is not null and a_udid <> a.udid and a.facts->'sipStatus' is null))) then
    raise exception 'not the device that was attested' using errcode = 'BZ001';
  end if;
  -- the same phone enrolled anew through another link: the old enrolment gives way, if it does
  select * into o from fleet.device d where d.udid = a_udid and d.id <> w.id for update;
  if found then
    if not fleet.gives_way(o, me) then
      perform fleet.hold_claim(me, o);
      return query select 'held', w.handle;
      return;
    end if;
    update fleet.claim c set state = 'done' where c.held_by = o.id and c.device_id = w.id and c.state in ('held', 'agreed');
    update fleet.device d set udid = null, certificate_sha256 = null, state = 'checked_out' where d.id = o.id;
    perform edge.cancel_pending(o.id, o.handle);
    perform log.emit('device.checked_out', 'edge', o.handle, null, jsonb_build_object('why', 'enrolled-anew', 'as', w.handle));
  end if;
  update fleet.device d set udid = a_udid, topic = a_topic, state = 'authenticated', last_seen_at = now(),
    serial = left(a_facts->>'serial', 64), model = left(a_facts->>'model', 64),
    product_name = left(a_facts->>'productName', 64), os_version = left(a_facts->>'osVersion', 32),
    build_version = left(a_facts->>'buildVersion', 32), push_token = null, push_magic = null,
    awaiting_configuration = false, lost_mode = false
  where d.id = w.id;
  update fleet.channel h set state = 'left', push_token = null, push_magic = null where h.device_id = w.id;
  perform people.forget(w.handle, 'bootstrap-token');
  perform fleet.spend_releases(w.id, 'bootstrap-token');
  perform fleet.spend_releases(w.id, 'unlock-token');
  perform edge.cancel_pending(w.id, w.handle);
  perform log.emit('device.authenticated', 'edge', w.handle, null, '{}');
  perform edge.note_findings(w.handle, a_findings);
  return query select 'own', w.handle;
end $$;

-- Writes a claim down, with one event an hour about it, however often it is made.
create function fleet.hold_claim(a_new fleet.device, a_old fleet.device) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c fleet.claim;
begin
  select * into c from fleet.claim where device_id = a_new.id and held_by = a_old.id and state in ('held', 'agreed') for update;
  if not found then
    insert into fleet.claim (id, device_id, held_by) values (log.uuidv7(), a_new.id, a_old.id) returning * into c;
  else
    -- an agreement that ran out is asked for anew
    update fleet.claim x set tries = x.tries + 1, last_at = now(), state = 'held', decided_by = null, decided_at = null
    where x.id = c.id;
    if c.told_at > now() - interval '1 hour' then return; end if;
    update fleet.claim x set told_at = now() where x.id = c.id;
  end if;
  perform log.emit('device.claim_refused', 'edge', a_old.handle, null,
    jsonb_build_object('as', a_new.handle, 'claim', c.id, 'tries', c.tries));
end $$;

-- An administrator says whether it is the same phone. Agreed: its link works once more, for a day, and the old enrolment ends
-- when the phone comes with it, not before. Refused: its certificate is revoked. `agreed`, `refused`, `too-many` or
-- `not-open`; whoever owns the console ends at most 20 enrolments an hour this way.
create function fleet.decide_claim(a_id uuid, a_agree boolean, a_by text) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c fleet.claim;
  new_handle text;
  old_handle text;
begin
  perform pg_advisory_xact_lock(hashtext('fleet.claim'));
  select * into c from fleet.claim where id = a_id and state = 'held' for update;
  if not found then return 'not-open'; end if;
  select handle into new_handle from fleet.device where id = c.device_id;
  select handle into old_handle from fleet.device where id = c.held_by;
  if not a_agree then
    update fleet.claim set state = 'refused', decided_by = a_by, decided_at = now() where id = a_id;
    perform log.emit('device.claim_declined', a_by, old_handle, null, jsonb_build_object('as', new_handle, 'claim', a_id));
    perform fleet.revoke_certificates(new_handle, a_by, 'privilegeWithdrawn');
    return 'refused';
  end if;
  if (select count(*) from fleet.claim x where x.state in ('agreed', 'done') and x.decided_at > now() - interval '1 hour') >= 20 then
    return 'too-many';
  end if;
  update fleet.claim set state = 'agreed', decided_by = a_by, decided_at = now() where id = a_id;
  update fleet.enrolment e set used_at = null, challenge_sha256 = null, expires_at = greatest(e.expires_at, now() + interval '1 day')
  where e.revoked_at is null and e.id = (select u.id from fleet.enrolment u where u.device_id = c.device_id
    and u.used_at is not null order by u.used_at desc limit 1);
  perform log.emit('device.claim_agreed', a_by, old_handle, null, jsonb_build_object('as', new_handle, 'claim', a_id));
  return 'agreed';
end $$;

-- A link to enrol a device anew: a new device with its holder and owner, to whom it gives way. False if the handle is taken.
create function fleet.offer_anew(a_handle text, a_device text, a_enrolment uuid, a_link_sha256 bytea, a_by text, a_ttl interval,
  a_identity text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  o fleet.device;
begin
  select * into o from fleet.device where handle = a_device and state <> 'retired';
  if not found then raise exception 'unknown device' using errcode = '42501'; end if;
  if not fleet.offer(a_handle, o.holder, a_enrolment, a_link_sha256, a_by, a_ttl, o.ownership, a_identity) then return false; end if;
  update fleet.enrolment set replaces = o.id where id = a_enrolment;
  perform log.emit('device.anew_offered', a_by, a_device, null, jsonb_build_object('as', a_handle));
  return true;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.claim_refused', 3004, 99, 4, 'a phone said that it is one which is enrolled already, and was held'),
  ('device.claim_agreed', 3004, 99, 3, 'an administrator agreed that a phone is one which is enrolled already'),
  ('device.claim_declined', 3004, 99, 3, 'an administrator refused a phone that said it is another one'),
  ('device.anew_offered', 3004, 1, 2, 'a link was made to enrol a device anew');

revoke all on function fleet.gives_way(fleet.device, fleet.device), fleet.hold_claim(fleet.device, fleet.device),
  fleet.decide_claim(uuid, boolean, text), fleet.offer_anew(text, text, uuid, bytea, text, interval, text) from public;
grant execute on function fleet.decide_claim(uuid, boolean, text),
  fleet.offer_anew(text, text, uuid, bytea, text, interval, text) to bartizan_console;

-- As before; where the maker's signature says which device it is, its link names that serial number, and a device asks at
-- most 20 times an hour.
create or replace function edge.ade_enrol(a_serial text, a_link_sha256 bytea, a_challenge_sha256 bytea, a_identity text, a_verified boolean)
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
  if not fleet.may_authenticate(d.id) then return null; end if;
  update fleet.enrolment set revoked_at = now(), revoked_by = 'edge'
  where device_id = d.id and used_at is null and revoked_at is null;
  insert into fleet.enrolment (id, device_id, link_sha256, challenge_sha256, created_by, expires_at, fetched_at, identity, expected_serial)
  values (e, d.id, a_link_sha256, a_challenge_sha256, 'edge', now() + interval '1 hour', now(), a_identity,
    case when a_verified then a_serial end);
  perform log.emit('device.profile_fetched', 'edge', d.handle, null, jsonb_build_object('by', 'ade', 'verified', a_verified));
  if not a_verified then perform edge.note_findings(d.handle, array['ade-signature-not-verified']); end if;
  return e;
end $$;
