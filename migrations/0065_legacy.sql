-- What old cryptography (SHA-1, DES, 3DES) edge still accepts is counted, so that somebody can see when it may be refused.

insert into log.kind (kind, class_uid, activity_id, severity_id, meaning) values
  ('edge.legacy', 4002, 99, 2, 'messages of devices came with SHA-1, DES or 3DES and were accepted: how many since the last report');

create function edge.count_legacy(a_count integer) returns void
language sql volatile security definer set search_path = pg_catalog as $$
  select log.emit('edge.legacy', 'edge', null, null, jsonb_build_object('count', greatest(a_count, 0)));
$$;

revoke execute on function edge.count_legacy(integer) from public;
grant execute on function edge.count_legacy(integer) to bartizan_edge;
