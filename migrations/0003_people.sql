-- Room: people. Persons as handles; personal values only as ciphertext rows of one size.
create schema people;

create table people.person (
  handle text primary key check (handle ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  unit text check (length(unit) <= 64),
  member_state text check (member_state ~ '^[A-Z]{2}$'),
  created_at timestamptz not null default now(),
  left_at timestamptz
);

-- Sealed in transit: inner HPKE to the sealer, outer HPKE to the ledger. Waits to be settled under the person's lock.
create table people.arriving (
  id bigint generated always as identity primary key,
  -- the form is the ledger's: a row that it cannot read would hold up all others
  subject text not null check (subject ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  field text not null check (field in ('name', 'number', 'email', 'device-name', 'unlock-token')),
  version bigint not null check (version between 1 and 9007199254740991),
  outer_layer bytea not null check (octet_length(outer_layer) = 224),
  written_by text not null default session_user,
  arrived_at timestamptz not null default now()
);

-- Settled: AES-256-GCM under the person's lock over the inner layer. No index on content, all rows 204 bytes.
create table people.sealed (
  subject text not null,
  field text not null check (field in ('name', 'number', 'email', 'device-name', 'unlock-token')),
  version bigint not null check (version > 0),
  row bytea not null check (octet_length(row) = 204),
  settled_at timestamptz not null default now(),
  primary key (subject, field)
);

create table people.import (
  id uuid primary key,
  source text not null check (source in ('csv', 'scim')),
  accepted integer not null,
  refused integer not null,
  at timestamptz not null default now()
);

-- Versions only grow, whoever writes.
create function people.next_version(a_subject text, a_field text) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select greatest(
    coalesce((select version from people.sealed where subject = a_subject and field = a_field), 0),
    coalesce((select max(version) from people.arriving where subject = a_subject and field = a_field), 0)) + 1
$$;

-- Core drains what arrived: ciphertext in, ciphertext out.
create function people.take_arriving(a_limit integer)
returns table (id bigint, subject text, field text, version bigint, outer_layer bytea)
language sql volatile security definer set search_path = pg_catalog as $$
  select id, subject, field, version, outer_layer from people.arriving order by id limit a_limit
$$;

-- Stores one settled row and drops its arrival. A lower version than the one present is ignored (late arrival).
create function people.put_settled(a_id bigint, a_subject text, a_field text, a_version bigint, a_row bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from people.arriving where id = a_id and subject = a_subject and field = a_field and version = a_version;
  if not found then return; end if;
  insert into people.sealed as s (subject, field, version, row) values (a_subject, a_field, a_version, a_row)
  on conflict (subject, field) do update set version = excluded.version, row = excluded.row, settled_at = now()
  where s.version < excluded.version;
end $$;

-- An arrival that the ledger cannot open was not sealed for this installation: put aside, with an event.
create function people.set_aside(a_id bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a record;
begin
  delete from people.arriving where id = a_id returning subject, field, written_by into a;
  if not found then return; end if;
  perform log.emit('directory.refused', 'core', null, a.subject,
    jsonb_build_object('code', 'does-not-open', 'field', a.field, 'written_by', a.written_by));
end $$;

revoke all on all functions in schema people from public;
grant usage on schema people to bartizan_core, bartizan_console, bartizan_glass, bartizan_intake;
grant execute on function people.take_arriving(integer), people.put_settled(bigint, text, text, bigint, bytea),
  people.set_aside(bigint) to bartizan_core;
grant select on people.person, people.import to bartizan_core, bartizan_console;
-- which fields of a person are sealed, without their ciphertext
grant select (subject, field, version, settled_at) on people.sealed to bartizan_console, bartizan_core;
grant select on people.sealed to bartizan_glass;
