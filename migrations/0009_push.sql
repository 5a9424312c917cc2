-- Room: fleet. Pushes: at most one a device, because APNs keeps only the newest; why one did not get through is kept too.
alter table fleet.device add column token_at timestamptz;

create table fleet.push (
  device_id bigint primary key references fleet.device,
  state text not null default 'due' check (state in ('due', 'retry', 'sent', 'invalid')),
  wanted_at timestamptz not null default clock_timestamp(),
  next_at timestamptz not null default clock_timestamp(),
  attempts integer not null default 0,
  apns_id text check (length(apns_id) <= 64),
  -- APNs' word for it, or one of ours: Unreachable, Timeout, TlsFailed
  reason text check (length(reason) <= 64),
  sent_at timestamptz
);
create index push_due on fleet.push (next_at) where state in ('due', 'retry');

-- The push certificate in use; its key is a file of core's.
create table fleet.push_certificate (
  one boolean primary key default true check (one),
  topic text not null,
  sha256 bytea not null,
  not_after timestamptz not null,
  loaded_at timestamptz not null default now(),
  -- `accepted`, or why APNs did not take it at the last try
  canary text not null,
  canary_at timestamptz not null,
  refused_at timestamptz,
  -- the last expiry alarm that was given, in days
  alarmed integer
);

-- These devices should check in. One whose token APNs gave up waits for a new token.
create function fleet.want_push(a_devices bigint[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.push as p (device_id)
  select d.id from fleet.device d where d.id = any(a_devices) and d.push_token is not null and d.state = 'enrolled'
  order by d.id
  on conflict (device_id) do update set state = 'due', wanted_at = clock_timestamp(), next_at = clock_timestamp(), attempts = 0
  where p.state <> 'invalid';
  perform pg_notify('bartizan_push', '');
end $$;

create function fleet.push_again() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  devices bigint[];
begin
  devices := array(select p.device_id from fleet.push p join fleet.device d on d.id = p.device_id
    where p.state = 'sent' and p.sent_at < now() - interval '6 hours'
      and (d.last_seen_at is null or d.last_seen_at < p.sent_at)
      and exists (select from fleet.command k where k.device_id = p.device_id and k.done_at is null) limit 5000);
  if cardinality(devices) > 0 then perform fleet.want_push(devices); end if;
  return cardinality(devices);
end $$;

-- As before; a new token is good until APNs says otherwise, and whoever waited for it is woken.
create or replace function edge.token_update(a_certificate_sha256 bytea, a_udid text, a_topic text, a_token bytea, a_magic text, a_findings text[])
returns table (verdict text, handle text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  w record;
  before text;
begin
  select * into w from edge.whose(a_certificate_sha256, a_udid);
  if w.verdict = 'own' then select d.state into before from fleet.device d where d.id = w.id and d.udid is not null for update; end if;
  if w.verdict <> 'own' or before is null then
    perform edge.refuse(w.handle, case when w.verdict = 'foreign' then 'certificate-of-another-device' else 'unknown-certificate' end);
    return query select case when w.verdict = 'own' then 'unknown' else w.verdict end, w.handle;
    return;
  end if;
  update fleet.device d set state = 'enrolled', push_token = a_token, push_magic = a_magic, topic = a_topic, token_at = now(),
    enrolled_at = coalesce(d.enrolled_at, now()), last_seen_at = now() where d.id = w.id;
  delete from fleet.push p where p.device_id = w.id and p.state in ('invalid', 'retry');
  if exists (select from fleet.command k where k.device_id = w.id and k.done_at is null) then
    perform fleet.want_push(array[w.id]);
  end if;
  if before <> 'enrolled' then perform log.emit('device.enrolled', 'edge', w.handle, null, '{}'); end if;
  perform edge.note_findings(w.handle, a_findings);
  return query select 'own', w.handle;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('push.token_invalid', 5001, 99, 2, 'APNs gave up a device''s push token; it is woken again after it sends a new one'),
  ('push.refused', 6002, 99, 4, 'APNs does not take our pushes'),
  ('push.certificate_loaded', 6002, 1, 2, 'a push certificate came into use'),
  ('push.certificate_expiring', 6002, 99, 3, 'the push certificate runs out');

revoke all on function fleet.want_push(bigint[]), fleet.push_again() from public;
grant execute on function fleet.want_push(bigint[]), fleet.push_again() to bartizan_core;
grant select, insert, update on fleet.push to bartizan_core;
grant select, insert, update on fleet.push_certificate to bartizan_core;
grant select on fleet.push, fleet.push_certificate to bartizan_console;
