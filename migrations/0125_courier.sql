-- Room: courier. Messages to people by handle: who, what for, how far. No address, no text and no variable of a text is in any row;
-- variables of single messages wait in a box that only courier opens.
create schema courier;

create table courier.message (
  id uuid primary key,
  lane text not null check (lane in ('send', 'notice', 'auto-send')),
  -- the approval that lists everybody, for a notice
  notice_id uuid references respond.approval,
  subject text not null check (subject ~ '^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$'),
  channel text not null check (channel in ('sms', 'email')),
  topic text not null check (topic ~ '^[a-z-]{3,40}$'),
  template text not null check (template ~ '^[A-Za-z0-9_-]{43}$'),
  document jsonb,
  assertion jsonb,
  box bytea check (octet_length(box) <= 2048),
  asked_by text not null,
  asked_at timestamptz not null default clock_timestamp(),
  not_after timestamptz not null,
  state text not null default 'waiting'
    check (state in ('waiting', 'taken', 'sending', 'sent', 'failed', 'uncertain', 'expired', 'refused')),
  -- a code of ours, never what a gateway said
  reason text check (reason ~ '^[a-z0-9-]{1,40}$'),
  attempts integer not null default 0,
  next_at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  unique (notice_id, subject),
  check ((lane = 'notice') = (notice_id is not null))
);
create index message_due on courier.message (next_at) where state = 'waiting';
create index message_asked on courier.message (asked_at desc);

-- What courier can send now; the console says so before anybody asks.
create table courier.standing (
  one boolean primary key default true check (one),
  channels text[] not null default '{}',
  at timestamptz not null default now()
);
insert into courier.standing default values;

-- Any document that two people sign; which there are is the guards' to say.
alter table respond.approval drop constraint approval_op_check;
alter table respond.approval add constraint approval_op_check check (op ~ '^[a-z][a-z-]{2,29}$');

-- Glass: one person's touched message. A flood stops at 1 000 that wait.
create function courier.ask(a_document jsonb, a_assertion jsonb, a_box bytea) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d jsonb := a_document;
begin
  if not exists (select from people.person where handle = d->>'subject' and left_at is null) then return 'unknown-person'; end if;
  if (select count(*) from courier.message where state = 'waiting' and lane <> 'notice') >= 1000 then return 'too-many'; end if;
  insert into courier.message (id, lane, subject, channel, topic, template, document, assertion, box, asked_by, not_after)
  values ((d->>'id')::uuid, 'send', d->>'subject', d->>'channel', d->>'topic', d->>'template', d, a_assertion, a_box, d->>'admin',
    to_timestamp((d->>'notAfter')::double precision / 1000))
  on conflict do nothing;
  if found then
    perform log.emit('message.asked', d->>'admin', null, d->>'subject', jsonb_build_object('message', d->>'id',
      'purpose', d->>'topic', 'channel', d->>'channel'));
    perform pg_notify('bartizan_courier', '');
  end if;
  return 'waiting';
end $$;

-- Core: a rule's message, signed by core.
create function courier.ask_auto(a_document jsonb) returns text
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  d jsonb := a_document;
begin
  if not exists (select from people.person where handle = d->>'subject' and left_at is null) then return 'unknown-person'; end if;
  if (select count(*) from courier.message where state = 'waiting' and lane = 'auto-send') >= 100 then return 'too-many'; end if;
  insert into courier.message (id, lane, subject, channel, topic, template, document, asked_by, not_after)
  values ((d->>'id')::uuid, 'auto-send', d->>'subject', d->>'channel', d->>'topic', d->>'template', d, 'core',
    to_timestamp((d->>'notAfter')::double precision / 1000))
  on conflict do nothing;
  if found then
    perform log.emit('message.asked', 'core', null, d->>'subject', jsonb_build_object('message', d->>'id',
      'purpose', d->>'topic', 'channel', d->>'channel', 'rule', d->>'rule'));
    perform pg_notify('bartizan_courier', '');
  end if;
  return 'waiting';
