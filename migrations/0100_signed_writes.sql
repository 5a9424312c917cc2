-- Room: people. A value in transit carries its writer's signature: outer layer, 64 bytes, one byte for the writer.
insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('write.refused', 6005, 99, 4, 'the ledger did not take a value: not signed by a writer who may write it, or not sealed for it'),
  ('writers.pinned', 6002, 3, 3, 'the ledger pinned whose signatures make a value');

-- What waits unsigned from before can be vouched for by nobody. Settling takes half a second, so this is hardly ever any.
do $$
declare
  a record;
begin
  for a in delete from people.arriving where octet_length(outer_layer) in (224, 6240) returning subject, field, written_by loop
    perform log.emit('write.refused', null, null, a.subject, jsonb_build_object('code', 'unsigned', 'field', a.field));
  end loop;
end $$;
alter table people.arriving drop constraint arriving_outer_layer_check;
alter table people.arriving add constraint arriving_outer_layer_check check (octet_length(outer_layer) =
  case when field in ('unlock-token', 'bootstrap-token') then 6305 else 289 end);

-- Versions are handed out once each, whoever asks at the same time. The ledger decides what they are worth.
create table people.version (
  subject text not null,
  field text not null,
  version bigint not null,
  primary key (subject, field)
);
create or replace function people.next_version(a_subject text, a_field text) returns bigint
language sql volatile security definer set search_path = pg_catalog as $$
  insert into people.version as v (subject, field, version)
  select a_subject, a_field, greatest(
    coalesce((select s.version from people.sealed s where s.subject = a_subject and s.field = a_field), 0),
    coalesce((select max(a.version) from people.arriving a where a.subject = a_subject and a.field = a_field), 0)) + 1
  on conflict (subject, field) do update set version = greatest(v.version + 1, excluded.version)
  returning v.version
$$;

-- What the ledger did not take is put aside, with the reason. `a_present`: the version that the ledger counts from, where the
-- database had lost count (it was restored, or somebody counted for it). The ledger writes its own entry of what is forged.
drop function people.set_aside(bigint);
create function people.set_aside(a_id bigint, a_code text, a_present bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a record;
begin
  delete from people.arriving where id = a_id returning subject, field, version, written_by into a;
  if not found then return; end if;
  if a_present is not null then
    insert into people.version as v (subject, field, version) values (a.subject, a.field, a_present)
    on conflict (subject, field) do update set version = excluded.version;
  end if;
  perform log.emit('directory.refused', 'core', null, a.subject,
    jsonb_build_object('code', left(a_code, 40), 'field', a.field, 'written_by', a.written_by));
end $$;
revoke all on function people.set_aside(bigint, text, bigint), people.next_version(text, text) from public;
grant execute on function people.set_aside(bigint, text, bigint) to bartizan_core;
