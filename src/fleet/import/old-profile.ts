import type { Tx } from '#store';
import { type ForeignProfile, textAt } from '#wire';
import { FleetError } from '../error.ts';
import { readProfile } from '../profiles/read.ts';
import type { Incoming } from './nanomdm.ts';

/** An old server's enrolment profile, with the push topic of the devices that have it. */
export interface OldProfile extends ForeignProfile {
  readonly topic: string;
}

/** Reads the enrolment profile that devices were given, XML or signed; its secrets are not kept. Throws FleetError `bad-request`. */
export function readOldProfile(bytes: Uint8Array): OldProfile {
  const { identifier, payloads } = readProfile(bytes);
  const found = payloads.filter((payload) => textAt(payload, 'PayloadType') === 'com.apple.mdm');
  const [mdm] = found;
  if (found.length !== 1 || mdm === undefined) throw bad('It has no MDM payload, or more than one.');
  if (mdm.has('EnrollmentMode')) throw bad('It names an account, so it cannot be made anew.');
  const [serverUrl, topic] = [textAt(mdm, 'ServerURL'), textAt(mdm, 'Topic')];
  const checkInUrl = textAt(mdm, 'CheckInURL') ?? null;
  const rights = mdm.get('AccessRights');
  if (serverUrl === undefined || topic === undefined || (typeof rights !== 'number' && typeof rights !== 'bigint'))
    throw bad('Its MDM payload lacks ServerURL, Topic or AccessRights.');
  for (const url of [serverUrl, checkInUrl])
    if (url !== null && !isAddress(url)) throw bad('An address in it is none.');
  return {
    ...{ identifier, mdmIdentifier: textAt(mdm, 'PayloadIdentifier') ?? '', serverUrl, checkInUrl, topic },
    accessRights: Number(rights) & 0xffff,
  };
}

const bad = (why: string) => new FleetError('bad-request', `This is not the devices’ enrolment profile. ${why}`);

function isAddress(url: string): boolean {
  try {
    return url.length <= 512 && ['https:', 'http:'].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

/**
 * Notes the profile that a device of another server has. Not for one under user enrolment, nor for one that enrolled here since,
 * nor for one of another topic: a device takes no profile for those. Returns how many were new, 0 or 1.
 */
export async function knowProfile(
  t: Tx,
  { authenticate, tokenUpdate }: Incoming,
  { profile, by }: { readonly profile?: OldProfile; readonly by: string },
): Promise<number> {
  if (profile === undefined || authenticate.kind === 'enrollment-id' || tokenUpdate.topic !== profile.topic) return 0;
  const { identifier, mdmIdentifier, serverUrl, checkInUrl, accessRights } = profile;
  const { rowCount } = await t.query(
    `insert into fleet.foreign_profile (device_id, identifier, mdm_identifier, server_url, check_in_url, access_rights, added_by)
     select d.id, $2, $3, $4, $5, $6, $7 from fleet.device d where d.udid = $1 and d.state = 'enrolled'
       and not exists (select from fleet.enrolment e where e.device_id = d.id and e.used_at is not null)
     on conflict (device_id) do nothing`,
    [authenticate.udid, identifier, mdmIdentifier, serverUrl, checkInUrl, accessRights, by],
  );
  return rowCount ?? 0;
}
