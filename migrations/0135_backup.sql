-- Room: backup. What was kept where and when, for people and alarms; no secret, no path of a file.
create schema backup;

create table backup.plan (
  set text primary key check (set in ('database', 'ledger', 'sealer')),
  place text not null check (place in ('directory', 'command')),
  every_hours integer not null,
  keep_days integer not null,
  alarm_hours integer not null,
  kept integer not null default 0,
  oldest_at timestamptz,
  looked_at timestamptz not null default now()
);

create table backup.run (
  id uuid not null,
  set text not null check (set in ('database', 'ledger', 'sealer')),
  begun_at timestamptz not null,
  done_at timestamptz not null default clock_timestamp(),
  state text not null check (state in ('done', 'failed')),
  -- why it failed, a code
  code text check (length(code) <= 64),
  bytes bigint,
  sha256 bytea check (octet_length(sha256) = 32),
  primary key (id, set)
);
create index run_newest on backup.run (set, begun_at desc);

-- Whether the three places were apart when last looked at; one row.
create table backup.posture (
  one boolean primary key default true check (one),
  recovery text not null check (recovery ~ '^[0-9a-f]{8}$'),
  fingerprint text,
  apart boolean not null,
  one_disk boolean not null,
  code text check (length(code) <= 64),
  looked_at timestamptz not null default now(),
  -- alarms that were given, by what they are about
  alarmed jsonb not null default '{}'
);

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('backup.made', 6002, 1, 1, 'a backup was written and read back'),
  ('backup.failed', 6002, 99, 4, 'a backup could not be written'),
  ('backup.same_place', 6002, 99, 5, 'two backups that must be apart would share one place'),
  ('backup.overdue', 6002, 99, 4, 'a backup is older than its policy'),
  ('backup.outlived', 6002, 99, 4, 'a backup of the ledger is older than erasure allows'),
  ('backup.pruned', 6002, 4, 1, 'backups that outlived their time were deleted'),
  ('recovery.pinned', 6002, 3, 3, 'the offline recovery key was pinned');

grant usage on schema backup to bartizan_core, bartizan_console;
grant select, insert, update on backup.plan, backup.posture to bartizan_core;
grant select, insert on backup.run to bartizan_core;
grant select on backup.plan, backup.run, backup.posture to bartizan_console;
