-- Room: people. Whoever takes ciphertext rows out of the database is counted in a way that no rollback takes back, and what was
-- taken is compared with what the guards were asked for: a login that is used to copy the directory is noticed though it reads nothing.

-- Rows handed out since the beginning. A sequence, because it does not go back when its transaction does.
create sequence people.rows_handed;

-- The only ways to ciphertext. Glass reads the rows of a grant; `read_page` is for what goes through a whole field.
create function people.read_rows(a_field text, a_subjects text[]) returns table (subject text, version bigint, "row" bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if cardinality(a_subjects) > 1000 then
    raise exception 'at most 1000 rows at a time' using errcode = '54000';
  end if;
  return query select s.subject, s.version, s.row
    from people.sealed s, lateral (select nextval('people.rows_handed') as n where s.row is not null) counted
    where s.field = a_field and s.subject = any(a_subjects) and s.row is not null and counted.n > 0 order by s.subject;
end $$;

create function people.read_page(a_field text, a_after text, a_limit integer) returns table (subject text, version bigint, "row" bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  return query select p.subject, p.version, p.row
    from (select s.subject, s.version, s.row from people.sealed s
      where s.field = a_field and s.subject > a_after and s.row is not null order by s.subject limit least(a_limit, 1000)) p,
    lateral (select nextval('people.rows_handed') as n where p.row is not null) counted where counted.n > 0 order by p.subject;
end $$;

-- What core compares: rows handed out, those of them that the guards were asked for, and since when too many are unaccounted for.
create table people.rows_account (
  one boolean primary key default true check (one),
  handed bigint not null default 0,
  unaccounted bigint not null default 0,
  over_since timestamptz
);
insert into people.rows_account default values;

create function people.handed() returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select case when is_called then last_value else 0 end from people.rows_handed
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('directory.rows_unaccounted', 6005, 99, 5, 'more sealed rows were read from the database than the guards were asked to open', true);

revoke select on people.sealed from bartizan_glass;
grant select (subject, field, version, settled_at) on people.sealed to bartizan_glass;
revoke all on function people.read_rows(text, text[]), people.read_page(text, text, integer), people.handed() from public;
grant execute on function people.read_rows(text, text[]), people.read_page(text, text, integer) to bartizan_glass;
grant execute on function people.handed() to bartizan_core;
grant select, update on people.rows_account to bartizan_core;
