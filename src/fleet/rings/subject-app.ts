import type { Tx } from '#store';
import { appVersion, install, wantedApp } from '../apps/send.ts';
import { stateIntent } from '../intent.ts';
import type { Rolled, RolloutDoors, Subject } from './subject.ts';
import { OF_COMMANDS, ofEarlier } from './subject-profile.ts';

const MOST = 5_000;
/** Apple's states of a managed app that mean that it will not be there. */
const FAILED = `('Failed', 'NeedsRedemption', 'UserRejected', 'UpdateRejected', 'ManagementRejected', 'ManagedButUninstalled')`;

/**
 * A version of an app, by InstallApplication. A device that acknowledged the command has only begun: what counts is what it
 * says of the app in its next list of managed apps, for which it is asked.
 */
export const appSubject: Subject = {
  known: async (t, { subject_id, version_id }) =>
    version_id !== null && (await appVersion(t, subject_id, version_id)) !== undefined,
  wanted: (t, { subject_id }) => wantedApp(t, subject_id),
  send: async (t, live, members, doors) => {
    const version = await appVersion(t, live.subject_id, live.version_id!);
    if (version === undefined) return 0;
    const sent = await install(t, version, { ...doors, by: live.requester, rollout: live.id, members });
    await askForApps(t, live, members, doors);
    return sent;
  },
  outcomes: `select x.device_id, case when x.outcome <> 'ok' then x.outcome when l.taken_at is null or l.taken_at < x.at then 'waits'
      when s.status = 'Managed' then 'ok' when s.status in ${FAILED} then 'failed' else 'waits' end as outcome, x.at
    from (${OF_COMMANDS} union all
      ${ofEarlier('(select * from fleet.app_on where app_id = $2 and version_id = $3 and sent is not null) o')}) x
    join fleet.app a on a.id = $2
    left join fleet.inventory l on l.device_id = x.device_id and l.kind = 'ManagedApplicationList'
    left join lateral (select p->>'Status' as status
      from jsonb_array_elements(case jsonb_typeof(l.facts->'apps') when 'array' then l.facts->'apps' else '[]' end) p
      where p->>'Identifier' = a.identifier limit 1) s on true`,
  // Whoever still waits for a licence was not sent it.
  sent: `select count(*)::int from fleet.app_on o join fleet.device d on d.id = o.device_id
    where o.app_id = $2 and o.version_id = $3 and o.sent is not null and d.handle = any($4)`,
  forgetUnsent: async (t, { subject_id }, intents) => {
    await t.query(
      'update fleet.app_on set sent = null, version_id = null, intent_id = null where app_id = $1 and intent_id = any($2)',
      [...[subject_id, intents]],
    );
  },
};

/** Asks those that acknowledged for their managed apps: at once, and every five minutes while the app is under way. */
async function askForApps(t: Tx, live: Rolled, members: readonly string[], doors: RolloutDoors): Promise<void> {
  const { rows } = await t.query<{ handle: string }>(
    `with acked as (select x.device_id, max(x.at) as at from (${OF_COMMANDS}) x where x.outcome = 'ok' group by 1)
     select d.handle from acked x join fleet.device d on d.id = x.device_id and d.state = 'enrolled' and d.handle = any($3)
       join fleet.app a on a.id = $2
       left join fleet.inventory l on l.device_id = d.id and l.kind = 'ManagedApplicationList'
       left join lateral (select p->>'Status' as status
         from jsonb_array_elements(case jsonb_typeof(l.facts->'apps') when 'array' then l.facts->'apps' else '[]' end) p
         where p->>'Identifier' = a.identifier limit 1) s on true
     where (l.taken_at is null or l.taken_at < x.at or (l.taken_at < now() - interval '5 minutes'
         and s.status is distinct from 'Managed' and (s.status is null or s.status not in ${FAILED})))
       and not exists (select from fleet.command c where c.device_id = d.id and c.request_type = 'ManagedApplicationList'
         and (c.done_at is null or c.queued_at > now() - interval '5 minutes' and c.queued_at > x.at))
       and not exists (select from fleet.intent n where n.verb = 'ManagedApplicationList' and n.state = 'ready'
         and n.requester = 'core' and n.purpose = $4 and n.created_at > x.at)
     order by d.handle limit $5`,
    [live.id, live.subject_id, members, PURPOSE, MOST],
  );
  if (rows.length === 0) return;
  await stateIntent(t, {
    ...{ verb: 'ManagedApplicationList', devices: rows.map(({ handle }) => handle), params: {} },
    ...{ requester: 'core', purpose: PURPOSE, now: doors.now() },
  });
}
const PURPOSE = 'how an app of a rollout stands';
