import { Sealed } from '#base';
import { WireError } from '../error.ts';
import { type PlistDict, textAt } from '../plist/value.ts';

/** Stands for "whoever is signed in" on a Shared iPad; the user is then named by UserShortName. */
export const SHARED_IPAD_USER = 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF';

/** A user's own channel. Its identifier can be a managed Apple ID, so it travels sealed and is kept as a keyed hash only. */
export interface UserChannel {
  readonly kind: 'user' | 'shared';
  readonly id: Sealed<string>;
}

/** Who speaks: Apple's MDM protocol, "UDID" on devices, "EnrollmentID" under user enrolment. If both, UDID wins. */
export interface Speaker {
  readonly udid: string;
  readonly kind: 'udid' | 'enrollment-id';
  /** Absent on the device's own channel. */
  readonly channel: UserChannel | undefined;
}

/** The identifiers of whoever sent a check-in or a result. Throws WireError `check-in`. */
export function speakerOf(dict: PlistDict, findings: string[]): Speaker {
  const udid = textAt(dict, 'UDID');
  const enrollment = textAt(dict, 'EnrollmentID');
  if (udid !== undefined && enrollment !== undefined) findings.push('two-identifiers');
  const id = udid ?? enrollment;
  if (id === undefined || !/^[A-Za-z0-9._-]{1,128}$/.test(id)) {
    throw new WireError('check-in', 'The message names no device.');
  }
  if (udid !== undefined && !/^(?:[0-9a-f]{40}|[0-9A-F]{8}-[0-9A-F]{16}|[0-9A-F-]{36})$/i.test(udid))
    findings.push('udid-form');
  return {
    udid: id,
    kind: udid !== undefined ? 'udid' : 'enrollment-id',
    channel: channelOf(dict, udid !== undefined),
  };
}

function channelOf(dict: PlistDict, byUdid: boolean): UserChannel | undefined {
  const user = textAt(dict, byUdid ? 'UserID' : 'EnrollmentUserID');
  if (user === undefined) return undefined;
  const shared = byUdid && user.toUpperCase() === SHARED_IPAD_USER;
  const id = shared ? textAt(dict, 'UserShortName') : user;
  if (id === undefined || id === '' || id.length > 256) {
    throw new WireError('check-in', 'The message names a user channel without its user.');
  }
  return { kind: shared ? 'shared' : 'user', id: new Sealed(id) };
}
