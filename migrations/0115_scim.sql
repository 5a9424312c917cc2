-- Room: people. People and units that an identity provider or a personnel system keeps up to date (SCIM, RFC 7644). They are
-- found by tags alone: HMAC-SHA256 under a key that only intake's files hold. Never by name, number or address.
create table people.joined (
  id uuid primary key,
  -- no reference: the row outlives an erased person, so that nobody makes that person anew
  handle text not null unique check (handle ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  source text not null check (source ~ '^[a-z0-9][a-z0-9-]{0,30}$'),
  user_tag bytea check (octet_length(user_tag) = 32),
  external_tag bytea check (octet_length(external_tag) = 32),
  active boolean not null default true,
  version bigint not null default 1,
  -- what the source itself said; else the unit of the person's group
  own_unit text check (length(own_unit) <= 64),
  -- values that were sealed for this person today
  writes integer not null default 0,
  writes_on date not null default current_date,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  gone_at timestamptz,
  unique (source, user_tag),
  unique (source, external_tag)
);

create table people.scim_group (
  id uuid primary key,
  source text not null check (source ~ '^[a-z0-9][a-z0-9-]{0,30}$'),
  name_tag bytea not null check (octet_length(name_tag) = 32),
  external_tag bytea check (octet_length(external_tag) = 32),
  -- how the operator calls it; a name that a provider sends is not kept
  unit text check (length(unit) <= 64),
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  unique (source, name_tag),
  unique (source, external_tag)
);

create table people.scim_member (
  group_id uuid not null references people.scim_group on delete cascade,
  person uuid not null references people.joined on delete cascade,
  primary key (group_id, person)
);
create index scim_member_person on people.scim_member (person);

-- Whoever is erased keeps the external tag, as a tombstone: the same person is not made again by the next synchronisation.
create function people.join_ends() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update people.joined set active = false, user_tag = null, own_unit = null, gone_at = coalesce(gone_at, now()) where handle = old.handle;
  delete from people.scim_member where person in (select id from people.joined where handle = old.handle);
  return null;
end $$;
revoke all on function people.join_ends() from public;
create trigger join_ends after delete on people.person for each row execute function people.join_ends();

-- A person's unit: what the source said, else that of the group, which bears a mark as long as nobody has named it.
create function people.set_units(a_people uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update people.person p set unit = coalesce(j.own_unit, (
    select coalesce(g.unit, 'group-' || right(g.id::text, 8)) from people.scim_member m join people.scim_group g on g.id = m.group_id
    where m.person = j.id order by g.unit is null, g.created_at, g.id limit 1))
  from people.joined j where j.id = any(a_people) and j.handle = p.handle
$$;

-- Who bears this tag. All that intake ever reads of a person: our own id, whether active, and which version.
create function people.scim_find(a_source text, a_kind text, a_tag bytea)
returns table (id uuid, active boolean, version bigint, created_at timestamptz, changed_at timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
  select j.id, j.active, j.version, j.created_at, j.changed_at from people.joined j
  where j.source = a_source and j.gone_at is null
    and case a_kind when 'user' then j.user_tag = a_tag when 'external' then j.external_tag = a_tag end
$$;

create function people.scim_get(a_source text, a_id uuid)
returns table (id uuid, active boolean, version bigint, created_at timestamptz, changed_at timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
  select j.id, j.active, j.version, j.created_at, j.changed_at from people.joined j
  where j.source = a_source and j.id = a_id and j.gone_at is null
$$;

-- What sealing a person's new values needs: who it is, and the versions that come next.
create function people.scim_next(a_source text, a_id uuid, a_fields text[])
returns table (handle text, versions bigint[])
language sql volatile security definer set search_path = pg_catalog as $$
  select j.handle, array(select people.next_version(j.handle, f) from unnest(a_fields[1:3]) f where f in ('name', 'number', 'email'))
  from people.joined j where j.source = a_source and j.id = a_id and j.gone_at is null
$$;

-- A new person with all three values. `taken`: the tags are somebody's; `gone`: they were somebody's who left.
create function people.scim_create(a_source text, a_id uuid, a_handle text, a_user_tag bytea, a_external_tag bytea, a_unit text,
  a_state text, a_active boolean, a_name bytea, a_number bytea, a_email bytea) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  held record;
begin
  select j.gone_at into held from people.joined j where j.source = a_source
    and (j.user_tag = a_user_tag or j.external_tag = a_external_tag) order by j.gone_at nulls first limit 1;
  if found then return case when held.gone_at is null then 'taken' else 'gone' end; end if;
  insert into people.person (handle, unit, member_state, left_at)
  values (a_handle, nullif(a_unit, ''), nullif(a_state, ''), case when a_active then null else now() end);
  insert into people.joined (id, handle, source, user_tag, external_tag, active, own_unit)
  values (a_id, a_handle, a_source, a_user_tag, a_external_tag, a_active, nullif(a_unit, ''));
  insert into people.arriving (subject, field, version, outer_layer)
  values (a_handle, 'name', 1, a_name), (a_handle, 'number', 1, a_number), (a_handle, 'email', 1, a_email);
  perform log.emit('directory.person_added', 'intake', null, a_handle, jsonb_build_object('from', a_source));
  perform pg_notify('bartizan_work', '');
  return 'ok';
exception when unique_violation then
  -- a handle that somebody took in this moment is drawn again
  return case when exists (select from people.joined j where j.source = a_source and (j.user_tag = a_user_tag or j.external_tag = a_external_tag))
    then 'taken' else 'again' end;
end $$;

-- Changes what was said. Values come sealed for versions that `scim_next` handed out; which one counts is the ledger's to say.
create function people.scim_change(a_source text, a_id uuid, a_if_version bigint, a_user_tag bytea, a_set_external boolean,
  a_external_tag bytea, a_set_unit boolean, a_unit text, a_state text, a_active boolean, a_fields text[], a_versions bigint[],
  a_values bytea[]) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  j people.joined;
  n integer := coalesce(array_length(a_fields, 1), 0);
begin
  select * into j from people.joined where source = a_source and id = a_id and gone_at is null for update;
  if not found then return 'unknown'; end if;
  if a_if_version is not null and a_if_version <> j.version then return 'stale'; end if;
  if n > 3 or coalesce(array_length(a_versions, 1), 0) <> n or coalesce(array_length(a_values, 1), 0) <> n then
    raise exception 'whole values only' using errcode = '22023';
  end if;
  if j.writes_on = current_date and j.writes + n > 120 then return 'too-many'; end if;
  for i in 1 .. n loop
    if a_fields[i] is null or a_fields[i] not in ('name', 'number', 'email') then
      raise exception 'not a person''s field' using errcode = '42501';
    end if;
    if a_versions[i] is null or a_versions[i] > (select v.version from people.version v
      where v.subject = j.handle and v.field = a_fields[i]) then
      raise exception 'a version that was not handed out' using errcode = '22023';
    end if;
    insert into people.arriving (subject, field, version, outer_layer) values (j.handle, a_fields[i], a_versions[i], a_values[i]);
  end loop;
  update people.joined set version = version + 1, changed_at = now(), user_tag = coalesce(a_user_tag, user_tag),
    external_tag = case when a_set_external then a_external_tag else external_tag end, active = coalesce(a_active, active),
    own_unit = case when a_set_unit then nullif(a_unit, '') else own_unit end,
    writes = n + case when writes_on = current_date then writes else 0 end, writes_on = current_date
  where id = a_id;
  if a_active is distinct from j.active and a_active is not null then
    update people.person set left_at = case when a_active then null else now() end where handle = j.handle;
  end if;
  if a_state is not null then update people.person set member_state = nullif(a_state, '') where handle = j.handle; end if;
  if a_set_unit then perform people.set_units(array[a_id]); end if;
  perform log.emit(case when a_active is not distinct from j.active or a_active is null then 'directory.person_changed'
      when a_active then 'directory.person_back' else 'directory.person_suspended' end,
    'intake', null, j.handle, jsonb_build_object('from', a_source, 'fields', to_jsonb(coalesce(a_fields, '{}'))));
  if n > 0 then perform pg_notify('bartizan_work', ''); end if;
  return 'ok';
exception when unique_violation then
  return 'taken';
end $$;

-- The source says that somebody is gone. The external tag stays: the same person does not come back by itself.
create function people.scim_delete(a_source text, a_id uuid, a_if_version bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  j people.joined;
begin
  select * into j from people.joined where source = a_source and id = a_id and gone_at is null for update;
  if not found then return 'unknown'; end if;
  if a_if_version is not null and a_if_version <> j.version then return 'stale'; end if;
  update people.joined set active = false, user_tag = null, gone_at = now(), changed_at = now(), version = version + 1 where id = a_id;
  delete from people.scim_member where person = a_id;
  update people.person set left_at = coalesce(left_at, now()) where handle = j.handle;
  perform log.emit('directory.person_gone', 'intake', null, j.handle, jsonb_build_object('from', a_source));
  return 'ok';
end $$;

create function people.scim_group_find(a_source text, a_kind text, a_tag bytea)
returns table (id uuid, version bigint, created_at timestamptz, changed_at timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
  select g.id, g.version, g.created_at, g.changed_at from people.scim_group g
  where g.source = a_source and case a_kind when 'name' then g.name_tag = a_tag when 'external' then g.external_tag = a_tag end
$$;

create function people.scim_group_get(a_source text, a_id uuid)
returns table (id uuid, version bigint, created_at timestamptz, changed_at timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
  select g.id, g.version, g.created_at, g.changed_at from people.scim_group g where g.source = a_source and g.id = a_id
$$;

-- Makes or changes a group. Members are our own ids; one that is nobody's is `member`, and nothing is done.
create function people.scim_group_put(a_source text, a_id uuid, a_new boolean, a_if_version bigint, a_name_tag bytea,
  a_set_external boolean, a_external_tag bytea, a_replaces boolean, a_add uuid[], a_remove uuid[]) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  g people.scim_group;
  touched uuid[];
begin
  if coalesce(array_length(a_add, 1), 0) > 5000 or coalesce(array_length(a_remove, 1), 0) > 5000 then
    raise exception 'too many members' using errcode = '22023';
  end if;
  if a_new then
    insert into people.scim_group (id, source, name_tag, external_tag) values (a_id, a_source, a_name_tag, a_external_tag);
  else
    select * into g from people.scim_group where source = a_source and id = a_id for update;
    if not found then return 'unknown'; end if;
    if a_if_version is not null and a_if_version <> g.version then return 'stale'; end if;
  end if;
  if (select count(*) from people.joined j where j.id = any(a_add) and j.source = a_source and j.gone_at is null)
    <> (select count(distinct x) from unnest(a_add) x) then
    if a_new then delete from people.scim_group where id = a_id; end if;
    return 'member';
  end if;
  if not a_new then
    update people.scim_group set version = version + 1, changed_at = now(), name_tag = coalesce(a_name_tag, name_tag),
      external_tag = case when a_set_external then a_external_tag else external_tag end where id = a_id;
  end if;
  touched := array(select m.person from people.scim_member m where m.group_id = a_id
    and (m.person = any(a_remove) or (a_replaces and m.person <> all(a_add))));
  delete from people.scim_member m where m.group_id = a_id and m.person = any(touched);
  insert into people.scim_member (group_id, person) select a_id, x from (select distinct unnest(a_add)) u(x) on conflict do nothing;
  perform people.set_units(touched || a_add);
  perform log.emit('directory.group_changed', 'intake', null, null, jsonb_build_object('from', a_source, 'group', a_id,
    'added', coalesce(array_length(a_add, 1), 0), 'removed', coalesce(array_length(touched, 1), 0)));
  return 'ok';
exception when unique_violation then
  return 'taken';
end $$;

create function people.scim_group_delete(a_source text, a_id uuid, a_if_version bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  g people.scim_group;
  touched uuid[];
begin
  select * into g from people.scim_group where source = a_source and id = a_id for update;
  if not found then return 'unknown'; end if;
  if a_if_version is not null and a_if_version <> g.version then return 'stale'; end if;
  touched := array(select person from people.scim_member where group_id = a_id);
  delete from people.scim_group where id = a_id;
  perform people.set_units(touched);
  perform log.emit('directory.group_changed', 'intake', null, null,
    jsonb_build_object('from', a_source, 'group', a_id, 'added', 0, 'removed', coalesce(array_length(touched, 1), 0)));
  return 'ok';
end $$;

-- The operator says how a group's unit is called. False if there is no such group.
create function people.name_group(a_id uuid, a_unit text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update people.scim_group set unit = nullif(a_unit, '') where id = a_id;
  if not found then return false; end if;
  perform people.set_units(array(select person from people.scim_member where group_id = a_id));
  return true;
end $$;

-- What was refused since the last call, by reason: one event each, however many requests.
create function people.intake_refused(a_counts jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r record;
begin
  for r in select key, value from jsonb_each_text(a_counts) limit 32 loop
    perform log.emit('intake.refused', 'intake', null, null,
      jsonb_build_object('reason', left(r.key, 64), 'count', r.value::bigint));
  end loop;
end $$;

-- The operator made or revoked tokens: how many count now, and for which sources.
create function people.intake_tokens(a_count integer, a_sources text[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('intake.tokens', 'intake', null, null, jsonb_build_object('count', a_count, 'sources', to_jsonb(a_sources[1:20])))
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('directory.person_added', 3004, 1, 1, 'a person was sealed into the directory by a synchronisation'),
  ('directory.person_changed', 3004, 3, 1, 'a synchronisation sealed new values for a person'),
  ('directory.person_suspended', 3004, 3, 2, 'a synchronisation said that a person is not active'),
  ('directory.person_back', 3004, 3, 2, 'a synchronisation said that a person is active again'),
  ('directory.person_gone', 3004, 4, 2, 'a synchronisation said that a person is gone'),
  ('directory.group_changed', 3004, 3, 1, 'a synchronisation changed who belongs to a unit'),
  ('intake.refused', 4002, 99, 2, 'requests to intake were refused (counted)'),
  ('intake.tokens', 3001, 3, 2, 'the tokens with which others push people were changed');

revoke all on function people.set_units(uuid[]), people.scim_find(text, text, bytea), people.scim_get(text, uuid),
  people.scim_next(text, uuid, text[]),
  people.scim_create(text, uuid, text, bytea, bytea, text, text, boolean, bytea, bytea, bytea),
  people.scim_change(text, uuid, bigint, bytea, boolean, bytea, boolean, text, text, boolean, text[], bigint[], bytea[]),
  people.scim_delete(text, uuid, bigint), people.scim_group_find(text, text, bytea), people.scim_group_get(text, uuid),
  people.scim_group_put(text, uuid, boolean, bigint, bytea, boolean, bytea, boolean, uuid[], uuid[]),
  people.scim_group_delete(text, uuid, bigint), people.name_group(uuid, text), people.intake_refused(jsonb),
  people.intake_tokens(integer, text[]) from public;
grant execute on function people.scim_find(text, text, bytea), people.scim_get(text, uuid), people.scim_next(text, uuid, text[]),
  people.scim_create(text, uuid, text, bytea, bytea, text, text, boolean, bytea, bytea, bytea),
  people.scim_change(text, uuid, bigint, bytea, boolean, bytea, boolean, text, text, boolean, text[], bigint[], bytea[]),
  people.scim_delete(text, uuid, bigint), people.scim_group_find(text, text, bytea), people.scim_group_get(text, uuid),
  people.scim_group_put(text, uuid, boolean, bigint, bytea, boolean, bytea, boolean, uuid[], uuid[]),
  people.scim_group_delete(text, uuid, bigint), people.intake_refused(jsonb), people.intake_tokens(integer, text[])
to bartizan_intake;
-- the operator's program works with core's rights
grant execute on function people.name_group(uuid, text) to bartizan_core;
grant select (id, source, unit, version, created_at) on people.scim_group to bartizan_core;
