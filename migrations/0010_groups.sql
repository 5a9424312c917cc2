-- Room: fleet. Dynamic groups: a saved filter over devices, and who fits it now. Core keeps the members; everything that is
-- scoped (declarations, compliance, rings, apps) reads them.
create table fleet.device_group (
  id uuid primary key,
  name text not null unique check (length(name) between 1 and 80),
  -- {"all": [...]} of {"field", "op", "value"}, {"any": [...]}, {"not": …}; checked before it is stored
  filter jsonb not null check (octet_length(filter::text) <= 16384),
  created_by text not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  deleted_at timestamptz
);

create table fleet.group_member (
  group_id uuid not null references fleet.device_group,
  device_id bigint not null references fleet.device,
  since timestamptz not null default now(),
  primary key (group_id, device_id)
);
create index group_member_device on fleet.group_member (device_id);

grant select, insert, update on fleet.device_group to bartizan_core;
grant select on fleet.group_member to bartizan_core;
grant select on fleet.device_group, fleet.group_member to bartizan_console;
grant insert, update on fleet.device_group to bartizan_console;
