-- Room: fleet. A user's channel is woken by its own token.
alter table fleet.channel add column pushed_at timestamptz;
create index command_channel on fleet.command (channel_id, queued_at) where channel_id is not null and done_at is null;
grant update (pushed_at, push_token) on fleet.channel to bartizan_core;
