-- Room: people. As before; a provider that sends more changes of one value than can wait is told to come again later.
-- Changes what was said. Values come sealed for versions that `scim_next` handed out; which one counts is the ledger's to say.
create or replace function people.scim_change(a_source text, a_id uuid, a_if_version bigint, a_user_tag bytea, a_set_external boolean,
  a_external_tag bytea, a_set_unit boolean, a_unit text, a_state text, a_active boolean, a_fields text[], a_versions bigint[],
  a_values bytea[]) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  j people.joined;
  n integer := coalesce(array_length(a_fields, 1), 0);
begin
  select * into j from people.joined where source = a_source and id = a_id and gone_at is null for update;
  if not found then return 'unknown'; end if;
  if a_if_version is not null and a_if_version <> j.version then return 'stale'; end if;
  if n > 3 or coalesce(array_length(a_versions, 1), 0) <> n or coalesce(array_length(a_values, 1), 0) <> n then
    raise exception 'whole values only' using errcode = '22023';
  end if;
  if j.writes_on = current_date and j.writes + n > 120 then return 'too-many'; end if;
  for i in 1 .. n loop
    if a_fields[i] is null or a_fields[i] not in ('name', 'number', 'email') then
      raise exception 'not a person''s field' using errcode = '42501';
    end if;
    -- So many changes of one value may wait for their day at the ledger; one more would be lost there.
    if (select count(*) from people.arriving r where r.subject = j.handle and r.field = a_fields[i]) >= 8 then return 'too-many'; end if;
    if a_versions[i] is null or a_versions[i] > (select v.version from people.version v
      where v.subject = j.handle and v.field = a_fields[i]) then
      raise exception 'a version that was not handed out' using errcode = '22023';
    end if;
    insert into people.arriving (subject, field, version, outer_layer) values (j.handle, a_fields[i], a_versions[i], a_values[i]);
  end loop;
  update people.joined set version = version + 1, changed_at = now(), user_tag = coalesce(a_user_tag, user_tag),
    external_tag = case when a_set_external then a_external_tag else external_tag end, active = coalesce(a_active, active),
    own_unit = case when a_set_unit then nullif(a_unit, '') else own_unit end,
    writes = n + case when writes_on = current_date then writes else 0 end, writes_on = current_date
  where id = a_id;
  if a_active is distinct from j.active and a_active is not null then
    update people.person set left_at = case when a_active then null else now() end where handle = j.handle;
  end if;
  if a_state is not null then update people.person set member_state = nullif(a_state, '') where handle = j.handle; end if;
  if a_set_unit then perform people.set_units(array[a_id]); end if;
  perform log.emit(case when a_active is not distinct from j.active or a_active is null then 'directory.person_changed'
      when a_active then 'directory.person_back' else 'directory.person_suspended' end,
    'intake', null, j.handle, jsonb_build_object('from', a_source, 'fields', to_jsonb(coalesce(a_fields, '{}'))));
  if n > 0 then perform pg_notify('bartizan_work', ''); end if;
  return 'ok';
exception when unique_violation then
  return 'taken';
end $$;
