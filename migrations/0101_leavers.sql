-- Room: people. Who has left: rows and person are deleted, the handle stays as a tombstone, so that nobody is made under it again.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('directory.rows_gone', 6005, 4, 1, 'the rows of people whose locks the ledger destroyed were deleted'),
  ('directory.sheet_offered', 6005, 1, 2, 'a person was given a link to see who looked at their data'),
  ('directory.sheet_opened', 6005, 2, 2, 'a person saw who looked at their data');

create table people.tombstone (
  handle text primary key check (handle ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  -- the ledger's entry that destroyed the lock
  entry uuid not null,
  left_at timestamptz not null default now()
);

create function people.no_return() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (select from people.tombstone where handle = new.handle) then
    raise exception 'this handle is of somebody who has left' using errcode = '23505';
  end if;
  return new;
end $$;
create trigger no_return before insert or update of handle on people.person for each row execute function people.no_return();

create or replace function people.taken(a_handles text[]) returns setof text
language sql stable security definer set search_path = pg_catalog as $$
  select handle from people.person where handle = any(a_handles[1:60000])
  union select handle from people.tombstone where handle = any(a_handles[1:60000])
$$;

-- Core deletes what the ledger has made unreadable. Devices stay with the handle of a holder who has left; what they told of the
-- holder goes too, and so does the key to the account that an enrolment came by. Done again, it does nothing.
create function people.erase(a_handles text[], a_entry uuid) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
  gone integer := 0;
  d record;
begin
  insert into people.tombstone (handle, entry) select distinct h, a_entry from unnest(a_handles) h on conflict do nothing;
  delete from people.arriving where subject = any(a_handles);
  delete from people.sealed where subject = any(a_handles);
  get diagnostics gone = row_count;
  delete from people.version where subject = any(a_handles);
  for d in select id, handle from fleet.device where holder = any(a_handles) loop
    perform people.forget(d.handle, 'device-name'), people.forget(d.handle, 'location');
    update fleet.account_device set renewal_key = null where device_id = d.id;
  end loop;
  delete from fleet.expected_holder where holder = any(a_handles);
  delete from people.person where handle = any(a_handles);
  get diagnostics n = row_count;
  if n > 0 or gone > 0 then
    perform log.emit('directory.rows_gone', 'core', null, null, jsonb_build_object('people', n, 'rows', gone, 'entry', a_entry));
  end if;
  return n;
end $$;

-- One-time links by which a person sees who looked at their data. Only the link's hash is kept.
create table people.sheet_link (
  token_sha256 bytea primary key check (octet_length(token_sha256) = 32),
  handle text not null,
  made_by text not null,
  made_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '7 days',
  opened_at timestamptz
);
create function people.offer_sheet(a_handle text, a_token_sha256 bytea, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if not exists (select from people.person where handle = a_handle) then return false; end if;
  delete from people.sheet_link where expires_at < now() - interval '30 days';
  insert into people.sheet_link (token_sha256, handle, made_by) values (a_token_sha256, a_handle, a_by);
  perform log.emit('directory.sheet_offered', a_by, null, a_handle, '{}');
  return true;
end $$;
-- Whose sheet a link opens: null once it was used or its time is over.
create function people.sheet_of(a_token_sha256 bytea) returns text
language sql stable security definer set search_path = pg_catalog as $$
  select handle from people.sheet_link where token_sha256 = a_token_sha256 and opened_at is null and expires_at > now()
$$;
create function people.sheet_opened(a_token_sha256 bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  h text;
begin
  update people.sheet_link set opened_at = now() where token_sha256 = a_token_sha256 and opened_at is null and expires_at > now()
  returning handle into h;
  if h is null then return false; end if;
  perform log.emit('directory.sheet_opened', 'glass', null, h, '{}');
  return true;
end $$;

-- Which documents two people sign is for those who read them to say (src/seal/documents.ts): what is no document opens nothing.
alter table respond.approval drop constraint approval_op_check;
alter table respond.approval add constraint approval_op_check check (op ~ '^[a-z]+(-[a-z]+)*$' and length(op) <= 40);

revoke all on function people.erase(text[], uuid), people.offer_sheet(text, bytea, text), people.sheet_of(bytea), people.sheet_opened(bytea) from public;
grant execute on function people.erase(text[], uuid) to bartizan_core;
grant execute on function people.offer_sheet(text, bytea, text) to bartizan_console;
grant execute on function people.sheet_of(bytea), people.sheet_opened(bytea) to bartizan_glass;
grant select on people.tombstone to bartizan_console, bartizan_core;
