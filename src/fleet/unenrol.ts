import type { Tx } from '#store';
import { ENROLMENT_PROFILE, removesManagement, type Verb } from '#wire';
import type { CommandParams } from './verbs.ts';

/** Devices that lose their management within an hour by one person's word, all admins together; more needs two people. */
const UNENROLS_PER_HOUR = 20;

/**
 * A device of another server, and the enrolment profile that it has; or, where nobody here knows that one's name, a profile that
 * is none of ours.
 */
const FOREIGN = (device: string, identifier: string) => `(exists (select from fleet.foreign_profile f
    where f.device_id = ${device}.id and lower(f.identifier) = lower(${identifier}))
  or fleet.renewal_obstacle(${device}.id) = 'imported'
  and not exists (select from fleet.profile p where p.identifier = ${identifier})
  and not exists (select from fleet.command k where k.device_id = ${device}.id and k.request_type = 'InstallProfile'
    and k.key = ${identifier}))`;

/**
 * Whether a command takes devices out of management: it removes our enrolment profile or, on a device that was taken over
 * from another server, one that did not come from here.
 */
export async function unenrols(
  t: Tx,
  verb: Verb,
  params: CommandParams,
  devices: readonly string[] | 'all',
): Promise<boolean> {
  if (verb !== 'RemoveProfile') return false;
  const identifier = String(params.identifier ?? '');
  if (removesManagement(identifier)) return true;
  const { rows } = await t.query<{ foreign: boolean }>(
    `select exists (select from fleet.device d where d.state = 'enrolled' and ($1::text[] is null or d.handle = any($1))
       and ${FOREIGN('d', '$2')}) as foreign`,
    [devices === 'all' ? null : devices, identifier],
  );
  return rows[0]!.foreign;
}

/**
 * Whether so many more devices may be unenrolled by one person in this hour. `stated` counts what waits to be dispatched too,
 * for whoever states another. Counted under a lock, so that parallel requests cannot each see room.
 */
export async function mayUnenrolAlone(t: Tx, count: number, stated: boolean): Promise<boolean> {
  await t.query("select pg_advisory_xact_lock(hashtext('unenrol'))");
  const { rows } = await t.query<{ used: number }>(
    `with lately as materialized (select i.params->>'identifier' as identifier, i.targets from fleet.intent i
       where i.verb = 'RemoveProfile' and i.approval_id is null and jsonb_typeof(i.targets) = 'array'
         and case when $1 then i.created_at > now() - interval '1 hour' and i.state in ('ready', 'held', 'dispatched')
           else i.dispatched_at > now() - interval '1 hour' and i.state = 'dispatched' end)
     select coalesce(sum(jsonb_array_length(l.targets)), 0)::int as used from lately l
     where lower(l.identifier) = $2 or exists (select from jsonb_array_elements(l.targets) x
       join fleet.device d on d.handle = x->>'device' where ${FOREIGN('d', 'l.identifier')})`,
    [stated, ENROLMENT_PROFILE],
  );
  return rows[0]!.used + count <= UNENROLS_PER_HOUR;
}
