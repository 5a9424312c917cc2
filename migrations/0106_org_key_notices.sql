-- Room: people. Core writes down what the guards vouch for now, and takes away what stands in its way: a row that somebody planted under
-- the same or a higher number would keep writers from learning of the key in force. Writers check the signatures in any case.
create or replace function people.put_notice(a_number integer, a_notice jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  delete from people.organisation_key where number > a_number;
  insert into people.organisation_key as k (number, notice) values (a_number, a_notice)
  on conflict (number) do update set notice = excluded.notice where k.notice is distinct from excluded.notice;
  return found;
end $$;
