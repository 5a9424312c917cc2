-- Rooms: fleet and edge. Tokens that devices ask for (check-in GetToken, service com.apple.maid): that Apple's identity service may
-- know, when a Managed Apple Account signs in, that the device is managed here. They are signed with the key of our server at
-- Apple, which is core's; edge asks for one, core decides and signs, edge takes it once.
create table fleet.service_token_policy (
  one boolean primary key default true check (one),
  -- whose devices get one
  allow text not null default 'none' check (allow in ('none', 'organisation', 'all')),
  set_by text not null default 'core',
  set_at timestamptz not null default now()
);
insert into fleet.service_token_policy default values;

create table fleet.service_token (
  id uuid primary key,
  device_id bigint not null references fleet.device,
  service text not null check (service = 'com.apple.maid'),
  state text not null default 'asked' check (state in ('asked', 'signed', 'refused', 'taken')),
  -- until edge took it
  token text check (length(token) <= 4096),
  reason text check (length(reason) <= 64),
  asked_at timestamptz not null default now()
);
create index service_token_asked on fleet.service_token (asked_at) where state = 'asked';
create index service_token_device on fleet.service_token (device_id, asked_at);

-- False if the device asks too often; old questions are forgotten on the way.
create function edge.ask_service_token(a_id uuid, a_handle text, a_service text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d bigint;
begin
  select id into d from fleet.device where handle = a_handle and state = 'enrolled' for update;
  if not found then return false; end if;
  delete from fleet.service_token where device_id = d and asked_at < now() - interval '1 day';
  if (select count(*) from fleet.service_token where device_id = d and asked_at > now() - interval '1 hour') >= 12 then
    return false;
  end if;
  insert into fleet.service_token (id, device_id, service) values (a_id, d, a_service);
  perform pg_notify('bartizan_work', '');
  return true;
end $$;

-- Where a question stands; a signed token is handed out once and is gone from here.
create function edge.take_service_token(a_id uuid) returns table (state text, token text)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  x fleet.service_token;
begin
  select * into x from fleet.service_token t where t.id = a_id for update;
  if x.state = 'signed' then
    update fleet.service_token t set state = 'taken', token = null where t.id = a_id;
  end if;
  return query select x.state, case when x.state = 'signed' then x.token end where x.id is not null;
end $$;

create function fleet.set_service_tokens(a_allow text, a_by text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update fleet.service_token_policy set allow = a_allow, set_by = a_by, set_at = now() where allow <> a_allow;
  if found then perform log.emit('identity.service_tokens', a_by, null, null, jsonb_build_object('allow', a_allow)); end if;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('identity.service_tokens', 6002, 3, 3, 'whose devices get tokens for signing in to Managed Apple Accounts was set'),
  ('device.token_signed', 3004, 99, 1, 'a token for signing in to a Managed Apple Account was signed for a device');

revoke all on function edge.ask_service_token(uuid, text, text), edge.take_service_token(uuid),
  fleet.set_service_tokens(text, text) from public;
grant execute on function edge.ask_service_token(uuid, text, text), edge.take_service_token(uuid) to bartizan_edge;
grant execute on function fleet.set_service_tokens(text, text) to bartizan_console;
grant select, update on fleet.service_token to bartizan_core;
grant select on fleet.service_token_policy to bartizan_core, bartizan_console;
