-- Rooms: fleet and edge. A renewed certificate was taken into use, and the one before it is still spoken with: two hold what one
-- device should. Which of them is the phone nobody here can know; so nothing more is handed out until somebody has looked.

alter table fleet.device add column two_holders_at timestamptz;
create index device_two_holders on fleet.device (id) where two_holders_at is not null;

-- What must reach a stolen phone in any case may go to both.
create function fleet.held_for_two(a_type text) returns boolean
language sql immutable set search_path = pg_catalog as $$
  select a_type not in ('DeviceLock', 'EraseDevice', 'EnableLostMode')
$$;

create function fleet.note_two_holders(a_device bigint, a_handle text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  update fleet.device set two_holders_at = now() where id = a_device and two_holders_at is null;
  if not found then return; end if;
  with mine as (select k.uuid from fleet.command k where k.device_id = a_device and k.done_at is null
    and k.state in ('queued', 'not_now') and fleet.held_for_two(k.request_type) order by k.uuid for update)
  update fleet.command k set state = 'held', held_by = 'two-holders', done_at = 'infinity' from mine where k.uuid = mine.uuid;
  get diagnostics n = row_count;
  update fleet.renewal set state = 'stopped', challenge_sha256 = null, finished_at = now()
  where device_id = a_device and state in ('due', 'sent', 'issued');
  perform log.emit('device.two_holders', 'edge', a_handle, null, jsonb_build_object('held', n));
end $$;

-- What is queued for such a device waits as well. One look for a whole statement; almost always there is no such device.
create function fleet.hold_for_two() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if exists (select from fleet.device d where d.two_holders_at is not null) then
    update fleet.command k set state = 'held', held_by = 'two-holders', done_at = 'infinity'
    from fresh f join fleet.device d on d.id = f.device_id and d.two_holders_at is not null
    where k.uuid = f.uuid and k.done_at is null and fleet.held_for_two(k.request_type);
  end if;
  return null;
end $$;
create trigger hold_for_two after insert on fleet.command referencing new table as fresh
  for each statement execute function fleet.hold_for_two();

-- It ends when the device is enrolled anew or leaves, not when one of the two begins again with what he holds.
create function fleet.one_holder_again() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  new.two_holders_at := null;
  return new;
end $$;
create trigger one_holder_again before update of state on fleet.device
  for each row when (new.two_holders_at is not null and new.state in ('certified', 'checked_out', 'retired'))
  execute function fleet.one_holder_again();

-- An administrator has looked: what waits goes on. False if nothing was held.
create function fleet.trust_holder(a_handle text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
  n integer;
begin
  update fleet.device set two_holders_at = null where handle = a_handle and two_holders_at is not null returning id into d;
  if not found then return false; end if;
  update fleet.command k set state = 'queued', held_by = null, done_at = null where k.device_id = d and k.held_by = 'two-holders';
  get diagnostics n = row_count;
  perform log.emit('device.holder_trusted', a_by, a_handle, null, jsonb_build_object('released', n));
  if n > 0 then perform fleet.want_push(array[d]); end if;
  return true;
end $$;

-- As before; a certificate that a renewal superseded, spoken with under its device's own identifier more than two minutes
-- later, is the other holder's. Messages that were under way when the pin moved are not.
create or replace function edge.adopt_certificate(a_certificate_sha256 bytea, a_udid text, a_idle boolean) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c fleet.certificate;
  d fleet.device;
  r fleet.renewal;
begin
  select * into c from fleet.certificate where sha256 = a_certificate_sha256;
  if not found then return false; end if;
  if c.revoked_at is not null then
    if c.reason = 'superseded' and c.revoked_at < now() - interval '2 minutes' and c.seen_at is not null then
      select * into d from fleet.device where id = c.device_id and state = 'enrolled' and udid = a_udid for update;
      if found then perform fleet.note_two_holders(d.id, d.handle); end if;
    end if;
    return false;
  end if;
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

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.two_holders', 3004, 99, 4, 'a certificate was used after a newer one of its device: two hold its keys, its commands are held'),
  ('device.holder_trusted', 3004, 99, 3, 'an administrator let the commands of a device with two holders go on');

revoke all on function fleet.held_for_two(text), fleet.note_two_holders(bigint, text), fleet.hold_for_two(),
  fleet.one_holder_again(), fleet.trust_holder(text, text) from public;
grant execute on function fleet.trust_holder(text, text) to bartizan_console;
