-- Room: fleet. What devices said before, asking them again in time, and when each push went out.

-- Only keys that changed. `key` is a key of the answer, or `list:item` for lists; before or after is null for what came or went.
create table fleet.inventory_change (
  id bigint generated always as identity primary key,
  device_id bigint not null references fleet.device,
  kind text not null,
  key text not null check (length(key) <= 300),
  before jsonb,
  after jsonb,
  at timestamptz not null default now()
);
create index inventory_change_device on fleet.inventory_change (device_id, id desc);
create index inventory_change_at on fleet.inventory_change (at);

-- An answer as key and value: a list of items becomes one key an item, so that one more item is one change.
create function fleet.inventory_flat(a_facts jsonb) returns table (key text, value jsonb)
language sql immutable set search_path = pg_catalog as $$
  select f.key, f.value from jsonb_each(a_facts) f where jsonb_typeof(f.value) <> 'array'
    -- these change by themselves all the time and say nothing about what the device is
    and f.key not in ('BatteryLevel', 'AvailableDeviceCapacity', 'LastCloudBackupDate')
  union all
  select left(f.key || ':' || coalesce(i.value->>'PayloadIdentifier', i.value->>'Identifier', i.value->>'sha256',
      i.value->>'Sha256', i.value->>'CommonName', i.value #>> '{}'), 300),
    -- the same thing twice is one key, whatever the order of the list
    (jsonb_agg(case jsonb_typeof(i.value) when 'object' then i.value - 'PayloadContent' else i.value end order by i.value))->0
  from jsonb_each(a_facts) f cross join lateral jsonb_array_elements(case jsonb_typeof(f.value) when 'array' then f.value else '[]' end) i(value)
  group by 1
$$;

create function fleet.note_inventory_change() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.inventory_change (device_id, kind, key, before, after)
  select new.device_id, new.kind, key, o.value, n.value
  from fleet.inventory_flat(old.facts) o full join fleet.inventory_flat(new.facts) n using (key)
  where o.value is distinct from n.value order by key limit 200;
  if found then
    -- The last 500 changes of a device are kept, whatever it reports.
    delete from fleet.inventory_change c where c.device_id = new.device_id and c.id <= (
      select x.id from fleet.inventory_change x where x.device_id = new.device_id order by x.id desc offset 500 limit 1);
  end if;
  return null;
end $$;
create trigger inventory_history after update of facts on fleet.inventory
  for each row when (old.facts is distinct from new.facts) execute function fleet.note_inventory_change();

-- How often each kind of answer is asked for; 0 is never.
create table fleet.inventory_plan (
  kind text primary key,
  hours integer not null check (hours in (0, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168)),
  set_by text not null default 'core',
  set_at timestamptz not null default now()
);
insert into fleet.inventory_plan (kind, hours) values ('DeviceInformation', 24), ('SecurityInfo', 24), ('ProfileList', 24),
  ('ManagedApplicationList', 24), ('CertificateList', 72), ('InstalledApplicationList', 72);

-- When a device is asked next. A row a device and kind, from the enrolment on.
create table fleet.inventory_turn (
  device_id bigint not null references fleet.device,
  kind text not null references fleet.inventory_plan,
  next_at timestamptz not null,
  primary key (device_id, kind)
);
create index inventory_turn_next on fleet.inventory_turn (next_at);

-- First half a minute to two minutes after the enrolment: then a new device is what rules and people want to know about.
create function fleet.plan_inventory() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.inventory_turn (device_id, kind, next_at)
  select new.id, p.kind, now() + interval '30 seconds' + (hashint8(new.id) & 1023) * interval '0.09 seconds'
  from fleet.inventory_plan p
  on conflict (device_id, kind) do update set next_at = excluded.next_at;
  return null;
end $$;
create trigger device_enrolled after update of state on fleet.device
  for each row when (new.state = 'enrolled' and old.state is distinct from new.state) execute function fleet.plan_inventory();

-- The next time of a device's kind after `a_at`: always at the same offset into the period, spread over all devices, so that
-- everything is asked in one visit and never everybody at once.
create function fleet.inventory_next(a_device bigint, a_hours integer, a_at timestamptz) returns timestamptz
language sql immutable set search_path = pg_catalog as $$
  select to_timestamp(x.phase + ceil((extract(epoch from a_at)::double precision - x.phase) / (a_hours * 3600)) * a_hours * 3600)
  from (select ((hashint8extended(a_device, 0) & 2147483647) % (least(a_hours, 24) * 3600))::double precision as phase) x
$$;

-- Who is to be asked now, by kind, in core's transaction that asks; kinds that core cannot ask for are left alone. Nobody
-- is asked for what is pending already or was answered lately; a holder's own device is not asked which apps it has.
create function fleet.take_inventory_turns(a_kinds text[], a_limit integer) returns table (kind text, devices text[])
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  return query
    with due as (
      select t.device_id, t.kind, p.hours from fleet.inventory_turn t join fleet.inventory_plan p on p.kind = t.kind
      where t.next_at <= now() and t.kind = any(a_kinds) order by t.next_at limit a_limit for update of t skip locked),
    moved as (
      update fleet.inventory_turn t set next_at = case when u.hours = 0 then now() + interval '1 day'
        else fleet.inventory_next(u.device_id, u.hours, now() + make_interval(hours => u.hours) / 2) end
      from due u where t.device_id = u.device_id and t.kind = u.kind
      returning t.device_id, t.kind, u.hours)
    select m.kind, array_agg(d.handle order by d.handle) from moved m join fleet.device d on d.id = m.device_id
    where d.state = 'enrolled' and m.hours > 0
      and not (d.ownership = 'personal' and m.kind = 'InstalledApplicationList')
      and not exists (select from fleet.command c where c.device_id = m.device_id and c.done_at is null and c.request_type = m.kind)
      and not exists (select from fleet.inventory i where i.device_id = m.device_id and i.kind = m.kind
        and i.taken_at > now() - make_interval(hours => m.hours) / 2)
    group by 1;
end $$;

-- A shorter period takes effect at once, not after the longer one.
create function fleet.set_inventory_plan(a_kind text, a_hours integer, a_by text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.inventory_plan set hours = a_hours, set_by = a_by, set_at = now() where kind = a_kind;
  if not found then return false; end if;
  if a_hours > 0 then
    update fleet.inventory_turn t set next_at = fleet.inventory_next(t.device_id, a_hours, now())
    where t.kind = a_kind and t.next_at > fleet.inventory_next(t.device_id, a_hours, now());
  end if;
  perform log.emit('inventory.plan_changed', a_by, null, null, jsonb_build_object('kind', a_kind, 'hours', a_hours));
  return true;
end $$;

-- fleet.push keeps the newest push of a device; its timeline needs those before.
create table fleet.push_sent (
  device_id bigint not null references fleet.device,
  wanted_at timestamptz not null,
  sent_at timestamptz not null,
  apns_id text
);
create index push_sent_device on fleet.push_sent (device_id, sent_at);
create index push_sent_at on fleet.push_sent (sent_at);
create function fleet.note_push_sent() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  insert into fleet.push_sent (device_id, wanted_at, sent_at, apns_id)
  select n.device_id, n.wanted_at, n.sent_at, n.apns_id from new_push n join old_push o on o.device_id = n.device_id
  where n.state = 'sent' and n.sent_at is distinct from o.sent_at;
  return null;
end $$;
create trigger push_history after update on fleet.push referencing new table as new_push old table as old_push
  for each statement execute function fleet.note_push_sent();

-- Takes away what is older than is kept; at most a batch a call. Returns how many rows went.
create function fleet.prune_history() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a integer;
  b integer;
begin
  delete from fleet.inventory_change c where c.id in
    (select x.id from fleet.inventory_change x where x.at < now() - interval '400 days' order by x.at limit 20000);
  get diagnostics a = row_count;
  delete from fleet.push_sent p where p.ctid = any(array(
    select x.ctid from fleet.push_sent x where x.sent_at < now() - interval '30 days' order by x.sent_at limit 20000));
  get diagnostics b = row_count;
  return a + b;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning, urgent) values
  ('inventory.plan_changed', 3006, 3, 1, 'an admin changed how often devices are asked for their facts', false);

revoke all on function fleet.inventory_flat(jsonb), fleet.note_inventory_change(), fleet.plan_inventory(),
  fleet.inventory_next(bigint, integer, timestamptz), fleet.take_inventory_turns(text[], integer),
  fleet.set_inventory_plan(text, integer, text), fleet.note_push_sent(), fleet.prune_history() from public;
grant execute on function fleet.take_inventory_turns(text[], integer), fleet.prune_history() to bartizan_core;
grant execute on function fleet.set_inventory_plan(text, integer, text) to bartizan_console;
grant select on fleet.inventory_change, fleet.inventory_plan, fleet.push_sent to bartizan_core, bartizan_console;
