-- Room: people. People who were sealed in a browser: intake signs what came, adds decoys, and stores all of it at once.
alter table people.import drop constraint import_source_check;
alter table people.import add constraint import_source_check check (source in ('csv', 'scim', 'browser'));

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('directory.import_permitted', 3004, 3, 2, 'an administrator touched for an import of people who were sealed in the browser');

-- Who of these is known: the handle, and versions for a name, a number and an address. In the order of the tags.
create function people.import_known(a_source text, a_tags bytea[])
returns table (n integer, handle text, versions bigint[])
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if coalesce(array_length(a_tags, 1), 0) > 1000 then raise exception 'too many' using errcode = '22023'; end if;
  return query select x.i::integer, j.handle, array[people.next_version(j.handle, 'name'), people.next_version(j.handle, 'number'),
    people.next_version(j.handle, 'email')]
  from unnest(a_tags) with ordinality as x(tag, i) join people.joined j on j.source = a_source and j.external_tag = x.tag
  where j.gone_at is null;
end $$;

-- Tags of people who left: nobody comes back by an import.
create function people.import_gone(a_source text, a_tags bytea[]) returns integer
language sql stable security definer set search_path = pg_catalog as $$
  select count(*)::integer from people.joined j where j.source = a_source and j.external_tag = any(a_tags[1:1000]) and j.gone_at is not null
$$;

-- Up to 1000 people with three values each. New ones get their tag, if they have one; known ones new values.
create function people.import_batch(a_source text, a_new boolean[], a_ids uuid[], a_handles text[], a_units text[], a_states text[],
  a_tags bytea[], a_versions bigint[], a_values bytea[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer := coalesce(array_length(a_handles, 1), 0);
begin
  if n not between 1 and 1000 or array[array_length(a_new, 1), array_length(a_ids, 1), array_length(a_units, 1),
    array_length(a_states, 1), array_length(a_tags, 1), array_length(a_versions, 1), array_length(a_values, 1)]
    <> array[n, n, n, n, n, 3 * n, 3 * n] then
    raise exception 'a batch holds 1 to 1000 whole persons' using errcode = '22023';
  end if;
  -- A known person is known to this very source.
  if exists (select from unnest(a_new, a_handles) as x(fresh, h)
    where not x.fresh and not exists (select from people.joined j where j.handle = x.h and j.source = a_source and j.gone_at is null)) then
    raise exception 'not a person of this source' using errcode = '42501';
  end if;
  if exists (select from generate_series(1, n) i, generate_series(1, 3) f where not a_new[i]
    and coalesce(a_versions[3 * (i - 1) + f], 0) not between 1 and coalesce((select v.version from people.version v where v.subject = a_handles[i]
      and v.field = (array['name', 'number', 'email'])[f]), 0)) then
    raise exception 'a version that was not handed out' using errcode = '22023';
  end if;
  insert into people.person (handle, unit, member_state)
  select h, nullif(u, ''), nullif(s, '') from unnest(a_new, a_handles, a_units, a_states) with ordinality as x(fresh, h, u, s, i)
  where fresh order by i;
  insert into people.joined (id, handle, source, external_tag, own_unit)
  select d, h, a_source, t, nullif(u, '') from unnest(a_new, a_ids, a_handles, a_units, a_tags) with ordinality as x(fresh, d, h, u, t, i)
  where fresh and t is not null order by i;
  update people.joined j set version = j.version + 1, changed_at = now(), own_unit = nullif(x.u, '')
  from unnest(a_new, a_handles, a_units) as x(fresh, h, u) where not x.fresh and j.handle = x.h;
  update people.person p set unit = nullif(x.u, ''), member_state = nullif(x.s, '')
  from unnest(a_new, a_handles, a_units, a_states) as x(fresh, h, u, s) where not x.fresh and p.handle = x.h;
  insert into people.arriving (subject, field, version, outer_layer)
  select a_handles[i], (array['name', 'number', 'email'])[f], case when a_new[i] then 1 else a_versions[3 * (i - 1) + f] end,
    a_values[3 * (i - 1) + f]
  from generate_series(1, n) i, generate_series(1, 3) f order by i, f;
end $$;

-- The record of a whole import, in its transaction; the same import is stored once.
create function people.import_sent(a_id uuid, a_accepted integer, a_admin text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into people.import (id, source, accepted, refused) values (a_id, 'browser', a_accepted, 0) on conflict (id) do nothing;
  if not found then return false; end if;
  perform log.emit('directory.imported', a_admin, null, null, jsonb_build_object('import', a_id, 'people', a_accepted));
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

revoke all on function people.import_known(text, bytea[]), people.import_gone(text, bytea[]),
  people.import_batch(text, boolean[], uuid[], text[], text[], text[], bytea[], bigint[], bytea[]),
  people.import_sent(uuid, integer, text) from public;
grant execute on function people.import_known(text, bytea[]), people.import_gone(text, bytea[]),
  people.import_batch(text, boolean[], uuid[], text[], text[], text[], bytea[], bigint[], bytea[]),
  people.import_sent(uuid, integer, text) to bartizan_intake;
