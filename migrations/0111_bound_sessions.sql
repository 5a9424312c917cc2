-- Room: api. A session belongs to a key that only its browser holds; a stolen cookie is worth nothing elsewhere.
alter table api.session add column bound_key text check (length(bound_key) between 60 and 300);
update api.session set ended_at = now(), ended_by = 'sessions are bound to a key now' where ended_at is null;

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('auth.binding_failed', 3002, 99, 4, 'a session''s cookie was used without its browser''s key');
