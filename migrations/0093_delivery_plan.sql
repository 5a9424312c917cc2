-- Rooms: edge and fleet. Handing out a command costs the same however many commands wait.

-- `delivered_at` was in this index, and so each delivery of any command wrote every index of the table (no heap-only update).
drop index fleet.command_app_delivered;
create index command_app_queued on fleet.command (key, queued_at desc) where request_type = 'InstallApplication';

-- As before, by the primary key alone: asked for `uuid = any(…) and done_at is null`, the planner takes the index of what is
-- pending once its statistics say that nothing is, and then reads every waiting command of the fleet for each batch.
create or replace function edge.deliver(a_uuids uuid[]) returns table (uuid uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  c record;
  g record;
  sent_fan_out uuid[] := '{}';
  sent_verb text[] := '{}';
  sent_device bigint[] := '{}';
begin
  -- Edge forgets this at worst if the whole server loses power, and then the device's answer makes up for it. Not so for
  -- what disrupts.
  if not exists (select from fleet.command k where k.uuid = any(a_uuids)
    and (k.permit is not null or k.priority > 0)) then
    perform set_config('synchronous_commit', 'off', true);
  end if;
  for c in
    with mine as (select k.uuid from fleet.command k where k.uuid = any(a_uuids) and (k.done_at is null) is true
      order by k.uuid for update)
    update fleet.command k set state = 'delivered', deliveries = k.deliveries + 1,
      delivered_at = coalesce(k.delivered_at, clock_timestamp())
    from mine where k.uuid = mine.uuid
    returning k.uuid, k.deliveries, k.request_type, k.device_id, k.fan_out_id
  loop
    if c.deliveries = 1 and c.fan_out_id is not null then
      sent_fan_out := sent_fan_out || c.fan_out_id;
      sent_verb := sent_verb || c.request_type;
      sent_device := sent_device || c.device_id;
    elsif c.deliveries = 1 then
      perform log.emit('command.delivered', 'edge', (select d.handle from fleet.device d where d.id = c.device_id), null,
        jsonb_build_object('command', c.uuid, 'verb', c.request_type));
    end if;
    uuid := c.uuid;
    return next;
  end loop;
  for g in select f.fan_out, f.verb, jsonb_agg(d.handle order by d.handle) as devices
    from unnest(sent_fan_out, sent_verb, sent_device) f(fan_out, verb, device) join fleet.device d on d.id = f.device group by 1, 2
  loop
    perform log.emit('command.group_delivered', 'edge', null, null,
      jsonb_build_object('fan_out', g.fan_out, 'verb', g.verb, 'devices', g.devices));
  end loop;
end $$;
