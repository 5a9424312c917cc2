-- Room: edge. That a command was handed out is not always on disk before it leaves (see edge.deliver): if PostgreSQL dies in
-- that moment the row says 'queued' again. The device's answer makes up for it, whatever became of the row meanwhile: held, it
-- is done and is not handed out again; ended, the log says that it was carried out all the same.
create or replace function edge.take_answers(a_answers jsonb)
returns table (ord integer, verdict text, handle text, uuid uuid, request_type text, body bytea, signature bytea,
  permit jsonb, fan_out uuid)
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  a record;
  c record;
  g record;
  done_fan_out uuid[] := '{}';
  done_verb text[] := '{}';
  done_handle text[] := '{}';
begin
  -- In the order of the commands, so that two batches never wait for each other's rows crosswise.
  for a in select x.*, d.id, d.handle as name,
      (select h.id from fleet.channel h where x.channel is not null and h.device_id = d.id and h.key = decode(x.channel, 'hex')) as channel_id
    from jsonb_to_recordset(a_answers) as x(certificate text, udid text, channel text,
      status text, command uuid, errors jsonb, kind text, facts jsonb, findings jsonb)
    join fleet.device d on d.certificate_sha256 = decode(x.certificate, 'hex')
    where d.state not in ('retired', 'checked_out') and (d.udid is null or d.udid = x.udid)
    order by x.command nulls first
  loop
    if a.status <> 'Idle' then
      update fleet.command k set
        state = case when a.status = 'Acknowledged' then 'acknowledged'
          when a.status = 'Error' and a.errors @> '[{"code": 12021, "domain": "MCMDMErrorDomain"}]' then 'unsupported'
          when a.status = 'Error' then 'error' when a.status = 'CommandFormatError' then 'format_error' else 'not_now' end,
        errors = case when jsonb_array_length(coalesce(a.errors, '[]')) > 0 then a.errors end,
        done_at = case when a.status <> 'NotNow' then now() end, held_by = null
      where k.uuid = a.command and k.device_id = a.id and k.channel_id is not distinct from a.channel_id
        and (k.state in ('queued', 'delivered') or (k.state in ('not_now', 'held') and a.status <> 'NotNow'))
      returning k.uuid, k.request_type, k.fan_out_id, k.channel_id into c;
      if found then
        if c.fan_out_id is not null and a.status = 'Acknowledged' then
          done_fan_out := done_fan_out || c.fan_out_id;
          done_verb := done_verb || c.request_type;
          done_handle := done_handle || a.name;
        else
          perform log.emit('command.result', 'edge', a.name, null, jsonb_build_object('command', c.uuid,
            'verb', c.request_type, 'status', a.status, 'errors', coalesce(a.errors, '[]'))
            || case when c.channel_id is null then '{}'::jsonb else jsonb_build_object('channel', c.channel_id) end);
        end if;
        -- A user's own lists stay out of the device's inventory.
        if c.channel_id is null then
          perform edge.follow_up(a.id, a.name, a.status, c.request_type, a.kind, a.facts);
        end if;
      else
        -- an answer to a command that is done already is a repetition: nothing is done twice
        select k.state into c from fleet.command k where k.uuid = a.command and k.device_id = a.id;
        if not found then
          perform edge.note_findings(a.name, array['answer-to-unknown-command']);
        elsif c.state in ('cancelled', 'refused', 'superseded', 'expired') then
          perform edge.note_findings(a.name, array['answer-to-undelivered-command']);
        end if;
      end if;
    end if;
    if jsonb_typeof(a.findings) = 'array' then
      perform edge.note_findings(a.name, array(select jsonb_array_elements_text(a.findings)));
    end if;
  end loop;
  for g in select f.fan_out, f.verb, jsonb_agg(f.device order by f.device) as devices
    from unnest(done_fan_out, done_verb, done_handle) f(fan_out, verb, device) group by 1, 2
  loop
    perform log.emit('command.group_result', 'edge', null, null,
      jsonb_build_object('fan_out', g.fan_out, 'verb', g.verb, 'status', 'Acknowledged', 'devices', g.devices));
  end loop;
  return query select n.* from (
    select array_agg(decode(x->>'certificate', 'hex') order by o) as certificates, array_agg(x->>'udid' order by o) as udids,
      array_agg(x->>'status' = 'Idle' order by o) as idle, array_agg(decode(x->>'channel', 'hex') order by o) as channels
    from jsonb_array_elements(a_answers) with ordinality e(x, o)) q,
    lateral edge.next_commands(q.certificates, q.udids, q.idle, q.channels) n;
end $$;
