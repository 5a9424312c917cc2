-- Room: fleet. A maintenance window that is added or taken away changes when what waits may go: it is looked at again, and
-- waits anew only if the windows that are left say so.
create function fleet.window_changed() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.intent set not_before = null where state = 'ready' and not_before > now();
  perform pg_notify('bartizan_work', '');
  return null;
end $$;
revoke all on function fleet.window_changed() from public;
create trigger window_changed after insert or update of removed_at on fleet.maintenance_window
  for each statement execute function fleet.window_changed();
