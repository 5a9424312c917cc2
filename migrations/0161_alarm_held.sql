-- Room: alarm. What was held back is looked up in a table of its own, not in the whole log; what is long over goes.
create table alarm.held (
  alert_id uuid primary key references watch.alert on delete cascade,
  code text not null check (code in ('silenced', 'repeated', 'inhibited')),
  silence_id uuid references alarm.silence,
  at timestamptz not null default clock_timestamp()
);
create index held_by_silence on alarm.held (silence_id) where silence_id is not null;

create or replace function alarm.raised() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  quiet alarm.silence;
  v_code text;
begin
  select * into quiet from alarm.silence s where s.rule = new.rule and s.ended_at is null and s.until > clock_timestamp()
    order by s.until desc limit 1;
  if quiet.id is not null and new.level <> 'critical' then v_code := 'silenced';
  -- The same again within a quarter of an hour, and the first is still open: it was told.
  elsif exists (select from watch.alert a where a.rule = new.rule and a.group_key = new.group_key and a.id <> new.id
    and a.status = 'open' and a.created_at > clock_timestamp() - interval '15 minutes') then v_code := 'repeated';
  -- Somebody works on something critical of the same actor or device: lesser ones are not told besides.
  elsif alarm.rank(new.level) < 4 and exists (select from watch.alert a where a.level = 'critical' and a.status <> 'closed'
    and (a.actor = new.actor or a.device = new.device) and a.created_at > clock_timestamp() - interval '15 minutes')
    then v_code := 'inhibited';
  end if;
  if v_code is not null then
    insert into alarm.held (alert_id, code, silence_id) values (new.id, v_code, case v_code when 'silenced' then quiet.id end);
    perform log.emit('alert.held', null, null, null, jsonb_build_object('alert', new.id, 'rule', new.rule, 'code', v_code));
    return null;
  end if;
  insert into alarm.delivery (alert_id, channel, reason)
    select new.id, c.name, 'raised' from alarm.channel c
    where c.active and c.after_minutes is null and alarm.rank(c.least) <= alarm.rank(new.level);
  perform pg_notify('bartizan_alarm', '');
  return null;
end $$;

create or replace function alarm.escalate() returns integer
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
      and not exists (select from alarm.held h where h.alert_id = a.id)
    limit 100
  on conflict do nothing;
  get diagnostics n = row_count;
  return n;
end $$;

-- A restart with the same channels is no change, and no event.
create or replace function alarm.set_channels(a_channels jsonb) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_before jsonb;
  v_after jsonb;
begin
  select jsonb_agg(to_jsonb(x) order by x.name) into v_before
    from (select c.name, c.kind, c.least, c.after_minutes from alarm.channel c where c.active) x;
  insert into alarm.channel as c (name, kind, least, after_minutes)
    select x.name, x.kind, x.least, x.after_minutes
    from jsonb_to_recordset(a_channels) x(name text, kind text, least text, after_minutes integer)
  on conflict (name) do update set kind = excluded.kind, least = excluded.least, after_minutes = excluded.after_minutes, active = true;
  update alarm.channel c set active = false, failing_since = null, code = null, told_at = null
    where c.active and not exists (select from jsonb_array_elements(a_channels) x where x->>'name' = c.name);
  update alarm.delivery d set state = 'given-up', code = 'channel-gone', done_at = clock_timestamp()
    where d.state = 'waiting' and exists (select from alarm.channel c where c.name = d.channel and not c.active);
  -- Who is told again of what waits: at once, with the new settings.
  update alarm.delivery d set next_at = clock_timestamp() where d.state = 'waiting' and d.tries > 0;
  select jsonb_agg(to_jsonb(x) order by x.name) into v_after
    from (select c.name, c.kind, c.least, c.after_minutes from alarm.channel c where c.active) x;
  if v_before is distinct from v_after then
    perform log.emit('alert.channels_set', 'courier', null, null,
      jsonb_build_object('channels', jsonb_array_length(a_channels)));
  end if;
end $$;

create or replace function alarm.blind_seconds() returns double precision
language sql stable security definer set search_path = pg_catalog as $$
  select greatest(0, coalesce(extract(epoch from clock_timestamp() - least(
    -- the oldest that has no number yet, and the first that watch has not looked at: an index each
    (select e.time from log.event e where e.position is null order by e.seq limit 1),
    (select e.time from log.event e
      where e.position > coalesce((select c.position from watch.cursor c where c.name = 'rules'), 0)
      order by e.position limit 1))), 0))
$$;

-- Deliveries that ended and silences that are over, after a year.
create function alarm.prune() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  delete from alarm.delivery d where d.done_at < clock_timestamp() - interval '1 year';
  get diagnostics n = row_count;
  delete from alarm.held h where h.at < clock_timestamp() - interval '1 year';
  delete from alarm.silence s where coalesce(s.ended_at, s.until) < clock_timestamp() - interval '1 year'
    and not exists (select from alarm.held h where h.silence_id = s.id);
  return n;
end $$;

revoke all on function alarm.prune() from public;
grant usage on schema alarm to bartizan_core;
grant execute on function alarm.prune() to bartizan_core;
grant select on alarm.held to bartizan_console;
