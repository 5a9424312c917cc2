-- Room: people. New locks for everybody: which persons' rows are still to be brought to the ledger.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('locks.rotating', 6005, 3, 3, 'two people gave everybody in the directory a new lock'),
  ('locks.rotated', 6005, 3, 1, 'the ledger put rows under their persons'' new locks'),
  ('locks.left_behind', 6005, 99, 4, 'a person''s rows could not be put under a new lock: one of them is missing or does not open');

create table people.rotation (
  generation integer primary key,
  started_at timestamptz not null default now(),
  done_at timestamptz
);
create table people.rotating (
  subject text primary key,
  generation integer not null,
  tries integer not null default 0,
  after timestamptz not null default '-infinity'
);

create function people.start_rotation(a_generation integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into people.rotation (generation) values (a_generation) on conflict do nothing;
  if not found then return; end if;
  update people.rotation set done_at = now() where generation < a_generation and done_at is null;
  delete from people.rotating;
  insert into people.rotating (subject, generation)
  select subject, a_generation from people.sealed union select subject, a_generation from people.arriving;
  perform pg_notify('bartizan_work', '');
end $$;

-- All rows of the next persons, those without ciphertext too. Counted like every row that leaves (0140).
create function people.rotating_rows(a_limit integer)
returns table (subject text, generation integer, field text, version bigint, "row" bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  return query select p.subject, p.generation, s.field, s.version, s.row
    from (select r.subject, r.generation from people.rotating r where r.after <= now() order by r.subject limit least(a_limit, 100)) p
    left join people.sealed s on s.subject = p.subject,
    lateral (select case when s.row is null then 1 else nextval('people.rows_handed') end as n) counted
    where counted.n > 0 order by p.subject, s.field;
end $$;

-- Persons whose old lock is destroyed; the rotation ends with the last.
create function people.rotated(a_subjects text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from people.rotating where subject = any(a_subjects);
  if not exists (select from people.rotating) then update people.rotation set done_at = now() where done_at is null; end if;
end $$;

-- Persons of whom something is under way are brought again later; whose rows never fit is left behind with an event.
create function people.rotate_later(a_subjects text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  s text;
begin
  update people.rotating set tries = tries + 1, after = now() + make_interval(secs => least(60, 5 * (tries + 1)))
  where subject = any(a_subjects);
  for s in select subject from people.rotating where subject = any(a_subjects) and tries >= 10 loop
    -- whoever has been erased, or has never had a row, misses nothing
    if exists (select from people.sealed x where x.subject = s) then
      perform log.emit('locks.left_behind', 'core', null, s, '{}');
    end if;
    perform people.rotated(array[s]);
  end loop;
end $$;

revoke all on function people.start_rotation(integer), people.rotating_rows(integer), people.rotated(text[]),
  people.rotate_later(text[]) from public;
grant execute on function people.start_rotation(integer), people.rotating_rows(integer), people.rotated(text[]),
  people.rotate_later(text[]) to bartizan_core;
grant select on people.rotation, people.rotating to bartizan_core, bartizan_console;
