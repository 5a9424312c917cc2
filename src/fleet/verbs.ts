import type { CommandRequest, Verb } from '#wire';
import { checkProfile } from './profile.ts';

export type Risk = 'read' | 'change' | 'lock' | 'destroy';

/** How much harm a verb can do; decides who must agree before it runs. */
export const RISK: Record<Verb, Risk> = {
  DeviceInformation: 'read',
  SecurityInfo: 'read',
  ProfileList: 'read',
  InstallProfile: 'change',
  RemoveProfile: 'change',
  DeviceLock: 'lock',
  EraseDevice: 'destroy',
};

/** What a verb needs besides its devices. InstallProfile: `{profile: XML text}`; RemoveProfile: `{identifier}`; else empty. */
export interface CommandParams {
  readonly profile?: string;
  readonly identifier?: string;
}

/** The request that an intent's verb and parameters stand for; checks them. Throws FleetError or WireError. */
export function commandRequest(verb: Verb, params: CommandParams): CommandRequest {
  if (verb === 'InstallProfile') {
    const payload = Buffer.from(params.profile ?? '', 'utf8');
    checkProfile(payload);
    return { verb, payload };
  }
  if (verb === 'RemoveProfile') return { verb, identifier: params.identifier ?? '' };
  return { verb };
}

const HEADINGS: Readonly<Record<string, string>> = {
  EraseDevice: 'Erase',
  DeleteUser: 'Delete a user’s data from',
  DeviceLock: 'Lock',
  EnableLostMode: 'Switch on lost mode for',
  DisableLostMode: 'Switch off lost mode for',
  DeviceLocation: 'Locate',
  ClearPasscode: 'Clear the passcode of',
  InstallProfile: 'Install a dangerous profile on',
};

/** What a command set does, for lists of approvals; what is signed is the document on glass. */
export function headingOf(verb: string, count: number): string {
  return `${HEADINGS[verb] ?? `Send ${verb} to`} ${count} ${count === 1 ? 'device' : 'devices'}`;
}
