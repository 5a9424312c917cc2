-- Room: people. What intake may do: name handles that are free, and store persons with their sealed values. It reads no row.
create function people.taken(a_handles text[]) returns setof text
language sql stable security definer set search_path = pg_catalog as $$
  select handle from people.person where handle = any(a_handles[1:60000])
$$;

-- New persons only, each with all three values: intake can neither change nor replace what somebody is sealed under.
create function people.import_people(a_handles text[], a_units text[], a_states text[], a_names bytea[], a_numbers bytea[],
  a_emails bytea[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer := coalesce(array_length(a_handles, 1), 0);
begin
  if n not between 1 and 1000 or array[array_length(a_units, 1), array_length(a_states, 1), array_length(a_names, 1),
    array_length(a_numbers, 1), array_length(a_emails, 1)] <> array[n, n, n, n, n] then
    raise exception 'a batch holds 1 to 1000 whole persons' using errcode = '22023';
  end if;
  insert into people.person (handle, unit, member_state)
  select h, nullif(u, ''), nullif(s, '') from unnest(a_handles, a_units, a_states) with ordinality as x(h, u, s, i) order by i;
  insert into people.arriving (subject, field, version, outer_layer)
  select h, f, 1, o from unnest(a_handles, a_names, a_numbers, a_emails) with ordinality as x(h, a, b, c, i)
    cross join lateral (values (1, 'name', a), (2, 'number', b), (3, 'email', c)) as v(j, f, o) order by i, j;
  return n;
end $$;

-- The record of a whole import, in its transaction. The count is of all rows, decoys among them.
create function people.import_done(a_id uuid, a_accepted integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into people.import (id, source, accepted, refused) values (a_id, 'csv', a_accepted, 0);
  perform log.emit('directory.imported', 'intake', null, null, jsonb_build_object('import', a_id, 'people', a_accepted));
  perform pg_notify('bartizan_work', '');
end $$;

create function people.intake_started() returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('system.started', 'intake', null, null, '{}')
$$;

revoke all on function people.taken(text[]), people.import_people(text[], text[], text[], bytea[], bytea[], bytea[]),
  people.import_done(uuid, integer), people.intake_started() from public;
grant execute on function people.taken(text[]), people.import_people(text[], text[], text[], bytea[], bytea[], bytea[]),
  people.import_done(uuid, integer), people.intake_started() to bartizan_intake;
