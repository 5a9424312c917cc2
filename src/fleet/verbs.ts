import {
  COMMANDS,
  type CommandArgs,
  type CommandRequest,
  type CommandRisk,
  commandSpec,
  dangersOf,
  type TypedVerb,
  VERBS,
  type Verb,
} from '#wire';
import { FleetError } from './error.ts';
import { checkProfile } from './profile.ts';
import { commandKey } from './supersede-rules.ts';

export type Risk = CommandRisk;

/** How much harm a verb can do; decides who must agree before it runs. */
export const RISK: Record<Verb, Risk> = {
  ...(Object.fromEntries(Object.entries(COMMANDS).map(([verb, { risk }]) => [verb, risk])) as Record<TypedVerb, Risk>),
  Raw: 'raw',
};

/** Every verb that an intent may have. */
export const VERB_NAMES: readonly Verb[] = VERBS;

/** Verbs of which one person may send a few an hour, all counted together; the rest needs two. */
export const LOCKING: readonly string[] = (Object.keys(RISK) as Verb[]).filter((verb) => RISK[verb] === 'lock');

/** Whether a verb always needs two people, whoever asks and however few devices. */
export const alwaysTwo = (verb: Verb): boolean => ['locate', 'destroy', 'raw'].includes(RISK[verb]);

/** Whether a verb's devices are named one by one, each with its own signed command: never a command to many. */
export const oneByOne = (verb: Verb): boolean => RISK[verb] === 'lock' || alwaysTwo(verb);

/**
 * What a verb needs besides its devices. InstallProfile: `{profile: XML text}`; RemoveProfile: `{identifier}`; Raw:
 * `{plist: XML text}`; others `{args}` by Apple's own names.
 */
export interface CommandParams {
  readonly profile?: string;
  readonly identifier?: string;
  readonly plist?: string;
  readonly args?: CommandArgs;
  /** A user's channel of the one device that is named. */
  readonly channel?: number;
  /** DeclarativeManagement: Apple's TokensResponse as JSON text. */
  readonly tokens?: string;
}

/** The request that an intent's verb and parameters stand for; checks them. Throws FleetError or WireError. */
export function commandRequest(verb: Verb, params: CommandParams): CommandRequest {
  if (params.channel !== undefined && commandSpec(verb)?.userChannel !== true) {
    throw new FleetError('bad-request', `${verb} cannot be sent to a user’s channel.`);
  }
  switch (verb) {
    case 'InstallProfile': {
      const payload = Buffer.from(params.profile ?? '', 'utf8');
      checkProfile(payload);
      return { verb, payload };
    }
    case 'RemoveProfile':
      return { verb, identifier: params.identifier ?? '' };
    case 'DeclarativeManagement':
      return params.tokens === undefined ? { verb } : { verb, tokens: Buffer.from(params.tokens, 'utf8') };
    case 'Raw':
      return { verb, plist: Buffer.from(params.plist ?? '', 'utf8') };
    default:
      return { verb, ...(params.args === undefined ? {} : { args: params.args }) };
  }
}

/** Whether it could turn devices against their holders, so that two people must agree to these very bytes. */
export function isDangerous(verb: Verb, params: CommandParams): boolean {
  if (verb === 'InstallApplication') return params.args?.['ManifestURL'] !== undefined;
  return verb === 'InstallProfile' && dangersOf(Buffer.from(params.profile ?? '', 'utf8')).length > 0;
}

/** What a command is about, for superseding (see supersede-rules.ts). */
export function keyOf(verb: Verb, params: CommandParams): string {
  if (verb === 'InstallProfile')
    return checkProfile(Buffer.from(params.profile ?? '', 'utf8')).identifier.slice(0, 256);
  const { args, ...rest } = params;
  const about = args?.['Identifier'];
  return commandKey({ ...rest, ...args }, params.identifier ?? (typeof about === 'string' ? about : undefined));
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
  RemoveProfile: 'Take management from',
  InstallApplication: 'Install an app by its address on',
  RestartDevice: 'Restart',
  ShutDownDevice: 'Switch off',
};

/** What a command set does, for lists of approvals; what is signed is the document on glass. */
export function headingOf(verb: string, count: number): string {
  return `${HEADINGS[verb] ?? `Send the raw command ${verb} to`} ${count} ${count === 1 ? 'device' : 'devices'}`;
}
