-- Room: fleet. What a command set that waits for two people would send, with the nil UUID in place of each device's own:
-- glass shows it, after its page has checked that it hashes to what is signed.
create table fleet.template (
  approval_id uuid primary key,
  template bytea not null check (octet_length(template) <= 1048576)
);
grant insert on fleet.template to bartizan_console, bartizan_core;
grant select on fleet.template to bartizan_glass;
