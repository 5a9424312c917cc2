-- Rooms: fleet and edge. A link is an administrator's word, and whoever owns the console speaks all of them: he makes links for
-- every holder and ends every enrolment with them. So words end at most 20 enrolments an hour; proofs have no such bound.

drop function fleet.gives_way(fleet.device, fleet.device);
-- Why the enrolment of `a_old` gives way to `a_new`, who says the same identifier: `gone` (it is none any more), `agreed` by an
-- administrator, `proven` by the maker, or on an administrator's `word`, which is his link. Null if it does not.
create function fleet.way_for(a_old fleet.device, a_new fleet.device) returns text
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
  e fleet.enrolment;
  a fleet.attestation;
begin
  -- It left, its certificate opens nothing any more, or it never finished.
  if a_old.state in ('checked_out', 'retired') or a_old.certificate_sha256 is null
    or coalesce(a_old.certificate_not_after < now(), false)
    or (a_old.enrolled_at is null and coalesce(a_old.last_seen_at < now() - interval '10 minutes', true)) then
    return 'gone';
  end if;
  if exists (select from fleet.claim c where c.device_id = a_new.id and c.held_by = a_old.id and c.state = 'agreed'
    and c.decided_at > now() - interval '7 days') then
    return 'agreed';
  end if;
  -- Otherwise a holder's link would make the organisation's phone one that can never be erased.
  if a_new.ownership <> a_old.ownership then return null; end if;
  select * into a from fleet.attestation where id = a_new.attestation_id;
  if a_new.identity = 'acme-attested' and (a.udid = a_old.udid or a.serial = a_old.serial) then return 'proven'; end if;
  select * into e from fleet.enrolment where device_id = a_new.id and used_at is not null order by used_at desc limit 1;
  if not found then return null; end if;
  if e.replaces is not null then return case when e.replaces = a_old.id then 'word' end; end if;
  if e.expected_serial is not null then
    -- edge names a serial number only where the maker's signature did
    return case when e.expected_serial = a_old.serial then case e.created_by when 'edge' then 'proven' else 'word' end end;
  end if;
  -- Not so for links that edge made by itself: whoever stole the holder's account has one.
  return case when e.created_by <> 'edge' and a_new.holder is not null and a_new.holder = a_old.holder then 'word' end;
end $$;

-- As before, but words are counted, together with what administrators agreed to.
create or replace function edge.authenticate(a_certificate_sha256 bytea, a_udid text, a_topic text, a_facts jsonb, a_findings text[])
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  me fleet.device;
  o fleet.device;
  way text;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict <> 'own' then
    perform edge.refuse(w.handle, case w.verdict when 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select w.verdict, w.handle;
    return;
  end if;
  select * into me from fleet.device d where d.id = w.id for update;
  if not fleet.may_authenticate(w.id) then
    return query select 'too-often', w.handle;
    return;
  end if;
  -- Who was attested as another one is not held but refused (fleet.check_attested says the same later).
  if me.identity = 'acme-attested' and exists (select from fleet.attestation a where a.id = me.attestation_id
      and ((a.serial is not null and left(a_facts->>'serial', 64) is distinct from a.serial)
        or (a.udid is not null and a_udid <> a.udid and a.facts->'sipStatus' is null))) then
    raise exception 'not the device that was attested' using errcode = 'BZ001';
  end if;
  -- the same phone enrolled anew through another link: the old enrolment gives way, if it does
  select * into o from fleet.device d where d.udid = a_udid and d.id <> w.id for update;
  if found then
    way := fleet.way_for(o, me);
    if way = 'word' then
      perform pg_advisory_xact_lock(hashtext('fleet.claim'));
      if (select count(*) from fleet.claim c where c.state in ('agreed', 'done') and c.decided_at > now() - interval '1 hour') >= 20 then
        way := null;
      end if;
    end if;
    if way is null then
      perform fleet.hold_claim(me, o);
      return query select 'held', w.handle;
      return;
    end if;
    update fleet.claim c set state = 'done' where c.held_by = o.id and c.device_id = w.id and c.state in ('held', 'agreed');
    if way = 'word' then
      insert into fleet.claim (id, device_id, held_by, state, decided_by, decided_at)
      values (log.uuidv7(), w.id, o.id, 'done', 'edge', now());
    end if;
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

revoke all on function fleet.way_for(fleet.device, fleet.device) from public;
