-- Room: fleet. Who holds a device that came without a link: given before or after it enrols, one by one or as a list of
-- serial numbers. A holder is a person's handle.

-- Serial numbers that Apple has not named yet. What is known already goes to the device at once, and waits here no more.
create table fleet.expected_holder (
  serial text primary key check (serial ~ '^[A-Z0-9-]{1,64}$'),
  holder text not null check (holder ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  by_admin text not null,
  at timestamptz not null default clock_timestamp()
);

-- Gives a device its holder, or takes it from whoever had it. `unknown`: no such device, or it is retired. `own`: a holder's
-- own device stays its holder's.
create function fleet.give_holder(a_handle text, a_holder text, a_by text) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d fleet.device;
begin
  select * into d from fleet.device where handle = a_handle and state <> 'retired' for update;
  if not found then return 'unknown'; end if;
  if d.ownership = 'personal' and d.holder is not null and d.holder is distinct from a_holder then return 'own'; end if;
  delete from fleet.expected_holder where serial = d.serial;
  if d.holder is not distinct from a_holder then return 'same'; end if;
  update fleet.device set holder = a_holder where id = d.id;
  perform log.emit('device.holder_given', a_by, a_handle, a_holder,
    jsonb_strip_nulls(jsonb_build_object('before', d.holder, 'taken', a_holder is null)));
  return 'given';
end $$;

-- A list of serial numbers with holders. Devices that are there get theirs at once; the rest waits for Apple to name them.
-- Answers what became of each line, in order.
create function fleet.expect_holders(a_serials text[], a_holders text[], a_by text) returns table (serial text, verdict text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r record;
begin
  -- In one order, so that two lists at once do not wait for each other crosswise.
  for r in select x.s, x.h, d.handle from unnest(a_serials, a_holders) x(s, h)
      left join fleet.ade_device a on a.serial = x.s and a.removed_at is null
      left join fleet.device d on d.id = a.device_id and d.state <> 'retired' order by x.s
  loop
    serial := r.s;
    if r.handle is not null then
      verdict := fleet.give_holder(r.handle, r.h, a_by);
    else
      insert into fleet.expected_holder as e (serial, holder, by_admin) values (r.s, r.h, a_by)
      on conflict on constraint expected_holder_pkey do update set holder = excluded.holder, by_admin = excluded.by_admin, at = excluded.at;
      verdict := 'waits';
    end if;
    return next;
  end loop;
  perform log.emit('ade.holders_named', a_by, null, null, jsonb_build_object('count', cardinality(a_serials)));
end $$;

-- Apple names a device: whoever was expected to hold it does, unless somebody was given it in the meantime.
create function fleet.holder_arrives() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  e fleet.expected_holder;
  d fleet.device;
begin
  delete from fleet.expected_holder x where x.serial = new.serial returning * into e;
  if not found then return null; end if;
  select * into d from fleet.device where id = new.device_id for update;
  if d.holder is null then
    perform fleet.give_holder(d.handle, e.holder, e.by_admin);
  end if;
  return null;
end $$;
create trigger ade_device_named after insert on fleet.ade_device for each row execute function fleet.holder_arrives();
create trigger ade_device_back after update of removed_at on fleet.ade_device for each row
  when (old.removed_at is not null and new.removed_at is null) execute function fleet.holder_arrives();

-- Account-driven enrolment brings the organisation's devices too (mdm-adde): whose it is comes as the last argument.
drop function edge.account_enrol(bytea, bytea, text, text, bytea, bytea, text[]);
create function edge.account_enrol(a_token_sha256 bytea, a_account bytea, a_holder text, a_handle text, a_link_sha256 bytea,
  a_challenge_sha256 bytea, a_findings text[], a_ownership text)
returns table (verdict text, id uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
  h text;
  e uuid := log.uuidv7();
begin
  if exists (select from fleet.device x where x.handle = a_handle) then return query select 'taken', null::uuid; return; end if;
  delete from fleet.account_token where used_at < now() - interval '1 hour';
  insert into fleet.account_token (sha256) values (a_token_sha256) on conflict do nothing;
  if not found then return query select 'used', null::uuid; return; end if;
  insert into fleet.account as c (hmac, holder) values (a_account, a_holder)
  on conflict (hmac) do update set last_at = now(), holder = coalesce(excluded.holder, c.holder) returning c.holder into h;
  if (select count(*) from fleet.account_device c join fleet.device x on x.id = c.device_id
      where c.hmac = a_account and x.state not in ('checked_out', 'retired')) >= 10 then
    return query select 'too-many', null::uuid; return;
  end if;
  insert into fleet.device as x (handle, holder, ownership) values (a_handle, h, a_ownership) returning x.id into d;
  insert into fleet.account_device (device_id, hmac) values (d, a_account);
  insert into fleet.enrolment as n (id, device_id, link_sha256, challenge_sha256, created_by, expires_at, fetched_at)
  values (e, d, a_link_sha256, a_challenge_sha256, 'edge', now() + interval '1 hour', now());
  perform log.emit('device.offered', 'edge', a_handle, h, jsonb_build_object('by', 'account', 'ownership', a_ownership));
  perform log.emit('device.profile_fetched', 'edge', a_handle, null, jsonb_build_object('by', 'account'));
  perform edge.note_findings(a_handle, a_findings);
  return query select 'made', e;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.holder_given', 3004, 99, 2, 'a device was given its holder, or has none any more'),
  ('ade.holders_named', 6002, 99, 2, 'an admin named the holders of serial numbers');

revoke all on function fleet.give_holder(text, text, text), fleet.expect_holders(text[], text[], text), fleet.holder_arrives(),
  edge.account_enrol(bytea, bytea, text, text, bytea, bytea, text[], text) from public;
grant execute on function fleet.give_holder(text, text, text), fleet.expect_holders(text[], text[], text) to bartizan_console, bartizan_core;
grant execute on function edge.account_enrol(bytea, bytea, text, text, bytea, bytea, text[], text) to bartizan_edge;
grant select on fleet.expected_holder to bartizan_console, bartizan_core;
