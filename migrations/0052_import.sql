-- Rooms: fleet and edge. Devices that come from another server with the certificates they have: whose certificates count,
-- and their secrets, sealed by whoever imports.
create table fleet.trusted_issuer (
  sha256 bytea primary key check (octet_length(sha256) = 32),
  der bytea not null check (octet_length(der) <= 8192),
  added_by text not null,
  added_at timestamptz not null default now(),
  revoked_at timestamptz
);

-- A certificate of one of these is read; it speaks for a device only if it is pinned to it.
create function edge.trusted_issuers() returns setof bytea
language sql stable security definer set search_path = pg_catalog as $$
  select der from fleet.trusted_issuer where revoked_at is null
$$;

create function fleet.import_version(a_handle text, a_field text) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  select edge.next_version(a_handle, a_field)
$$;
create function fleet.import_sealed(a_handle text, a_field text, a_version bigint, a_outer bytea) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select edge.put_sealed(a_handle, a_field, a_version, a_outer)
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('device.imported', 3004, 1, 2, 'a device was taken over from another server with its certificate'),
  ('fleet.issuer_trusted', 6002, 99, 4, 'device certificates of another authority are read from now on'),
  ('fleet.import_done', 6002, 99, 2, 'a fleet of another server was imported');

revoke all on function edge.trusted_issuers(), fleet.import_version(text, text),
  fleet.import_sealed(text, text, bigint, bytea) from public;
grant execute on function edge.trusted_issuers() to bartizan_edge;
grant execute on function fleet.import_version(text, text), fleet.import_sealed(text, text, bigint, bytea) to bartizan_core;
grant select, insert, update on fleet.trusted_issuer to bartizan_core;
grant select on fleet.trusted_issuer to bartizan_console;
