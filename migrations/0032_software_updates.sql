-- Room: fleet. Software updates by declaration: what Apple signs for which model, who shall have what by when.
create table fleet.os_release (
  version text not null check (version ~ '^[0-9]{1,3}([.][0-9]{1,3}){0,2}$'),
  build text not null check (build ~ '^[0-9]{1,3}[A-Z][0-9]{1,5}[a-z]?$'),
  posted date not null,
  expires date,
  -- model identifiers such as iPhone15,4
  models text[] not null,
  primary key (version, build)
);
create table fleet.os_feed (
  one boolean primary key default true check (one),
  source text not null check (length(source) <= 200),
  taken_at timestamptz not null default now(),
  releases integer not null
);
create table fleet.update_plan (
  id uuid primary key,
  name text not null unique check (length(name) between 1 and 60),
  -- everyone, if there is none
  group_id uuid references fleet.device_group,
  -- the newest that each model can have, if there is none
  version text,
  build text,
  -- on the device's own clock, without a zone
  deadline timestamp not null,
  details_url text check (length(details_url) <= 2048),
  created_by text not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  ended_by text
);
create table fleet.update_set (
  plan_id uuid not null references fleet.update_plan,
  set_id uuid not null references fleet.declaration_set,
  version text not null,
  build text not null,
  primary key (plan_id, set_id)
);
create index update_set_of on fleet.update_set (set_id);

-- A whole feed; releases that are no longer in it go.
create function fleet.put_releases(a_releases jsonb, a_source text, a_by text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  if jsonb_array_length(a_releases) not between 1 and 2000 then raise exception 'an odd feed' using errcode = '22023'; end if;
  delete from fleet.os_release;
  insert into fleet.os_release (version, build, posted, expires, models)
  select r.version, r.build, r.posted, r.expires, array(select jsonb_array_elements_text(r.models))
  from jsonb_to_recordset(a_releases) as r(version text, build text, posted date, expires date, models jsonb);
  get diagnostics n = row_count;
  insert into fleet.os_feed (source, releases) values (a_source, n)
  on conflict (one) do update set source = excluded.source, releases = excluded.releases, taken_at = now();
  perform log.emit('update.feed', a_by, null, null, jsonb_build_object('releases', n));
  return n;
end $$;

create function fleet.end_update(a_plan uuid, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.update_plan set ended_at = now(), ended_by = a_by, name = left(name, 50) || ' ' || left(id::text, 8)
  where id = a_plan and ended_at is null;
  if not found then return false; end if;
  perform fleet.remove_set(u.set_id, a_by) from fleet.update_set u where u.plan_id = a_plan;
  perform log.emit('update.ended', a_by, null, null, jsonb_build_object('plan', a_plan));
  return true;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('update.feed', 6002, 3, 1, 'the list of system versions was read anew'),
  ('update.planned', 6002, 1, 2, 'a software update with a deadline was planned'),
  ('update.ended', 6002, 4, 2, 'a planned software update was ended');

revoke all on function fleet.put_releases(jsonb, text, text), fleet.end_update(uuid, text) from public;
grant execute on function fleet.put_releases(jsonb, text, text) to bartizan_core, bartizan_console;
grant execute on function fleet.end_update(uuid, text) to bartizan_console;
grant select on fleet.os_release, fleet.os_feed, fleet.update_plan, fleet.update_set to bartizan_core, bartizan_console;
grant insert on fleet.update_set to bartizan_core;
grant insert (id, name, group_id, version, build, deadline, details_url, created_by) on fleet.update_plan to bartizan_console;
