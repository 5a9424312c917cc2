-- Room: people. Calls and messages to canary addresses, on their way from edge to the ledger, which alone knows whose they are.
create table people.canary_call (
  -- of the signature that came with it: told twice, it is one
  id bytea primary key check (octet_length(id) = 32),
  how text not null check (how in ('call', 'sms', 'email')),
  box bytea not null check (octet_length(box) = 80),
  at timestamptz not null default clock_timestamp(),
  told_at timestamptz
);

create function edge.canary_called(a_id bytea, a_how text, a_box bytea) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if (select count(*) from people.canary_call where told_at is null) >= 500 then return false; end if;
  insert into people.canary_call (id, how, box) values (a_id, a_how, a_box) on conflict do nothing;
  if found then perform pg_notify('bartizan_work', ''); end if;
  return found;
end $$;

create function people.take_canary_calls() returns table (id bytea, how text, box bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from people.canary_call c where c.told_at < now() - interval '1 hour';
  return query select c.id, c.how, c.box from people.canary_call c where c.told_at is null order by c.at limit 20;
end $$;

create function people.canary_told(a_id bytea) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update people.canary_call set told_at = now() where id = a_id
$$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('canary.called', 6005, 99, 5, 'somebody rang or wrote to a number or address that only a copy of the directory holds', true),
  ('bait.used', 6005, 99, 5, 'somebody used a login or token that is there for thieves only', true);

revoke all on function edge.canary_called(bytea, text, bytea), people.take_canary_calls(), people.canary_told(bytea) from public;
grant execute on function edge.canary_called(bytea, text, bytea) to bartizan_edge;
grant execute on function people.take_canary_calls(), people.canary_told(bytea) to bartizan_core;
