-- Room: fleet. Compliance rules with what they found per device, and the silence of devices.

-- Events about devices: one each while they are few, one for all when they are many (an outage must not flood the log).
create function fleet.emit_for(a_kind text, a_devices bigint[], a_detail jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  if cardinality(a_devices) <= 20 then
    perform log.emit(a_kind, 'core', d.handle, null, a_detail || '{"count": 1}') from fleet.device d
    where d.id = any(a_devices) order by d.id;
  else
    perform log.emit(a_kind, 'core', null, null, a_detail || jsonb_build_object('count', cardinality(a_devices),
      'devices', (select jsonb_agg(x.handle) from (select d.handle from fleet.device d
        where d.id = any(a_devices[1:100]) order by 1) x)));
  end if;
end $$;

create table fleet.compliance_rule (
  id uuid primary key,
  name text not null check (length(name) between 1 and 80),
  -- none: every enrolled device
  group_id uuid references fleet.device_group,
  -- a filter (see device_group): true is compliant, false is not, and what is not known is neither
  condition jsonb not null check (octet_length(condition::text) <= 16384),
  grace_hours integer not null default 0 check (grace_hours between 0 and 8760),
  created_by text not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  deleted_at timestamptz,
  revision integer not null default 1,
  judged_revision integer not null default 0,
  judged_at timestamptz,
  timed boolean not null default false
);
create unique index compliance_rule_name on fleet.compliance_rule (lower(name)) where deleted_at is null;

create table fleet.compliance (
  rule_id uuid not null references fleet.compliance_rule,
  device_id bigint not null references fleet.device,
  state text not null check (state in ('compliant', 'grace', 'failing', 'unknown')),
  -- of this state
  since timestamptz not null default now(),
  -- kept until the device complies: falling silent for a while buys no second grace
  grace_until timestamptz,
  primary key (rule_id, device_id)
);
create index compliance_device on fleet.compliance (device_id, state);
create index compliance_state on fleet.compliance (rule_id, state, device_id);
create index compliance_grace on fleet.compliance (grace_until) where state = 'grace';

-- Writes down what a rule found: `a_verdicts[i]` for `a_devices[i]`, among those of `a_scope` or, without one, all. Rows of
-- devices that the rule no longer speaks of go. Only what changed is written, and told.
create function fleet.judge(a_rule uuid, a_revision integer, a_devices bigint[], a_verdicts boolean[], a_scope bigint[])
returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  r fleet.compliance_rule;
  changed integer := 0;
  c record;
begin
  select * into r from fleet.compliance_rule where id = a_rule for update;
  if not found then return 0; end if;
  delete from fleet.compliance k where k.rule_id = a_rule and (a_scope is null or k.device_id = any(a_scope))
    and not exists (select from unnest(a_devices) f(id) where f.id = k.device_id);
  for c in
    with found as (
      select v.device, k.state as was, k.since, k.grace_until as until,
        case when v.verdict then 'compliant' when v.verdict is null then 'unknown'
          when k.grace_until is not null then case when k.grace_until <= now() then 'failing' else 'grace' end
          when r.grace_hours = 0 then 'failing' else 'grace' end as state
      from unnest(a_devices, a_verdicts) v(device, verdict)
      left join fleet.compliance k on k.rule_id = a_rule and k.device_id = v.device),
    written as (
      insert into fleet.compliance as k (rule_id, device_id, state, grace_until)
      select a_rule, f.device, f.state, case when f.state = 'compliant' then null when f.until is not null then f.until
        when f.state <> 'unknown' then now() + make_interval(hours => r.grace_hours) end
      from found f where f.state is distinct from f.was order by f.device
      on conflict (rule_id, device_id) do update set state = excluded.state, since = now(), grace_until = excluded.grace_until
      returning k.device_id, k.state)
    -- A device that is looked at for the first time and fits is no news.
    select w.state, array_agg(w.device_id order by w.device_id) as devices from written w join found f on f.device = w.device_id
    where not (f.was is null and w.state = 'compliant') group by 1 order by 1
  loop
    changed := changed + cardinality(c.devices);
    perform fleet.emit_for('compliance.changed', c.devices, jsonb_build_object('rule', a_rule, 'state', c.state));
  end loop;
  update fleet.compliance_rule k set judged_revision = case when a_scope is null then a_revision else k.judged_revision end,
    judged_at = case when a_scope is null then clock_timestamp() else k.judged_at end where k.id = a_rule and a_scope is null;
  return changed;
end $$;

-- Devices whose grace is over.
create function fleet.end_grace() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
begin
  for c in
    with over as (update fleet.compliance k set state = 'failing', since = now()
      where k.state = 'grace' and k.grace_until <= now() returning k.rule_id, k.device_id)
    select o.rule_id, array_agg(o.device_id order by o.device_id) as devices from over o group by 1
  loop
    n := n + cardinality(c.devices);
    perform fleet.emit_for('compliance.changed', c.devices, jsonb_build_object('rule', c.rule_id, 'state', 'failing'));
  end loop;
  return n;
end $$;

-- How long a device may be silent: of several rules that speak of it, the strictest.
create table fleet.silence_rule (
  id uuid primary key,
  -- none: every enrolled device
  group_id uuid unique references fleet.device_group,
  days integer not null check (days between 1 and 365),
  set_by text not null,
  set_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index silence_rule_all on fleet.silence_rule ((true)) where group_id is null;
insert into fleet.silence_rule (id, days, set_by) values ('00000000-0000-7000-8000-000000000014', 14, 'core');

-- Devices that are silent: 1 after the days of their rule, 2 after twice, 3 after three times as many.
create table fleet.silence (
  device_id bigint primary key references fleet.device,
  step smallint not null check (step between 1 and 3),
  days integer not null,
  since timestamptz not null default now()
);

create function fleet.judge_silence() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  n integer := 0;
  q_device bigint[];
  q_step smallint[];
  q_days integer[];
  back bigint[];
begin
  perform pg_advisory_xact_lock(hashtext('fleet.silence'));
  select coalesce(array_agg(x.id order by x.id), '{}'), array_agg(x.days order by x.id),
      array_agg(least(3, floor(extract(epoch from now() - x.heard) / 86400 / x.days))::smallint order by x.id)
    into q_device, q_days, q_step
  from (select d.id, coalesce(d.last_seen_at, d.enrolled_at) as heard, (select min(r.days) from fleet.silence_rule r
      where r.deleted_at is null and (r.group_id is null
        or exists (select from fleet.group_member m where m.group_id = r.group_id and m.device_id = d.id))) as days
    from fleet.device d where d.state = 'enrolled' and coalesce(d.last_seen_at, d.enrolled_at)
      <= now() - make_interval(days => (select min(r.days) from fleet.silence_rule r where r.deleted_at is null))) x
  where x.heard <= now() - make_interval(days => x.days);
  with gone as (delete from fleet.silence s where not exists (select from unnest(q_device) q(id) where q.id = s.device_id)
    returning s.device_id)
  select coalesce(array_agg(g.device_id order by g.device_id) filter (where d.state = 'enrolled'), '{}') into back
  from gone g join fleet.device d on d.id = g.device_id;
  if cardinality(back) > 0 then
    n := n + cardinality(back);
    perform fleet.emit_for('device.heard_again', back, '{}');
  end if;
  for c in
    with written as (
      insert into fleet.silence as s (device_id, step, days)
      select q.id, q.step, q.days from unnest(q_device, q_step, q_days) q(id, step, days) order by 1
      on conflict (device_id) do update set step = excluded.step, days = excluded.days, since = now()
      where s.step < excluded.step
      returning s.device_id, s.step, s.days)
    select w.step, w.days, array_agg(w.device_id order by w.device_id) as devices from written w group by 1, 2 order by 1, 2
  loop
    n := n + cardinality(c.devices);
    perform fleet.emit_for('device.silent', c.devices, jsonb_build_object('step', c.step, 'days', c.days * c.step)
      || case when c.step = 3 then '{"suggest": "retire"}'::jsonb else '{}'::jsonb end);
  end loop;
  return n;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('compliance.rule_saved', 3006, 3, 1, 'an admin saved or changed a compliance rule', false),
  ('compliance.rule_deleted', 3006, 2, 2, 'an admin deleted a compliance rule', false),
  ('compliance.changed', 2003, 2, 2, 'devices came to meet, or to fail, a compliance rule', false),
  ('silence.rule_saved', 3006, 3, 1, 'an admin changed how long devices may be silent', false),
  ('device.silent', 5001, 99, 3, 'devices were not heard of for longer than their rule allows', false),
  ('device.heard_again', 5001, 99, 1, 'devices that were silent checked in again', false);

revoke all on function fleet.emit_for(text, bigint[], jsonb),
  fleet.judge(uuid, integer, bigint[], boolean[], bigint[]), fleet.end_grace(), fleet.judge_silence() from public;
grant execute on function fleet.judge(uuid, integer, bigint[], boolean[], bigint[]), fleet.end_grace(), fleet.judge_silence()
  to bartizan_core;
grant select, insert, update on fleet.compliance_rule, fleet.silence_rule to bartizan_console;
grant select, update on fleet.compliance_rule to bartizan_core;
grant select on fleet.compliance, fleet.silence, fleet.silence_rule to bartizan_core, bartizan_console;
