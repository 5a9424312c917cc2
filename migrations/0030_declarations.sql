-- Room: fleet. Declarative device management: what devices should be, in signed declarations; what they say they are.

create table fleet.declaration (
  id uuid primary key,
  identifier text not null unique check (identifier ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  kind text not null check (kind in ('activation', 'asset', 'configuration', 'management')),
  type text not null check (length(type) between 1 and 200),
  -- who keeps it: an administrator, or we for a set or for a software update
  origin text not null default 'administrator' check (origin in ('administrator', 'set', 'update', 'standard')),
  created_by text not null,
  created_at timestamptz not null default now(),
  removed_at timestamptz
);

create table fleet.declaration_version (
  declaration_id uuid not null references fleet.declaration,
  version integer not null check (version > 0),
  payload jsonb not null check (octet_length(payload::text) <= 1048576),
  -- unknown types and keys pass; then a second administrator has to agree
  unchecked boolean not null default false,
  state text not null default 'proposed'
    check (state in ('proposed', 'awaiting-second', 'current', 'superseded', 'refused', 'withdrawn')),
  reason text check (length(reason) <= 500),
  -- ServerToken and the exact bytes for devices, signed by core; null until core has checked the version
  token text,
  body bytea,
  signature bytea,
  author text not null,
  agreed_by text check (agreed_by <> author),
  created_at timestamptz not null default now(),
  decided_at timestamptz,
  primary key (declaration_id, version),
  check (state not in ('current', 'superseded') or (token is not null and body is not null and signature is not null))
);
create unique index declaration_current on fleet.declaration_version (declaration_id) where state = 'current';
create index declaration_proposed on fleet.declaration_version (created_at) where state = 'proposed';

-- What belongs together and goes to the same devices. What switches a set's configurations on is made by us.
create table fleet.declaration_set (
  id uuid primary key,
  name text not null unique check (length(name) between 1 and 80),
  predicate text check (length(predicate) <= 2000),
  everyone boolean not null default false,
  origin text not null default 'administrator' check (origin in ('administrator', 'update', 'standard')),
  created_by text not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  removed_at timestamptz
);
create table fleet.set_declaration (
  set_id uuid not null references fleet.declaration_set,
  declaration_id uuid not null references fleet.declaration,
  primary key (set_id, declaration_id)
);
create index set_declaration_of on fleet.set_declaration (declaration_id);
create table fleet.set_group (
  set_id uuid not null references fleet.declaration_set,
  group_id uuid not null references fleet.device_group,
  primary key (set_id, group_id)
);
create index set_group_of on fleet.set_group (group_id);
create table fleet.set_device (
  set_id uuid not null references fleet.declaration_set,
  device_id bigint not null references fleet.device,
  primary key (set_id, device_id)
);
create index set_device_of on fleet.set_device (device_id);

-- The list that all devices with the same sets share: a change of one set touches a few lists, however many devices.
create table fleet.declared_list (
  -- counted by core, which signs it
  id bigint primary key,
  sets uuid[] not null,
  key bytea not null unique check (octet_length(key) = 32),
  -- DeclarationsToken, items [{kind, identifier, token}] and since when, Unix seconds; signed by core
  token text not null,
  items jsonb not null,
  at bigint not null,
  signature bytea not null,
  -- the token that its devices were told of, and when
  nudged_token text,
  nudged_at timestamptz
);
create table fleet.declared_device (
  device_id bigint primary key references fleet.device,
  list_id bigint not null references fleet.declared_list,
  -- core's word that this device has this list
  signature bytea not null,
  -- it has another list than before and is to be told
  due boolean not null default false,
  fetched_token text,
  fetched_at timestamptz
);
alter table fleet.declared_device set (fillfactor = 80);
create index declared_device_list on fleet.declared_device (list_id);
create index declared_device_due on fleet.declared_device (list_id) where due;

-- Work for core: what must be computed anew. A row is gone in the transaction that did it.
create table fleet.stale_set (set_id uuid primary key references fleet.declaration_set);
create table fleet.stale_device (device_id bigint primary key references fleet.device);

-- Data that declarations point to. The address is 256 random bits; a declaration holds the content's hash.
create table fleet.declared_data (
  id text primary key check (id ~ '^[A-Za-z0-9_-]{43}$'),
  name text not null check (length(name) between 1 and 80),
  content_type text not null check (content_type ~ '^[a-z0-9.+-]+/[a-z0-9.+-]+$'),
  content bytea not null check (octet_length(content) between 1 and 524288),
  sha256 bytea not null check (octet_length(sha256) = 32),
  created_by text not null,
  created_at timestamptz not null default now()
);

-- What devices report, allow-listed paths only: single values, lists by identifier, errors by item.
create table fleet.declared_status (
  device_id bigint primary key references fleet.device,
  "values" jsonb not null default '{}',
  lists jsonb not null default '{}',
  errors jsonb not null default '{}',
  reports bigint not null default 0,
  reported_at timestamptz not null default now(),
  full_at timestamptz
);
create table fleet.declared_state (
  device_id bigint not null references fleet.device,
  kind text not null,
  identifier text not null,
  token text not null,
  active boolean not null,
  valid text not null check (valid in ('valid', 'invalid', 'unknown')),
  reasons jsonb not null default '[]',
  since timestamptz not null default now(),
  primary key (device_id, kind, identifier)
);
create index declared_state_bad on fleet.declared_state (identifier) where valid = 'invalid' or not active;
create table fleet.status_change (
  id bigint generated always as identity primary key,
  device_id bigint not null references fleet.device,
  path text not null,
  before jsonb,
  after jsonb,
  at timestamptz not null default now()
);
create index status_change_device on fleet.status_change (device_id, id);

-- Devices in a set's scope.
create function fleet.set_scope(a_set uuid) returns setof bigint
language sql stable security definer set search_path = pg_catalog as $$
  select d.id from fleet.device d where (select s.everyone from fleet.declaration_set s where s.id = a_set)
  union select m.device_id from fleet.set_group g join fleet.group_member m on m.group_id = g.group_id where g.set_id = a_set
  union select s.device_id from fleet.set_device s where s.set_id = a_set
$$;

-- Makes a set what is named here; only what differs becomes work. Returns whether there was any difference.
create function fleet.change_set(a_set uuid, a_name text, a_predicate text, a_everyone boolean, a_declarations uuid[],
  a_groups uuid[], a_devices bigint[], a_origin text, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  o fleet.declaration_set;
  n integer;
  changed boolean := false;
begin
  insert into fleet.declaration_set (id, name, origin, created_by) values (a_set, a_name, a_origin, a_by)
  on conflict (id) do nothing;
  if found then changed := true; end if;
  select * into o from fleet.declaration_set where id = a_set for update;
  if o.removed_at is not null then raise exception 'the set was removed' using errcode = '22023'; end if;
  if o.origin <> a_origin then raise exception 'not a set of this kind' using errcode = '42501'; end if;
  if o.name is distinct from a_name or o.predicate is distinct from a_predicate then changed := true; end if;
  if o.everyone <> a_everyone then
    insert into fleet.stale_device select d.id from fleet.device d where d.state = 'enrolled' on conflict do nothing;
    changed := true;
  end if;
  with gone as (delete from fleet.set_group g where g.set_id = a_set and not g.group_id = any(a_groups) returning g.group_id),
    came as (insert into fleet.set_group select a_set, x from unnest(a_groups) x on conflict do nothing returning group_id),
    differ as (select group_id from gone union select group_id from came),
    work as (insert into fleet.stale_device select distinct m.device_id from fleet.group_member m join differ using (group_id)
      on conflict do nothing)
  select count(*) into n from differ;
  changed := changed or n > 0;
  with gone as (delete from fleet.set_device s where s.set_id = a_set and not s.device_id = any(a_devices) returning s.device_id),
    came as (insert into fleet.set_device select a_set, x from unnest(a_devices) x on conflict do nothing returning device_id),
    differ as (select device_id from gone union select device_id from came),
    work as (insert into fleet.stale_device select device_id from differ on conflict do nothing)
  select count(*) into n from differ;
  changed := changed or n > 0;
  with gone as (delete from fleet.set_declaration x using fleet.declaration d where x.set_id = a_set
      and d.id = x.declaration_id and d.origin <> 'set' and not d.id = any(a_declarations) returning 1),
    came as (insert into fleet.set_declaration select a_set, d.id from fleet.declaration d where d.id = any(a_declarations)
      and d.removed_at is null on conflict do nothing returning 1)
  select (select count(*) from gone) + (select count(*) from came) into n;
  changed := changed or n > 0;
  if changed then
    update fleet.declaration_set set name = a_name, predicate = a_predicate, everyone = a_everyone, changed_at = now()
    where id = a_set;
    insert into fleet.stale_set values (a_set) on conflict do nothing;
    perform log.emit('declaration.set_changed', a_by, null, null, jsonb_build_object('set', a_set,
      'declarations', cardinality(a_declarations), 'groups', cardinality(a_groups), 'devices', cardinality(a_devices),
      'everyone', a_everyone));
    perform pg_notify('bartizan_work', '');
  end if;
  return changed;
end $$;

create function fleet.remove_set(a_set uuid, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.stale_device select d.id from fleet.set_scope(a_set) s(id) join fleet.device d using (id)
  where d.state = 'enrolled' on conflict do nothing;
  update fleet.declaration_set set removed_at = now(), everyone = false, name = left(name, 60) || ' ' || left(id::text, 8)
  where id = a_set and removed_at is null;
  if not found then return false; end if;
  delete from fleet.set_group where set_id = a_set;
  delete from fleet.set_device where set_id = a_set;
  perform log.emit('declaration.set_changed', a_by, null, null, jsonb_build_object('set', a_set, 'removed', true));
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

-- Work for core, taken away in core's transaction: at most `a_limit` devices with the sets that are theirs now.
create function fleet.take_stale_devices(a_limit integer)
returns table (device_id bigint, handle text, sets uuid[], list_id bigint, fetched boolean)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  return query
    with taken as (delete from fleet.stale_device s where s.device_id in (select x.device_id from fleet.stale_device x
        order by x.device_id limit a_limit for update skip locked) returning s.device_id),
      wide as (select s.id from fleet.declaration_set s where s.everyone and s.removed_at is null),
      given as (
        select t.device_id, g.set_id from taken t join fleet.group_member m on m.device_id = t.device_id
          join fleet.set_group g on g.group_id = m.group_id join fleet.declaration_set s on s.id = g.set_id and s.removed_at is null
        union select t.device_id, x.set_id from taken t join fleet.set_device x on x.device_id = t.device_id
          join fleet.declaration_set s on s.id = x.set_id and s.removed_at is null
        union select t.device_id, w.id from taken t cross join wide w),
      -- whoever has any set has the standard one too
      theirs as (select * from given union select g.device_id, s.id from given g
        cross join fleet.declaration_set s where s.origin = 'standard' and s.removed_at is null)
    select d.id, d.handle, coalesce(array_agg(th.set_id order by th.set_id) filter (where th.set_id is not null), '{}'),
      dd.list_id, dd.fetched_token is not null
    from taken t join fleet.device d on d.id = t.device_id and d.state = 'enrolled'
      left join theirs th on th.device_id = t.device_id left join fleet.declared_device dd on dd.device_id = t.device_id
    group by d.id, d.handle, dd.list_id, dd.fetched_token order by d.id;
end $$;

create function fleet.take_stale_sets() returns setof uuid
language sql volatile security definer set search_path = pg_catalog as $$
  delete from fleet.stale_set returning set_id
$$;

-- Whoever joins or leaves a group is work if a set goes to that group.
create function fleet.group_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into fleet.stale_device select distinct c.device_id from changed c join fleet.set_group g on g.group_id = c.group_id
  on conflict do nothing;
  return null;
end $$;
create trigger group_joined after insert on fleet.group_member referencing new table as changed
  for each statement execute function fleet.group_changed();
create trigger group_left after delete on fleet.group_member referencing old table as changed
  for each statement execute function fleet.group_changed();

-- A device that enrols knows nothing any more and has not reported yet.
create function fleet.declared_anew() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (select from fleet.declaration_set where removed_at is null and (everyone or origin <> 'standard')) then
    insert into fleet.stale_device values (new.id) on conflict do nothing;
  end if;
  update fleet.declared_device set fetched_token = null, fetched_at = null, due = true where device_id = new.id;
  if found then
    delete from fleet.declared_state where device_id = new.id;
    delete from fleet.declared_status where device_id = new.id;
  end if;
  return null;
end $$;
create trigger declared_anew after update of state on fleet.device for each row
  when (new.state = 'enrolled' and old.state is distinct from new.state) execute function fleet.declared_anew();
create trigger declared_first after insert on fleet.device for each row
  when (new.state = 'enrolled') execute function fleet.declared_anew();

-- A second administrator agrees to what nobody can check, or throws it out.
create function fleet.second_declaration(a_declaration uuid, a_version integer, a_agree boolean, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.declaration_version v set
    state = case when a_agree then 'proposed' else 'withdrawn' end,
    agreed_by = case when a_agree then a_by end,
    decided_at = case when a_agree then null else now() end,
    reason = case when a_agree then null else 'not-agreed' end
  where v.declaration_id = a_declaration and v.version = a_version and v.state = 'awaiting-second'
    and (not a_agree or v.author <> a_by);
  if not found then return false; end if;
  perform log.emit('declaration.seconded', a_by, null, null,
    jsonb_build_object('declaration', a_declaration, 'version', a_version, 'agreed', a_agree));
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

-- Takes a declaration out of every set. What was sent stays on record.
create function fleet.remove_declaration(a_declaration uuid, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.declaration set removed_at = now() where id = a_declaration and removed_at is null and origin = 'administrator';
  if not found then return false; end if;
  with gone as (delete from fleet.set_declaration where declaration_id = a_declaration returning set_id)
  insert into fleet.stale_set select set_id from gone on conflict do nothing;
  update fleet.declaration_version set state = 'withdrawn', decided_at = now()
  where declaration_id = a_declaration and state in ('proposed', 'awaiting-second');
  perform log.emit('declaration.removed', a_by, null, null, jsonb_build_object('declaration', a_declaration));
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('declaration.proposed', 6002, 1, 2, 'a declaration was written or changed'),
  ('declaration.seconded', 6002, 3, 2, 'a second administrator decided about a declaration that cannot be checked'),
  ('declaration.signed', 6002, 3, 2, 'a declaration passed the checks and was signed'),
  ('declaration.refused', 6002, 99, 3, 'a declaration did not pass the checks before signing'),
  ('declaration.removed', 6002, 4, 2, 'a declaration was taken out of use'),
  ('declaration.set_changed', 6002, 3, 2, 'a set of declarations or its scope was changed'),
  ('declaration.nudged', 6003, 1, 1, 'devices whose declarations changed were told to look'),
  ('declaration.invalid', 5019, 99, 3, 'a device says that a declaration is invalid'),
  ('declaration.drift', 5019, 99, 3, 'a declaration that was active on a device is no longer'),
  ('declaration.unsigned', 6003, 99, 5, 'a declaration or list without our signature was about to reach a device');
update log.kind set urgent = false where kind in ('declaration.invalid', 'declaration.drift', 'declaration.nudged');

revoke all on function fleet.set_scope(uuid), fleet.change_set(uuid, text, text, boolean, uuid[], uuid[], bigint[], text, text),
  fleet.remove_set(uuid, text), fleet.take_stale_devices(integer), fleet.take_stale_sets(), fleet.group_changed(),
  fleet.declared_anew(), fleet.second_declaration(uuid, integer, boolean, text), fleet.remove_declaration(uuid, text) from public;
grant execute on function fleet.set_scope(uuid), fleet.change_set(uuid, text, text, boolean, uuid[], uuid[], bigint[], text, text),
  fleet.remove_set(uuid, text) to bartizan_core, bartizan_console;
grant execute on function fleet.take_stale_devices(integer), fleet.take_stale_sets() to bartizan_core;
grant execute on function fleet.second_declaration(uuid, integer, boolean, text), fleet.remove_declaration(uuid, text) to bartizan_console;
grant select, insert, update on fleet.declaration, fleet.declaration_version, fleet.declared_list, fleet.declared_device to bartizan_core;
grant select, insert on fleet.set_declaration, fleet.stale_set, fleet.stale_device to bartizan_core;
grant select on fleet.declaration_set, fleet.set_group, fleet.set_device, fleet.declared_status, fleet.declared_state to bartizan_core;
grant select on fleet.declaration, fleet.declaration_set, fleet.set_declaration, fleet.set_group, fleet.set_device, fleet.declared_device,
  fleet.declared_status, fleet.declared_state, fleet.status_change to bartizan_console;
grant select (id, token, items, at, sets, nudged_token, nudged_at) on fleet.declared_list to bartizan_console;
grant select (declaration_id, version, payload, unchecked, state, reason, token, author, agreed_by, created_at, decided_at)
  on fleet.declaration_version to bartizan_console;
grant insert (declaration_id, version, payload, unchecked, state, author) on fleet.declaration_version to bartizan_console;
grant insert (id, identifier, kind, type, created_by) on fleet.declaration to bartizan_console;
grant insert on fleet.declared_data to bartizan_console;
grant select (id, name, content_type, sha256, created_by, created_at) on fleet.declared_data to bartizan_console;
