-- Room: people. A changed number or address waits; the ledger says until when, by its own clock, and who may end that.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('change.held', 6005, 3, 2, 'changed numbers or addresses wait before they count'),
  ('change.released', 6005, 3, 3, 'two people let a changed number or address in before its time'),
  ('change.cancelled', 6005, 4, 2, 'an administrator turned a changed number or address away');

alter table people.arriving add column held_until timestamptz;

create or replace function people.take_arriving(a_limit integer)
returns table (id bigint, subject text, field text, version bigint, outer_layer bytea)
language sql volatile security definer set search_path = pg_catalog as $$
  select id, subject, field, version, outer_layer from people.arriving
  where held_until is null or held_until <= now() order by id limit a_limit
$$;
create index arriving_held on people.arriving (held_until) where held_until is not null;

-- Until when not to ask the ledger again; asking earlier would only be answered the same.
create function people.hold(a_id bigint, a_until double precision) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update people.arriving set held_until = to_timestamp(a_until / 1000) where id = a_id
$$;

-- What people decided, as the ledger tells it: let in, the value is brought to the ledger again; turned away, it is dropped.
create function people.end_hold(a_subject text, a_field text, a_version bigint, a_released boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if a_released then
    update people.arriving set held_until = null where subject = a_subject and field = a_field and version = a_version;
    perform pg_notify('bartizan_work', '');
  else
    delete from people.arriving where subject = a_subject and field = a_field and version = a_version;
  end if;
end $$;

revoke all on function people.hold(bigint, double precision), people.end_hold(text, text, bigint, boolean),
  people.take_arriving(integer) from public;
grant execute on function people.hold(bigint, double precision), people.end_hold(text, text, bigint, boolean) to bartizan_core;
grant select (id, subject, field, version, written_by, arrived_at, held_until) on people.arriving to bartizan_console;
