-- Rooms: fleet and edge. Apps of our own: packages (.ipa) that an administrator hands in and core reads and signs; versions of
-- apps; the addresses under which devices fetch them. That a device installs one needs two people, as every app by address does;
-- the address holds the package's hash, so that they agree to exactly these bytes.

alter table fleet.app drop constraint app_kind_check, drop constraint app_check;
alter table fleet.app add constraint app_kind_check check (kind in ('store', 'own', 'package')),
  add constraint app_source_check check ((kind = 'store') = (adam_id is not null) and (kind = 'own') = (manifest_url is not null));

-- Bytes come in parts of 1 MiB; what they are is read when all are there, and read again by core before it signs.
create table fleet.package (
  id uuid primary key,
  size bigint not null check (size between 1 and 536870912),
  state text not null default 'arriving' check (state in ('arriving', 'proposed', 'ready', 'refused', 'removed')),
  app_id uuid references fleet.app,
  -- bundle identifier, CFBundleShortVersionString, CFBundleVersion, MinimumOSVersion
  identifier text check (identifier ~ '^[A-Za-z0-9._-]{1,155}$'),
  version text check (length(version) <= 64),
  build text check (length(build) <= 64),
  minimum_os text check (length(minimum_os) <= 32),
  sha256 bytea check (octet_length(sha256) = 32),
  -- SHA-256 of each part, in order, one after the other
  part_hashes bytea check (octet_length(part_hashes) <= 16384),
  -- core's word for identifier, version, size and hashes
  signature bytea,
  reason text check (length(reason) <= 200),
  stored_by text not null,
  stored_at timestamptz not null default now(),
  decided_at timestamptz,
  check (state not in ('proposed', 'ready') or (app_id is not null and identifier is not null and version is not null
    and sha256 is not null and part_hashes is not null)),
  check (state <> 'ready' or signature is not null)
);
create index package_app on fleet.package (app_id);
create index package_open on fleet.package (stored_at) where state in ('arriving', 'proposed');
create unique index package_same on fleet.package (app_id, sha256) where state in ('proposed', 'ready');

create table fleet.package_part (
  package_id uuid not null references fleet.package,
  n integer not null check (n between 0 and 511),
  bytes bytea not null check (octet_length(bytes) between 1 and 1048576),
  primary key (package_id, n)
);
-- an archive is compressed already
alter table fleet.package_part alter column bytes set storage external;

-- What is rolled out: an app with its configuration and, for our own, the package.
create table fleet.app_version (
  id uuid primary key,
  app_id uuid not null references fleet.app,
  number integer not null check (number > 0),
  package_id uuid references fleet.package,
  configuration jsonb,
  made_by text not null,
  made_at timestamptz not null default now(),
  unique (app_id, number)
);
insert into fleet.app_version (id, app_id, number, configuration, made_by)
select log.uuidv7(), a.id, 1, a.configuration, coalesce(a.changed_by, a.created_by) from fleet.app a;

