import { type CommandRequest, dangersOf, type Verb } from '#wire';
import { checkProfile } from './profile.ts';
import { commandKey } from './supersede-rules.ts';

export type Risk = 'read' | 'change' | 'lock' | 'destroy';

/** How much harm a verb can do; decides who must agree before it runs. */
export const RISK: Record<Verb, Risk> = {
  DeviceInformation: 'read',
  SecurityInfo: 'read',
  ProfileList: 'read',
  InstallProfile: 'change',
  RemoveProfile: 'change',
  DeclarativeManagement: 'read',
  DeviceLock: 'lock',
  DeviceConfigured: 'change',
  EraseDevice: 'destroy',
};

/** What a verb needs besides its devices. InstallProfile: `{profile: XML text}`; RemoveProfile: `{identifier}`; else empty. */
export interface CommandParams {
  readonly profile?: string;
  readonly identifier?: string;
  /** DeclarativeManagement: Apple's TokensResponse as JSON text. */
  readonly tokens?: string;
}

/** The request that an intent's verb and parameters stand for; checks them. Throws FleetError or WireError. */
export function commandRequest(verb: Verb, params: CommandParams): CommandRequest {
  if (verb === 'InstallProfile') {
    const payload = Buffer.from(params.profile ?? '', 'utf8');
    checkProfile(payload);
    return { verb, payload };
  }
  if (verb === 'RemoveProfile') return { verb, identifier: params.identifier ?? '' };
  if (verb === 'DeclarativeManagement') {
    return params.tokens === undefined ? { verb } : { verb, tokens: Buffer.from(params.tokens, 'utf8') };
  }
  return { verb };
}

/** Whether it could turn devices against their holders, so that two people must agree to these very bytes. */
export function isDangerous(verb: Verb, params: CommandParams): boolean {
  return verb === 'InstallProfile' && dangersOf(Buffer.from(params.profile ?? '', 'utf8')).length > 0;
}

/** What a command is about, for superseding (see supersede-rules.ts). */
export function keyOf(verb: Verb, params: CommandParams): string {
  if (verb === 'InstallProfile')
    return checkProfile(Buffer.from(params.profile ?? '', 'utf8')).identifier.slice(0, 256);
  return commandKey({ ...params }, params.identifier);
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
