-- Room: alarm. Alerts on their way to people and systems outside. What is sent is in the transaction that raises the alert;
-- where it goes, and with which secrets, courier's file says: here are names alone.
create schema alarm;

-- Rank of a level: an alert goes to channels whose least level is not above its own.
create function alarm.rank(level text) returns integer language sql immutable as $$
  select array_position(array['informational', 'low', 'medium', 'high', 'critical'], level)
$$;

create table alarm.channel (
  name text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
  kind text not null check (kind ~ '^[a-z]{1,20}$'),
  least text not null check (alarm.rank(least) is not null),
  -- told only of alerts that nobody took up for so long; null: told at once
  after_minutes integer check (after_minutes between 1 and 1440),
  active boolean not null default true,
  failing_since timestamptz,
  code text check (code ~ '^[a-z0-9-]{1,40}$'),
  sent_at timestamptz,
  told_at timestamptz
);

create table alarm.delivery (
  id uuid primary key default log.uuidv7(),
  alert_id uuid references watch.alert,
  channel text not null references alarm.channel,
  reason text not null check (reason in ('raised', 'escalated', 'taken-up', 'test')),
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'given-up')),
  tries integer not null default 0,
  next_at timestamptz not null default clock_timestamp(),
  code text check (code ~ '^[a-z0-9-]{1,40}$'),
  created_at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  check ((alert_id is null) = (reason = 'test')),
  unique (alert_id, channel, reason)
);
create index delivery_due on alarm.delivery (next_at) where state = 'waiting';

-- An alert of this rule is raised, kept and answered as ever, but sent to nobody. It ends by itself.
create table alarm.silence (
  id uuid primary key,
  rule text not null check (rule ~ '^[a-z0-9-]{1,80}$'),
  until timestamptz not null,
  why text not null check (length(why) between 5 and 200),
  by_admin text not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  ended_by text
);

-- In the transaction of the alert: no crash in between loses one.
create function alarm.raised() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  quiet alarm.silence;
  held text;
begin
  select * into quiet from alarm.silence s where s.rule = new.rule and s.ended_at is null and s.until > clock_timestamp()
    order by s.until desc limit 1;
  if quiet.id is not null and new.level <> 'critical' then held := 'silenced';
  -- The same again within a quarter of an hour, and the first is still open: it was told.
  elsif exists (select from watch.alert a where a.rule = new.rule and a.group_key = new.group_key and a.id <> new.id
    and a.status = 'open' and a.created_at > clock_timestamp() - interval '15 minutes') then held := 'repeated';
  -- Somebody works on something critical of the same actor or device: lesser ones are not told besides.
  elsif alarm.rank(new.level) < 4 and exists (select from watch.alert a where a.level = 'critical' and a.status <> 'closed'
    and (a.actor = new.actor or a.device = new.device) and a.created_at > clock_timestamp() - interval '15 minutes')
    then held := 'inhibited';
  end if;
  if held is not null then
    perform log.emit('alert.held', null, null, null,
      jsonb_build_object('alert', new.id, 'rule', new.rule, 'code', held)
        || case when quiet.id is null then '{}'::jsonb else jsonb_build_object('silence', quiet.id) end);
    return null;
  end if;
  insert into alarm.delivery (alert_id, channel, reason)
    select new.id, c.name, 'raised' from alarm.channel c
    where c.active and c.after_minutes is null and alarm.rank(c.least) <= alarm.rank(new.level);
  perform pg_notify('bartizan_alarm', '');
  return null;
end $$;
create trigger alert_raised after insert on watch.alert for each row execute function alarm.raised();

-- Whoever was told of it is told that somebody took it up, so that nobody gets up for nothing.
create function alarm.taken_up() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  update alarm.delivery d set state = 'given-up', code = 'taken-up', done_at = clock_timestamp()
    where d.alert_id = new.id and d.reason = 'escalated' and d.state = 'waiting';
  insert into alarm.delivery (alert_id, channel, reason)
    select new.id, d.channel, 'taken-up' from alarm.delivery d join alarm.channel c on c.name = d.channel and c.active
    where d.alert_id = new.id and d.state = 'sent' and d.reason in ('raised', 'escalated')
    group by d.channel on conflict do nothing;
  perform pg_notify('bartizan_alarm', '');
  return null;