-- An address of a package: 256 random bits, of which only the hash is kept here.
create table fleet.package_link (
  token_sha256 bytea primary key check (octet_length(token_sha256) = 32),
  package_id uuid not null references fleet.package,
  made_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index package_link_of on fleet.package_link (package_id);
create index command_app_delivered on fleet.command (key, delivered_at) where request_type = 'InstallApplication';

-- Begins an upload. `full`: all packages together would be more than 20 GiB; `busy`: four uploads are under way.
create function fleet.begin_package(a_id uuid, a_size bigint, a_by text) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  perform pg_advisory_xact_lock(hashtext('packages'));
  -- What was begun and left lying ends by itself.
  delete from fleet.package_part p using fleet.package k where k.id = p.package_id and k.state = 'arriving' and k.stored_at < now() - interval '6 hours';
  delete from fleet.package k where k.state = 'arriving' and k.stored_at < now() - interval '6 hours';
  if (select count(*) from fleet.package where state = 'arriving') >= 4 then return 'busy'; end if;
  if (select coalesce(sum(size), 0) + a_size from fleet.package where state not in ('refused', 'removed')) > 21474836480 then return 'full'; end if;
  insert into fleet.package (id, size, stored_by) values (a_id, a_size, a_by);
  return 'begun';
end $$;

-- One part of one's own upload; the same part again replaces it.
create function fleet.put_package_part(a_id uuid, a_n integer, a_bytes bytea, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  k fleet.package;
begin
  select * into k from fleet.package where id = a_id and state = 'arriving' and stored_by = a_by for share;
  if not found or a_n < 0 or octet_length(a_bytes) <> least(1048576, k.size - a_n::bigint * 1048576) then return false; end if;
  insert into fleet.package_part as p (package_id, n, bytes) values (a_id, a_n, a_bytes)
  on conflict (package_id, n) do update set bytes = excluded.bytes;
  return true;
end $$;

create function fleet.drop_package(a_id uuid, a_by text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  perform from fleet.package where id = a_id and state = 'arriving' and stored_by = a_by for update;
  if not found then return; end if;
  delete from fleet.package_part where package_id = a_id;
  delete from fleet.package where id = a_id;
end $$;

-- An upload is whole and was read: it waits for core to read it too. False if it is not the caller's or not whole.
create function fleet.propose_package(a_id uuid, a_app uuid, a_identifier text, a_version text, a_build text, a_minimum_os text,
  a_sha256 bytea, a_part_hashes bytea, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.package k set state = 'proposed', app_id = a_app, identifier = a_identifier, version = a_version, build = a_build,
    minimum_os = a_minimum_os, sha256 = a_sha256, part_hashes = a_part_hashes, stored_at = now()
  where k.id = a_id and k.state = 'arriving' and k.stored_by = a_by
    and k.size = (select sum(octet_length(p.bytes)) from fleet.package_part p where p.package_id = k.id);
  if not found then return false; end if;
  perform log.emit('app.package_proposed', a_by, null, null, jsonb_build_object('package', a_id, 'app', a_app,
    'identifier', a_identifier, 'version', a_version, 'sha256', encode(a_sha256, 'hex')));
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

-- Takes a package away: no device can fetch it any more. Not while its version is being rolled out, or is the one that all get.
create function fleet.remove_package(a_id uuid, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.package k set state = 'removed', decided_at = now()
  where k.id = a_id and k.state in ('proposed', 'ready', 'refused') and not exists (
    select from fleet.rollout r join fleet.app_version v on v.id = r.version_id
    where v.package_id = k.id and (r.state in ('running', 'paused', 'halted') or (r.state = 'done' and r.started_at = (
      select max(x.started_at) from fleet.rollout x where x.subject_id = r.subject_id))));
  if not found then return false; end if;
  delete from fleet.package_part where package_id = a_id;
  perform log.emit('app.package_removed', a_by, null, null, jsonb_build_object('package', a_id));
  return true;
end $$;

-- What stands behind an address, while it counts: it has not expired, and an installation of this app reached a device within
-- the last day. Edge believes core's signature, not this row.
create function edge.package(a_token_sha256 bytea)
returns table (id uuid, identifier text, title text, version text, build text, size bigint, part_hashes bytea, signature bytea)
language sql stable security definer set search_path = pg_catalog as $$
  select k.id, k.identifier, a.name, k.version, k.build, k.size, k.part_hashes, k.signature
  from fleet.package_link l join fleet.package k on k.id = l.package_id and k.state = 'ready' join fleet.app a on a.id = k.app_id
  where l.token_sha256 = a_token_sha256 and l.expires_at > now() and exists (
    select from fleet.command c where c.request_type = 'InstallApplication' and c.key = k.identifier
      and c.delivered_at > now() - interval '24 hours')
$$;

create function edge.package_part(a_package uuid, a_n integer) returns bytea
language sql stable security definer set search_path = pg_catalog as $$
  select p.bytes from fleet.package_part p join fleet.package k on k.id = p.package_id and k.state = 'ready'
  where p.package_id = a_package and p.n = a_n
$$;

create function edge.package_unsigned(a_package uuid, a_what text) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('app.package_unsigned', 'edge', null, null, jsonb_build_object('package', a_package, 'what', left(a_what, 40)))
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('app.package_proposed', 3006, 1, 2, 'an app package was handed in', true),
  ('app.package_ready', 3006, 3, 1, 'an app package passed core''s reading and was signed', true),
  ('app.package_refused', 3006, 99, 3, 'an app package is not what it was said to be', true),
  ('app.package_removed', 3006, 4, 2, 'an app package was taken out of use', true),
  ('app.package_unsigned', 6003, 99, 5, 'bytes that core did not sign were about to be handed out as an app', true);

revoke all on function fleet.begin_package(uuid, bigint, text), fleet.put_package_part(uuid, integer, bytea, text),
  fleet.drop_package(uuid, text), fleet.remove_package(uuid, text),
  fleet.propose_package(uuid, uuid, text, text, text, text, bytea, bytea, text),
  edge.package(bytea), edge.package_part(uuid, integer), edge.package_unsigned(uuid, text) from public;
grant execute on function fleet.begin_package(uuid, bigint, text), fleet.put_package_part(uuid, integer, bytea, text),
  fleet.drop_package(uuid, text), fleet.remove_package(uuid, text),
  fleet.propose_package(uuid, uuid, text, text, text, text, bytea, bytea, text) to bartizan_console;
grant execute on function edge.package(bytea), edge.package_part(uuid, integer), edge.package_unsigned(uuid, text) to bartizan_edge;
grant select on fleet.package, fleet.package_part, fleet.app_version to bartizan_console, bartizan_core;
grant update (state, signature, reason, decided_at) on fleet.package to bartizan_core;
grant select, insert on fleet.package_link to bartizan_core;
grant insert (id, app_id, number, package_id, configuration, made_by) on fleet.app_version to bartizan_console;
