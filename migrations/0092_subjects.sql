-- Room: fleet. Rollouts carry apps and sets of declarations too, by the same rings and soaks as profiles.

alter table fleet.rollout drop constraint rollout_kind_check, drop constraint rollout_subject_id_fkey, drop constraint rollout_version_id_fkey;
-- What the console names may not be there: core looks before the first ring opens.
alter table fleet.rollout alter column version_id drop not null,
  add constraint rollout_kind_check check (kind in ('profile', 'app', 'set')),
  add constraint rollout_version_check check ((kind = 'set') = (version_id is null));

-- Which version of an app a device was sent last, where it was one.
alter table fleet.app_on add column version_id uuid references fleet.app_version;

-- A set of declarations that goes out by a rollout alone, perhaps in place of another; the gate is gone when the rollout is done.
create table fleet.set_gate (
  set_id uuid primary key references fleet.declaration_set,
  replaces uuid unique references fleet.declaration_set check (replaces <> set_id),
  by_admin text not null,
  at timestamptz not null default now()
);
create table fleet.set_admitted (
  set_id uuid not null references fleet.declaration_set,
  device_id bigint not null references fleet.device,
  at timestamptz not null default clock_timestamp(),
  primary key (set_id, device_id)
);
create index set_admitted_device on fleet.set_admitted (device_id);

create or replace function fleet.take_stale_devices(a_limit integer)
returns table (device_id bigint, handle text, sets uuid[], permits uuid[], list_id bigint, fetched boolean)
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
      -- A gated set goes only to devices that its rollout admitted; whoever was admitted to what replaces a set has that alone.
      let_in as (
        select g.device_id, g.set_id from given g where
          (not exists (select from fleet.set_gate x where x.set_id = g.set_id)
            or exists (select from fleet.set_admitted a where a.set_id = g.set_id and a.device_id = g.device_id))
          and not exists (select from fleet.set_gate x join fleet.set_admitted a on a.set_id = x.set_id
            where x.replaces = g.set_id and a.device_id = g.device_id)),
      -- whoever has any set has the standard one too
      theirs as (select * from let_in union select g.device_id, s.id from let_in g
        cross join fleet.declaration_set s where s.origin = 'standard' and s.removed_at is null),
      live as (select distinct x.set_id, p.approval_id, p.everyone from fleet.declared_permit p
        join fleet.declaration c on c.identifier = any(p.identifiers) join fleet.set_declaration x on x.declaration_id = c.id
        where p.ended_at is null),
      named as (select p.approval_id, unnest(p.handles) as handle from fleet.declared_permit p where p.ended_at is null),
      covered as (
        select th.device_id, l.approval_id from theirs th join live l on l.set_id = th.set_id and l.everyone
        union select th.device_id, l.approval_id from theirs th join live l on l.set_id = th.set_id
          join fleet.device d on d.id = th.device_id join named n on n.approval_id = l.approval_id and n.handle = d.handle),
      permitted as (select c.device_id, array_agg(c.approval_id order by c.approval_id) as ids from covered c group by 1)
    select d.id, d.handle, coalesce(array_agg(th.set_id order by th.set_id) filter (where th.set_id is not null), '{}'),
      coalesce(pm.ids, '{}'), dd.list_id, dd.fetched_token is not null
    from taken t join fleet.device d on d.id = t.device_id and d.state = 'enrolled'
      left join theirs th on th.device_id = t.device_id left join fleet.declared_device dd on dd.device_id = t.device_id
      left join permitted pm on pm.device_id = t.device_id
    group by d.id, d.handle, pm.ids, dd.list_id, dd.fetched_token order by d.id;
end $$;

-- Shuts a set that nobody has yet: from now on a rollout lets devices in. In the transaction that makes the set.
create function fleet.gate_set(a_set uuid, a_replaces uuid, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  perform from fleet.declaration_set s where s.id = a_set and s.removed_at is null and s.origin = 'administrator' for update;
  if not found or exists (select from fleet.declared_list l join fleet.declared_device d on d.list_id = l.id where l.sets @> array[a_set]) then
    return false;
  end if;
  if a_replaces is not null and not exists (select from fleet.declaration_set s
      where s.id = a_replaces and s.removed_at is null and s.origin = 'administrator') then
    return false;
  end if;
  insert into fleet.set_gate (set_id, replaces, by_admin) values (a_set, a_replaces, a_by);
  perform log.emit('declaration.set_gated', a_by, null, null,
    jsonb_strip_nulls(jsonb_build_object('set', a_set, 'replaces', a_replaces)));
  return true;
end $$;

-- Lets devices in, by handle. Returns how many were not in before.
create function fleet.admit_to_set(a_set uuid, a_handles text[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  with came as (insert into fleet.set_admitted (set_id, device_id) select a_set, d.id from fleet.device d
      where d.handle = any(a_handles) on conflict do nothing returning device_id),
    work as (insert into fleet.stale_device select device_id from came on conflict do nothing)
  select count(*) into n from came;
  return n;
end $$;

-- The rollout is done: the set is for its whole scope, and what it replaces is gone.
create function fleet.open_set(a_set uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  g fleet.set_gate;
begin
  delete from fleet.set_gate where set_id = a_set returning * into g;
  if not found then return; end if;
  insert into fleet.stale_device select d.id from fleet.set_scope(a_set) s(id) join fleet.device d using (id)
  where d.state = 'enrolled' on conflict do nothing;
  if g.replaces is not null then perform fleet.remove_set(g.replaces, 'core'); end if;
  perform log.emit('declaration.set_opened', 'core', null, null, jsonb_strip_nulls(jsonb_build_object('set', a_set, 'replaces', g.replaces)));
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('declaration.set_gated', 6002, 3, 1, 'a set of declarations goes out in rings'),
  ('declaration.set_opened', 6002, 3, 1, 'a set of declarations has passed its rings and is for its whole scope');

revoke all on function fleet.gate_set(uuid, uuid, text), fleet.admit_to_set(uuid, text[]), fleet.open_set(uuid) from public;
grant execute on function fleet.gate_set(uuid, uuid, text) to bartizan_console;
grant execute on function fleet.admit_to_set(uuid, text[]), fleet.open_set(uuid) to bartizan_core;
grant select on fleet.set_gate, fleet.set_admitted to bartizan_core, bartizan_console;