end $$;
create trigger alert_taken_up after update of status on watch.alert for each row
  when (old.status = 'open' and new.status <> 'open') execute function alarm.taken_up();

-- Courier's: which channels its file has now. Others are told nothing any more; what waited for them is given up.
create function alarm.set_channels(a_channels jsonb) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into alarm.channel as c (name, kind, least, after_minutes)
    select x.name, x.kind, x.least, x.after_minutes
    from jsonb_to_recordset(a_channels) x(name text, kind text, least text, after_minutes integer)
  on conflict (name) do update set kind = excluded.kind, least = excluded.least, after_minutes = excluded.after_minutes, active = true;
  update alarm.channel c set active = false, failing_since = null, code = null
    where c.active and not exists (select from jsonb_array_elements(a_channels) x where x->>'name' = c.name);
  update alarm.delivery d set state = 'given-up', code = 'channel-gone', done_at = clock_timestamp()
    where d.state = 'waiting' and exists (select from alarm.channel c where c.name = d.channel and not c.active);
  -- Who is told again of what waits: at once, with the new settings.
  update alarm.delivery d set next_at = clock_timestamp() where d.state = 'waiting' and d.tries > 0;
  perform log.emit('alert.channels_set', 'courier', null, null,
    jsonb_build_object('channels', jsonb_array_length(a_channels)));
end $$;

-- Alerts that nobody took up in time, to channels that wait for such.
create function alarm.escalate() returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  insert into alarm.delivery (alert_id, channel, reason)
    select a.id, c.name, 'escalated' from alarm.channel c
    join watch.alert a on a.status = 'open' and alarm.rank(a.level) >= alarm.rank(c.least)
      and a.created_at <= clock_timestamp() - make_interval(mins => c.after_minutes)
      and a.created_at > clock_timestamp() - interval '3 days'
    where c.active and c.after_minutes is not null
      and not exists (select from alarm.delivery d where d.alert_id = a.id and d.channel = c.name and d.reason = 'escalated')
      and (exists (select from alarm.delivery d where d.alert_id = a.id and d.reason = 'raised')
        or not exists (select from log.event e where e.kind = 'alert.held' and e.body->'unmapped'->>'alert' = a.id::text))
    limit 100
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

-- What is due, with what may be said of it. Each is out for two minutes: whoever dies with it gives it back so. Tried again, it
-- keeps its id.
create function alarm.take(a_limit integer) returns table (id uuid, channel text, reason text, tries integer, alert uuid,
  rule text, title text, level text, actor text, device text, events integer, event_time timestamptz, raised_at timestamptz)
language sql security definer set search_path = pg_catalog as $$
  with due as (
    select d.id from alarm.delivery d where d.state = 'waiting' and d.next_at <= clock_timestamp()
    order by d.next_at limit least(a_limit, 100) for update skip locked),
  out as (
    update alarm.delivery d set tries = d.tries + 1, next_at = clock_timestamp() + interval '2 minutes'
    from due where d.id = due.id returning d.*)
  select o.id, o.channel, o.reason, o.tries, a.id, a.rule, a.title, a.level, a.actor, a.device, a.events, a.event_time, a.created_at
  from out o left join watch.alert a on a.id = o.alert_id order by o.created_at
$$;

-- How it ended. `a_again`: in so many seconds once more; null: no more. A channel that fails for five minutes is an event,
-- once, of which the others are told.
create function alarm.done(a_id uuid, a_sent boolean, a_code text, a_again integer) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
  c alarm.channel;
