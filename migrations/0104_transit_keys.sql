-- Room: people. The key that values are sealed to until they are under a lock. The database carries what the ledger signed about
-- it; writers check the signature and never go back.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('transit.renewed', 6002, 3, 2, 'values in transit are sealed to a new key of the ledger'),
  ('transit.destroyed', 6002, 4, 2, 'a key of values in transit was destroyed: what a copy caught under it opens no more');

create table people.transit_key (
  number integer primary key check (number > 1),
  notice jsonb not null check (octet_length(notice::text) <= 4096),
  at timestamptz not null default now()
);
create function people.put_transit(a_number integer, a_notice jsonb) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  insert into people.transit_key (number, notice) values (a_number, a_notice) on conflict do nothing
$$;
create function people.transit_notice() returns jsonb
language sql stable security definer set search_path = pg_catalog as $$
  select notice from people.transit_key order by number desc limit 1
$$;
create function edge.transit_notice() returns jsonb
language sql stable security definer set search_path = pg_catalog as $$
  select people.transit_notice()
$$;
revoke all on function people.put_transit(integer, jsonb), people.transit_notice(), edge.transit_notice() from public;
grant execute on function people.put_transit(integer, jsonb) to bartizan_core;
grant execute on function people.transit_notice() to bartizan_intake, bartizan_glass;
grant execute on function edge.transit_notice() to bartizan_edge;
