-- Room: fleet. Enrolment links with a state and an end; who owns a device decides what may ever be done to it.

-- `personal`: the holder's own phone. It is never erased, whoever asks: only its managed part can be taken away.
alter table fleet.device add column ownership text not null default 'organisation'
  check (ownership in ('organisation', 'personal'));
alter table fleet.enrolment add column if not exists identity text not null default 'scep' check (identity in ('scep', 'acme'));
alter table fleet.enrolment add column revoked_by text;
create index enrolment_device on fleet.enrolment (device_id);
grant select (identity, revoked_by) on fleet.enrolment to bartizan_console;

drop function fleet.offer(text, text, uuid, bytea, text, interval);
create function fleet.offer(a_handle text, a_holder text, a_enrolment uuid, a_link_sha256 bytea, a_by text, a_ttl interval,
  a_ownership text, a_identity text)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
begin
  insert into fleet.device (handle, holder, ownership) values (a_handle, a_holder, a_ownership)
  on conflict (handle) do nothing returning id into d;
  if not found then return false; end if;
  insert into fleet.enrolment (id, device_id, link_sha256, created_by, expires_at, identity)
  values (a_enrolment, d, a_link_sha256, a_by, now() + least(a_ttl, interval '30 days'), a_identity);
  perform log.emit('device.offered', a_by, a_handle, a_holder, jsonb_build_object('ownership', a_ownership, 'identity', a_identity));
  return true;
end $$;

-- An open link ends at once; a device that has nothing but this link goes with it. False if the link is not open.
create function fleet.revoke_link(a_enrolment uuid, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  e fleet.enrolment;
  h text;
begin
  update fleet.enrolment set revoked_at = now(), revoked_by = a_by
  where id = a_enrolment and used_at is null and revoked_at is null and expires_at > now() returning * into e;
  if not found then return false; end if;
  update fleet.device d set state = 'retired' where d.id = e.device_id and d.state = 'offered'
    and not exists (select from fleet.enrolment o where o.device_id = d.id and o.used_at is null
      and o.revoked_at is null and o.expires_at > now());
  select d.handle into h from fleet.device d where d.id = e.device_id;
  perform log.emit('device.link_revoked', a_by, h, null, jsonb_build_object('enrolment', a_enrolment));
  return true;
end $$;

-- One way only: a device that is said to be personal stays so for as long as it is enrolled. What would erase it is taken back.
create function fleet.mark_personal(a_handle text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d fleet.device;
  c record;
begin
  update fleet.device set ownership = 'personal' where handle = a_handle and ownership <> 'personal' returning * into d;
  if not found then return false; end if;
  for c in update fleet.command k set state = 'cancelled', done_at = now()
    where k.device_id = d.id and k.request_type = 'EraseDevice' and k.done_at is null returning k.uuid
  loop
    perform log.emit('command.cancelled', a_by, a_handle, null,
      jsonb_build_object('command', c.uuid, 'verb', 'EraseDevice', 'why', 'personal'));
  end loop;
  perform log.emit('device.personal', a_by, a_handle, d.holder, '{}');
  return true;
end $$;

-- The last wall, below the code that refuses earlier and says so: no erase command exists for a personal device.
create function fleet.never_erase_personal() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (select from fleet.device d where d.id = new.device_id and d.ownership = 'personal') then
    raise exception 'a personal device is never erased' using errcode = '23514';
  end if;
  return new;
end $$;
create trigger never_erase_personal before insert or update of device_id, request_type on fleet.command
  for each row when (new.request_type = 'EraseDevice') execute function fleet.never_erase_personal();

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.link_revoked', 3004, 99, 2, 'an enrolment link was taken back before it was used'),
  ('device.personal', 3004, 99, 2, 'a device was marked as its holder''s own: it is never erased');

revoke all on function fleet.offer(text, text, uuid, bytea, text, interval, text, text), fleet.revoke_link(uuid, text),
  fleet.mark_personal(text, text), fleet.never_erase_personal() from public;
grant execute on function fleet.offer(text, text, uuid, bytea, text, interval, text, text), fleet.revoke_link(uuid, text),
  fleet.mark_personal(text, text) to bartizan_console;