begin
  update alarm.delivery d set
    state = case when a_sent then 'sent' when a_again is null then 'given-up' else 'waiting' end,
    code = a_code, done_at = case when a_sent or a_again is null then clock_timestamp() end,
    next_at = clock_timestamp() + make_interval(secs => coalesce(a_again, 0))
  where d.id = a_id and d.state = 'waiting';
  update alarm.channel k set
    sent_at = case when a_sent then clock_timestamp() else k.sent_at end,
    failing_since = case when a_sent then null else coalesce(k.failing_since, clock_timestamp()) end,
    code = case when a_sent then null else a_code end
  where k.name = (select d.channel from alarm.delivery d where d.id = a_id) returning * into c;
  if c.failing_since < clock_timestamp() - interval '5 minutes' and c.told_at is null then
    update alarm.channel k set told_at = clock_timestamp() where k.name = c.name;
    perform log.emit('alert.channel_failing', 'courier', null, null, jsonb_build_object('channel', c.name, 'code', a_code));
  elsif a_sent and c.told_at is not null then
    update alarm.channel k set told_at = null where k.name = c.name;
    perform log.emit('alert.channel_back', 'courier', null, null, jsonb_build_object('channel', c.name));
  end if;
  if not a_sent and a_again is null then
    perform log.emit('alert.undelivered', 'courier', null, null,
      jsonb_build_object('channel', c.name, 'delivery', a_id, 'code', a_code));
  end if;
end $$;

-- Whether watch sees what happens: seconds since which an event waits for it; 0 if none does.
create function alarm.blind_seconds() returns double precision
language sql stable security definer set search_path = pg_catalog as $$
  select greatest(0, coalesce(extract(epoch from clock_timestamp() - min(e.time)), 0)) from log.event e
  where e.time > clock_timestamp() - interval '1 day'
    and (e.position is null or e.position > coalesce((select c.position from watch.cursor c where c.name = 'rules'), 0))
$$;

-- The console's: a word to every channel, to see that it comes.
create function alarm.test(a_by text) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  insert into alarm.delivery (channel, reason) select c.name, 'test' from alarm.channel c where c.active
    and not exists (select from alarm.delivery d where d.channel = c.name and d.reason = 'test' and d.state = 'waiting');
  get diagnostics n = row_count;
  perform log.emit('alert.channels_tested', a_by, null, null, jsonb_build_object('channels', n));
  perform pg_notify('bartizan_alarm', '');
  return n;
end $$;

create function alarm.silence_rule(a_id uuid, a_rule text, a_minutes integer, a_why text, a_by text) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
  if a_minutes not between 5 and 7 * 24 * 60 then raise exception 'a silence lasts 5 minutes to 7 days' using errcode = '22023'; end if;
  insert into alarm.silence (id, rule, until, why, by_admin)
    values (a_id, a_rule, clock_timestamp() + make_interval(mins => a_minutes), a_why, a_by);
  perform log.emit('alert.silenced', a_by, null, null,
    jsonb_build_object('silence', a_id, 'rule', a_rule, 'minutes', a_minutes));
end $$;

create function alarm.end_silence(a_id uuid, a_by text) returns boolean
language plpgsql security definer set search_path = pg_catalog as $$
begin
  update alarm.silence s set ended_at = clock_timestamp(), ended_by = a_by where s.id = a_id and s.ended_at is null
    and s.until > clock_timestamp();
  if not found then return false; end if;
  perform log.emit('alert.silence_ended', a_by, null, null, jsonb_build_object('silence', a_id));
  return true;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('alert.held', 2004, 99, 2, 'an alert was raised and sent to nobody: silenced, repeated, or beside a critical one'),
  ('alert.silenced', 6002, 1, 3, 'alerts of a rule are sent to nobody for a while'),
  ('alert.silence_ended', 6002, 4, 2, 'a silence was ended before its time'),
  ('alert.channels_set', 6002, 3, 3, 'where alerts go was changed'),
  ('alert.channels_tested', 6002, 99, 1, 'a word was sent to every channel'),
  ('alert.channel_failing', 6002, 99, 4, 'a channel has taken no alert for five minutes'),
  ('alert.channel_back', 6002, 99, 1, 'a channel that failed takes alerts again'),
  ('alert.undelivered', 6002, 99, 4, 'an alert was given up for a channel after about 75 hours');

revoke all on all functions in schema alarm from public;
grant usage on schema alarm to bartizan_courier, bartizan_console;
grant execute on function alarm.set_channels(jsonb), alarm.escalate(), alarm.take(integer), alarm.done(uuid, boolean, text, integer),
  alarm.blind_seconds() to bartizan_courier;
grant select on alarm.channel, alarm.silence, alarm.delivery to bartizan_console;
grant execute on function alarm.test(text), alarm.silence_rule(uuid, text, integer, text, text), alarm.end_silence(uuid, text)
  to bartizan_console;
