-- Room: evidence. What outsiders said of the log: cosignatures of witnesses, time stamps. Nothing of it is secret or personal;
-- the same lies as files beside the log, for whoever verifies it.
create schema evidence;

-- Checkpoints that were shown to outsiders. `log`: the key id in the log's verifier key; a log that goes on after a restore has
-- another.
create table evidence.checkpoint (
  log text not null check (log ~ '^[0-9a-f]{8}$'),
  size bigint not null check (size >= 0),
  note text not null check (length(note) <= 16384),
  kept_at timestamptz not null default clock_timestamp(),
  primary key (log, size)
);

create table evidence.witness (
  name text primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$'),
  log text not null,
  -- the newest that it cosigned, as far as we know
  size bigint not null default 0,
  signed_at timestamptz,
  since timestamptz not null default clock_timestamp(),
  next_at timestamptz not null default clock_timestamp(),
  failures integer not null default 0,
  code text check (code ~ '^[a-z0-9-]{1,40}$'),
  alarmed_at timestamptz,
  active boolean not null default true
);

create table evidence.cosignature (
  log text not null,
  size bigint not null,
  witness text not null,
  -- key id, 8 hex
  key text not null check (key ~ '^[0-9a-f]{8}$'),
  signed_at timestamptz not null,
  line text not null check (length(line) <= 8192),
  primary key (log, size, witness, key),
  foreign key (log, size) references evidence.checkpoint on delete cascade
);

create table evidence.stamp (
  id uuid primary key default gen_random_uuid(),
  log text not null,
  size bigint not null,
  reason text not null check (reason in ('regular', 'incident-opened', 'incident-closed')),
  incident text,
  asked_at timestamptz not null default clock_timestamp(),
  next_at timestamptz not null default clock_timestamp(),
  tries integer not null default 0,
  code text check (code ~ '^[a-z0-9-]{1,40}$'),
  authority text,
  -- by the authority's clock
  stamped_at timestamptz,
  reply bytea check (octet_length(reply) <= 65536),
  foreign key (log, size) references evidence.checkpoint
);
create index stamp_due on evidence.stamp (next_at) where reply is null;
create index stamp_newest on evidence.stamp (log, asked_at desc);

create table evidence.state (
  one boolean primary key default true check (one),
  -- events up to here were looked at
  position bigint not null default 0,
  alarmed_at timestamptz
);
insert into evidence.state default values;

-- What was stamped is kept: of the regular ones after 30 days the last of each day. Of what was only cosigned the newest 200.
create function evidence.prune() returns integer
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  n integer;
begin
  delete from evidence.stamp s where s.reason = 'regular' and s.asked_at < now() - interval '30 days'
    and exists (select from evidence.stamp l where l.reason = 'regular' and l.log = s.log and l.reply is not null
      and l.asked_at::date = s.asked_at::date and l.asked_at > s.asked_at);
  delete from evidence.checkpoint c
    where not exists (select from evidence.stamp s where s.log = c.log and s.size = c.size)
      and c.size < (select coalesce(min(size), 0) from
        (select size from evidence.checkpoint k where k.log = c.log order by size desc limit 200) newest);
  get diagnostics n = row_count;
  return n;
end $$;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('witness.silent', 6002, 99, 4, 'a witness has not cosigned the log for too long'),
  ('witness.back', 6002, 99, 1, 'a witness that was silent cosigns again'),
  ('witness.refused', 6002, 99, 5, 'a witness saw another past of the log than ours'),
  ('timestamp.silent', 6002, 99, 3, 'no authority stamps the log’s checkpoints'),
  ('evidence.set', 6002, 3, 3, 'witnesses or time stamp authorities were changed');

revoke all on all functions in schema evidence from public;
grant usage on schema evidence to bartizan_core;
grant select, insert on evidence.checkpoint to bartizan_core;
grant select, insert, update on evidence.witness, evidence.cosignature, evidence.stamp to bartizan_core;
grant select, update on evidence.state to bartizan_core;
grant execute on function evidence.prune() to bartizan_core;
