-- Room: courier. Whoever is erased is forgotten here in the same transaction, and a changed number or address is told to the one before.
create function courier.forget_erased() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  perform courier.forget(old.handle);
  delete from courier.told_change where subject = old.handle;
  return old;
end $$;

-- Held changes that a rule has written about.
create table courier.told_change (
  subject text not null,
  field text not null,
  version bigint not null,
  at timestamptz not null default now(),
  primary key (subject, field, version)
);
create trigger forget_erased after delete on people.person for each row execute function courier.forget_erased();

-- Changed numbers and addresses that wait, and whose receivers do not know it yet.
create function courier.untold_changes(a_limit integer) returns table (subject text, field text, version bigint)
language sql stable security definer set search_path = pg_catalog as $$
  select a.subject, a.field, a.version from people.arriving a
  where a.held_until is not null and a.field in ('number', 'email')
    and exists (select from people.person p where p.handle = a.subject and p.left_at is null)
    and not exists (select from courier.told_change t where t.subject = a.subject and t.field = a.field and t.version = a.version)
  order by a.id limit a_limit
$$;

create function courier.change_told(a_subject text, a_field text, a_version bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from courier.told_change where at < now() - interval '30 days';
  insert into courier.told_change (subject, field, version) values (a_subject, a_field, a_version) on conflict do nothing;
  return found;
end $$;

revoke all on function courier.forget_erased(), courier.untold_changes(integer), courier.change_told(text, text, bigint) from public;
grant execute on function courier.untold_changes(integer), courier.change_told(text, text, bigint) to bartizan_core;
