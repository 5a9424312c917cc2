-- Room: respond. Locks name more than admins.
alter table respond.lock drop constraint lock_scope_check;
alter table respond.lock add constraint lock_scope_check
  check (scope in ('directory', 'admin', 'commands', 'role', 'credential', 'document'));
alter table respond.lock_request drop constraint lock_request_scope_check;
alter table respond.lock_request add constraint lock_request_scope_check
  check (scope in ('directory', 'admin', 'commands', 'role', 'credential', 'document'));

-- Which passkey a session came by (base64url SHA-256 of its id): a session ends with its passkey.
alter table api.session add column credential text;
grant select (credential) on api.session to bartizan_core;

-- When each passkey (base64url SHA-256 of its id) was last used, as far as anybody told: the guards, or a sign-in.
create table respond.key_use (
  credential text primary key check (length(credential) = 43),
  admin text not null,
  pinned_at timestamptz not null,
  used_at timestamptz,
  told_at timestamptz
);
grant select, insert, update on respond.key_use to bartizan_core;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('roster.changed', 3001, 99, 4, 'the roster of the guards was changed by its quorum'),
  ('roster.refounded', 3001, 99, 5, 'the roster was made anew with the recovery key'),
  ('roster.split', 3001, 99, 5, 'the two guards do not agree on the roster'),
  ('breakglass.registered', 3001, 1, 4, 'sealed keys and custodians were named anew'),
  ('breakglass.opened', 6003, 99, 6, 'sealed keys were opened by two custodians'),
  ('breakglass.drilled', 6003, 99, 2, 'sealed keys and custodians proved that they could be opened'),
  ('breakglass.reviewed', 6003, 99, 3, 'an opening of sealed keys was reviewed'),
  ('breakglass.drill_due', 6003, 99, 2, 'sealed keys were not tried for a quarter of a year'),
  ('caps.changed', 6002, 3, 4, 'limits of reading and erasing were changed by the quorum'),
  ('caps.raise_stopped', 6002, 3, 3, 'an administrator stopped limits on their way up'),
  ('account.key_unused', 3001, 99, 2, 'a passkey was not used for 90 days');
