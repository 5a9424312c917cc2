-- Room: people. Changes of the organisation's key. The database carries what both guards signed, and ciphertext to be sealed anew;
-- it decides nothing: writers check the signatures, the guards know their own keys and count their own values.

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('key.promoted', 6002, 3, 4, 'two people put a new organisation key in force'),
  ('key.resealing', 6005, 3, 2, 'the ledger opened its layer so that the sealer seals values anew to the new key'),
  ('key.retired', 6002, 4, 3, 'no value is left under the organisation key before; it is destroyed');

-- What both guards signed about each key after the founding one.
create table people.organisation_key (
  number integer primary key check (number > 1),
  notice jsonb not null check (octet_length(notice::text) <= 4096),
  at timestamptz not null default now(),
  retired_at timestamptz
);

-- Rows that the sealer found under a key. A row that was written anew has another version and counts no more.
create table people.resealed (
  subject text not null,
  field text not null,
  version bigint not null,
  number integer not null,
  primary key (subject, field),
  foreign key (subject, field) references people.sealed on delete cascade
);

-- The newest notice; null while the founding key is in force.
create function people.organisation_notice() returns jsonb
language sql stable security definer set search_path = pg_catalog as $$
  select notice from people.organisation_key order by number desc limit 1
$$;
create function edge.organisation_notice() returns jsonb
language sql stable security definer set search_path = pg_catalog as $$
  select people.organisation_notice()
$$;

-- Core writes down what the guards say. What is written stays: a later notice has a higher number.
create function people.put_notice(a_number integer, a_notice jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into people.organisation_key (number, notice) values (a_number, a_notice) on conflict do nothing;
  return found;
end $$;

create function people.key_retired(a_number integer) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update people.organisation_key set retired_at = now() where number = a_number and retired_at is null;
  delete from people.resealed where number < a_number
$$;

-- Rows that are not known to be under this key, after a place in their order. Counted like every row that leaves (0140).
create function people.rows_to_reseal(a_number integer, a_subject text, a_field text, a_limit integer)
returns table (subject text, field text, version bigint, "row" bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  return query select p.subject, p.field, p.version, p.row
    from (select s.subject, s.field, s.version, s.row from people.sealed s
      where (s.subject, s.field) > (a_subject, a_field) and s.row is not null and not exists (select from people.resealed r
        where r.subject = s.subject and r.field = s.field and r.version = s.version and r.number = a_number)
      order by s.subject, s.field limit least(a_limit, 500)) p,
    lateral (select nextval('people.rows_handed') as n where p.row is not null) counted
    where counted.n > 0 order by p.subject, p.field;
end $$;

-- Puts a row that was sealed anew in the place of exactly the row that it was made of.
create function people.put_resealed(a_subject text, a_field text, a_version bigint, a_before bytea, a_row bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update people.sealed set row = a_row, settled_at = now()
  where subject = a_subject and field = a_field and version = a_version and row = a_before;
  return found;
end $$;

create function people.mark_resealed(a_subject text, a_field text, a_version bigint, a_number integer) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  insert into people.resealed as r (subject, field, version, number)
  select s.subject, s.field, s.version, a_number from people.sealed s
  where s.subject = a_subject and s.field = a_field and s.version = a_version
  on conflict (subject, field) do update set version = excluded.version, number = excluded.number
$$;

create function people.rows_left(a_number integer) returns bigint
language sql stable security definer set search_path = pg_catalog as $$
  select count(*) from people.sealed s where s.row is not null and not exists (select from people.resealed r
    where r.subject = s.subject and r.field = s.field and r.version = s.version and r.number = a_number)
$$;

revoke all on function people.organisation_notice(), edge.organisation_notice(), people.put_notice(integer, jsonb),
  people.key_retired(integer), people.rows_to_reseal(integer, text, text, integer),
  people.put_resealed(text, text, bigint, bytea, bytea), people.mark_resealed(text, text, bigint, integer),
  people.rows_left(integer) from public;
grant execute on function edge.organisation_notice() to bartizan_edge;
grant execute on function people.organisation_notice() to bartizan_intake, bartizan_glass, bartizan_core;
grant execute on function people.put_notice(integer, jsonb), people.key_retired(integer),
  people.rows_to_reseal(integer, text, text, integer), people.put_resealed(text, text, bigint, bytea, bytea),
  people.mark_resealed(text, text, bigint, integer) to bartizan_core;
grant execute on function people.rows_left(integer) to bartizan_console, bartizan_core;
