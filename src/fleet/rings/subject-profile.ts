import { assignedDevices } from '../profiles/library.ts';
import { sendProfile } from '../profiles/send.ts';
import type { Subject } from './subject.ts';

const STATE = `case when c.state = 'acknowledged' then 'ok'
  when c.state in ('error', 'format_error', 'unsupported', 'refused') then 'failed' else 'waits' end`;

/** SQL for what became of the commands of a rollout's intents. */
export const OF_COMMANDS = `select c.device_id, ${STATE} as outcome, c.done_at as at from fleet.intent i
    join fleet.command c on c.intent_id = i.id where i.rollout_id = $1
  union all select c.device_id, ${STATE}, c.done_at from fleet.intent i
    join fleet.command c on c.fan_out_id = i.id where i.rollout_id = $1`;

/** SQL for those who were sent the same before this rollout: `o` is what was sent, `o.intent_id` by which intent. */
export const ofEarlier = (from: string) => `select o.device_id, ${STATE}, c.done_at from ${from}
    join fleet.device d on d.id = o.device_id and d.handle = any($4)
    left join fleet.intent i on i.id = o.intent_id
    join fleet.command c on c.device_id = o.device_id and (c.intent_id = o.intent_id or c.fan_out_id = o.intent_id)
    where i.rollout_id is distinct from $1`;

/** A version of a configuration profile, by InstallProfile. */
export const profileSubject: Subject = {
  known: async (t, { subject_id, version_id }) => {
    const { rowCount } = await t.query('select from fleet.profile_version where id = $1 and profile_id = $2', [
      ...[version_id, subject_id],
    ]);
    return rowCount === 1;
  },
  wanted: (t, { subject_id }) => assignedDevices(t, subject_id),
  send: (t, live, members, doors) => sendProfile(t, { ...live, version_id: live.version_id!, members, doors }),
  outcomes: `${OF_COMMANDS} union all
    ${ofEarlier('(select * from fleet.profile_on where profile_id = $2 and version_id = $3) o')}`,
  sent: `select count(*)::int from fleet.profile_on o join fleet.device d on d.id = o.device_id
    where o.profile_id = $2 and o.version_id = $3 and d.handle = any($4)`,
  forgetUnsent: async (t, { subject_id }, intents) => {
    await t.query(
      `update fleet.profile_on set version_id = null, rollout_id = null, intent_id = null
       where profile_id = $1 and intent_id = any($2)`,
      [subject_id, intents],
    );
  },
};
