-- Rooms: fleet and edge. Spent tokens are forgotten once their time is over: an hour after, none of them opens anything.
create or replace function edge.account_enrol(a_token_sha256 bytea, a_account bytea, a_holder text, a_handle text, a_link_sha256 bytea,
  a_challenge_sha256 bytea, a_findings text[])
returns table (verdict text, id uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
  h text;
  e uuid := log.uuidv7();
begin
  if exists (select from fleet.device x where x.handle = a_handle) then return query select 'taken', null::uuid; return; end if;
  delete from fleet.account_token where used_at < now() - interval '1 hour';
  insert into fleet.account_token (sha256) values (a_token_sha256) on conflict do nothing;
  if not found then return query select 'used', null::uuid; return; end if;
  insert into fleet.account as c (hmac, holder) values (a_account, a_holder)
  on conflict (hmac) do update set last_at = now(), holder = coalesce(excluded.holder, c.holder) returning c.holder into h;
  if (select count(*) from fleet.account_device c join fleet.device x on x.id = c.device_id
      where c.hmac = a_account and x.state not in ('checked_out', 'retired')) >= 10 then
    return query select 'too-many', null::uuid; return;
  end if;
  insert into fleet.device as x (handle, holder, ownership) values (a_handle, h, 'personal') returning x.id into d;
  insert into fleet.account_device (device_id, hmac) values (d, a_account);
  insert into fleet.enrolment as n (id, device_id, link_sha256, challenge_sha256, created_by, expires_at, fetched_at)
  values (e, d, a_link_sha256, a_challenge_sha256, 'edge', now() + interval '1 hour', now());
  perform log.emit('device.offered', 'edge', a_handle, h, jsonb_build_object('by', 'account', 'ownership', 'personal'));
  perform log.emit('device.profile_fetched', 'edge', a_handle, null, jsonb_build_object('by', 'account'));
  perform edge.note_findings(a_handle, a_findings);
  return query select 'made', e;
end $$;
create index account_token_used on fleet.account_token (used_at);
grant select (device_id) on fleet.account_device to bartizan_console;
