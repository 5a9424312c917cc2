-- Room: fleet. A software update plan that cannot be followed stops no other, and says why.
alter table fleet.update_plan add column fault text check (length(fault) <= 100);

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('update.stuck', 6002, 99, 3, 'a planned software update cannot be turned into declarations');

grant update (fault) on fleet.update_plan to bartizan_core;
