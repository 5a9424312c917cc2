-- Room: fleet. What is dangerous in declarations reaches a device only with the ledger's permit over its exact bytes for this
-- device, which two people's passkeys approved. Core lists accordingly; edge believes neither core nor these rows.

alter table respond.approval drop constraint approval_op_check;
alter table respond.approval add constraint approval_op_check check (op in ('command', 'declare', 'unlock', 'invite'));

-- Core's own judgement when it signed the version.
alter table fleet.declaration_version add column guarded boolean not null default false;
-- One administrator's agreement in the console counts for nothing any more: core judges all anew.
update fleet.declaration_version v set state = 'proposed', decided_at = null from fleet.declaration d
where d.id = v.declaration_id and d.origin = 'administrator' and (v.state = 'awaiting-second'
  or v.state = 'current' and not exists (select from fleet.declaration_version w
    where w.declaration_id = v.declaration_id and w.state = 'awaiting-second'));
drop function fleet.second_declaration(uuid, integer, boolean, text);

-- What was put to two people for a set: the bytes that the approval names by their hashes, to be shown and checked on glass.
create table fleet.declared_ask (
  approval_id uuid primary key,
  set_id uuid not null references fleet.declaration_set,
  bodies jsonb not null check (octet_length(bodies::text) <= 4194304),
  created_at timestamptz not null default now()
);
create index declared_ask_set on fleet.declared_ask (set_id);

-- The ledger's permits. Only its signature makes one; the columns beside it are for looking up.
create table fleet.declared_permit (
  approval_id uuid primary key,
  set_id uuid not null references fleet.declaration_set,
  permit jsonb not null,
  identifiers text[] not null,
  everyone boolean not null,
  -- sorted; the permit holds their hash
  handles text[] not null,
  until timestamptz not null,
  at timestamptz not null default now(),
  -- a later permit for the set has taken its place, or its time was up
  ended_at timestamptz
);
create index declared_permit_live on fleet.declared_permit (set_id) where ended_at is null;
create index declared_permit_names on fleet.declared_permit using gin (identifiers);

-- Devices of the same sets share a list only if they have the same permits.
alter table fleet.declared_list add column permits uuid[] not null default '{}';

drop function fleet.take_stale_devices(integer);
create function fleet.take_stale_devices(a_limit integer)
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
      -- whoever has any set has the standard one too
      theirs as (select * from given union select g.device_id, s.id from given g
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

-- Data that declarations point to: the address is the hash of salt, type and content, so that what two people agreed to cannot be
-- exchanged behind it. What was stored before has no salt and is not handed out any more.
alter table fleet.declared_data add column salt bytea check (octet_length(salt) = 32);
drop function edge.declared_data(text);
create function edge.declared_data(a_id text) returns table (content_type text, content bytea, salt bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select d.content_type, d.content, d.salt from fleet.declared_data d where d.id = a_id and d.salt is not null
$$;

-- Permits that name any of these identifiers, the latest first; edge checks each.
create function edge.declared_permits(a_identifiers text[]) returns table (permit jsonb, handles text[])
language sql stable security definer set search_path = pg_catalog as $$
  select p.permit, p.handles from fleet.declared_permit p where p.identifiers && a_identifiers
  order by p.at desc limit 200
$$;

create function edge.declared_withheld(a_handle text, a_identifier text, a_token text, a_why text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('declaration.withheld', 'edge', a_handle, null,
    jsonb_build_object('identifier', left(a_identifier, 128), 'token', left(a_token, 64), 'why', left(a_why, 40)))
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('declaration.permitted', 6002, 3, 2, 'two people were permitted to have dangerous declarations given to devices'),
  ('declaration.permit_ended', 6002, 4, 2, 'the time of a permit for dangerous declarations was up; its devices lose them'),
  ('declaration.withheld', 6003, 99, 5, 'a dangerous declaration stood on a device''s list without two people''s permit');

revoke all on function fleet.take_stale_devices(integer), edge.declared_data(text), edge.declared_permits(text[]),
  edge.declared_withheld(text, text, text, text) from public;
grant execute on function fleet.take_stale_devices(integer) to bartizan_core;
grant execute on function edge.declared_data(text), edge.declared_permits(text[]),
  edge.declared_withheld(text, text, text, text) to bartizan_edge;
grant select on fleet.declared_ask to bartizan_core, bartizan_console, bartizan_glass;
grant insert on fleet.declared_ask to bartizan_console;
grant select (id, content_type, content, salt) on fleet.declared_data to bartizan_glass;
grant select, insert, update on fleet.declared_permit to bartizan_core;
grant select on fleet.declared_permit to bartizan_console;
grant select (guarded) on fleet.declaration_version to bartizan_console;
grant select (permits) on fleet.declared_list to bartizan_console;