end $$;

-- Courier's start: what it can send, and what an earlier run left. `a_again`: channels whose gateway sends nothing twice.
-- Crash points: before `sending` nothing had left us, so it waits anew; after it, it waits anew only where the gateway tells
-- one message from two, and otherwise nobody says that it was sent.
create function courier.started(a_channels text[], a_again text[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  m record;
  n integer := 0;
begin
  update courier.standing set channels = a_channels, at = now();
  update courier.message set state = 'waiting', next_at = clock_timestamp()
  where state = 'taken' or (state = 'sending' and channel = any(a_again));
  for m in select id from courier.message where state = 'sending' loop
    perform courier.finish(m.id, 'uncertain', 'stopped-while-sending');
    n := n + 1;
  end loop;
  perform log.emit('system.started', 'courier', null, null, jsonb_build_object('channels', to_jsonb(a_channels), 'uncertain', n));
  return n;
end $$;

-- What courier can send, while it runs.
create function courier.stands(a_channels text[]) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  update courier.standing set channels = a_channels, at = now()
$$;

-- Notices that two people signed become a message for each person, once.
create function courier.expand() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a record;
  n integer := 0;
begin
  for a in select p.id, p.document, p.requester, p.not_after from respond.approval p
    where p.op = 'notice' and p.state = 'open' and p.not_after > now()
      and (select count(*) from respond.signature s where s.approval_id = p.id) >= p.needs
    order by p.created_at limit 5 for update skip locked
  loop
    insert into courier.message (id, lane, notice_id, subject, channel, topic, template, asked_by, not_after)
    select gen_random_uuid(), 'notice', a.id, s, a.document->>'channel', a.document->>'topic', a.document->>'template',
      a.requester, a.not_after
    from jsonb_array_elements_text(a.document->'subjects') s
    on conflict do nothing;
    update respond.approval set state = 'executing' where id = a.id;
    n := n + 1;
  end loop;
  return n;
end $$;

-- The next messages for channels that are ready: a part of one notice, or single ones; each with its sealed address, if there is one.
create function courier.take(a_channels text[], a_limit integer)
returns table (id uuid, lane text, notice_id uuid, subject text, channel text, topic text, document jsonb, assertion jsonb, box bytea,
  attempts integer, version bigint, "row" bytea)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  first record;
  m record;
begin
  for m in select x.id from courier.message x where x.state = 'waiting' and x.not_after <= now() limit 200 loop
    perform courier.finish(m.id, 'expired', 'expired');
  end loop;
  select x.notice_id into first from courier.message x
  where x.state = 'waiting' and x.next_at <= clock_timestamp() and x.channel = any(a_channels)
  order by x.notice_id is not null, x.next_at, x.id limit 1;
  if not found then return; end if;
  return query
  with mine as (
    select x.id from courier.message x
    where x.state = 'waiting' and x.next_at <= clock_timestamp() and x.channel = any(a_channels)
      and x.notice_id is not distinct from first.notice_id
    order by x.next_at, x.id limit least(a_limit, 25) for update skip locked
  ), taken as (
    update courier.message x set state = 'taken', attempts = x.attempts + 1 from mine where x.id = mine.id
    returning x.*
  )
  select t.id, t.lane, t.notice_id, t.subject, t.channel, t.topic, t.document, t.assertion, t.box, t.attempts, r.version, r.row
  from taken t left join lateral people.read_rows(case t.channel when 'sms' then 'number' else 'email' end, array[t.subject]) r on true;
end $$;

-- The list that two people signed, with their signatures.
create function courier.notice(a_id uuid) returns table (document jsonb, assertions jsonb)
language sql stable security definer set search_path = pg_catalog as $$
  select a.document, (select jsonb_agg(s.assertion order by s.at) from respond.signature s where s.approval_id = a.id)
  from respond.approval a where a.id = a_id and a.op = 'notice' and a.state = 'executing'
$$;

-- From here on it may be with the gateway.
create function courier.sending(a_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
begin
  update courier.message set state = 'sending' where id = a_id and state = 'taken';
  return found;
end $$;

create function courier.again(a_id uuid, a_reason text, a_seconds integer) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  -- what the guards would not open yet was no try
  update courier.message set state = 'waiting', reason = a_reason,
    attempts = attempts - case when a_reason like 'guards-%' then 1 else 0 end,
    next_at = clock_timestamp() + make_interval(secs => least(greatest(a_seconds, 1), 7200))
  where id = a_id and state in ('taken', 'sending')
$$;

-- The end of a message: nothing of it but its handle, purpose and outcome stays. The last of a notice closes its approval.
create function courier.finish(a_id uuid, a_state text, a_reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  m record;
begin
  if a_state not in ('sent', 'failed', 'uncertain', 'expired', 'refused') then
    raise exception 'a message does not end so' using errcode = '22023';
  end if;
  update courier.message set state = a_state, reason = a_reason, document = null, assertion = null, box = null,
    done_at = clock_timestamp()
  where id = a_id and state in ('waiting', 'taken', 'sending') returning lane, notice_id, subject, channel, topic, attempts into m;
  if not found then return; end if;
  perform log.emit(case a_state when 'sent' then 'message.sent' when 'uncertain' then 'message.uncertain' else 'message.failed' end,
    'courier', null, m.subject, jsonb_strip_nulls(jsonb_build_object('message', a_id, 'purpose', m.topic, 'channel', m.channel,
      'outcome', a_state, 'code', a_reason, 'attempts', m.attempts, 'notice', m.notice_id)));
  if m.notice_id is null then return; end if;
  -- one at a time, so that the last of them knows that it is the last
  perform from respond.approval a where a.id = m.notice_id for update;
  if not exists (select from courier.message x
      where x.notice_id = m.notice_id and x.state in ('waiting', 'taken', 'sending')) then
    update respond.approval a set done_at = now(), reason = a_reason,
      state = case when exists (select from courier.message x where x.notice_id = a.id and x.state <> 'refused')
        then 'executed' else 'refused' end
    where a.id = m.notice_id and a.state = 'executing';
  end if;
end $$;

-- Somebody leaves or is erased: what waits for them is not sent, and no row names them.
create function courier.forget(a_handle text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  delete from courier.message where subject = a_handle;
  get diagnostics n = row_count;
  return n;
end $$;

-- Outcomes are kept for 90 days; the log keeps them for good.
create function courier.prune() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  delete from courier.message where done_at < now() - interval '90 days';
  get diagnostics n = row_count;
  return n;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('message.asked', 6003, 1, 1, 'a message to a person was asked for'),
  ('message.opened', 6005, 1, 2, 'the guards opened addresses to courier, for one message'),
  ('message.refused', 6005, 99, 4, 'the guards refused to open an address to courier'),
  ('message.sent', 6003, 1, 1, 'a gateway took a message to a person'),
  ('message.failed', 6003, 99, 2, 'a message to a person was not sent'),
  ('message.uncertain', 6003, 99, 3, 'courier stopped while it sent a message, and does not send it twice');

revoke all on all functions in schema courier from public;
grant usage on schema courier to bartizan_courier, bartizan_glass, bartizan_console, bartizan_core;
grant execute on function courier.started(text[], text[]), courier.stands(text[]), courier.expand(), courier.take(text[], integer),
  courier.notice(uuid), courier.sending(uuid), courier.again(uuid, text, integer), courier.finish(uuid, text, text)
  to bartizan_courier;
grant execute on function courier.ask(jsonb, jsonb, bytea) to bartizan_glass;
grant execute on function courier.ask_auto(jsonb), courier.forget(text), courier.prune() to bartizan_core;
grant select (id, lane, notice_id, subject, channel, topic, asked_by, asked_at, not_after, state, reason, attempts, done_at)
  on courier.message to bartizan_console;
grant select on courier.standing to bartizan_console;
