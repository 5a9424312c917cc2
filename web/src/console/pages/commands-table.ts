import { SETTINGS_ACTIONS } from './commands-settings.ts';

/** What can be asked of one device, grouped by how much harm it can do, in the words of whoever decides. */
export const GROUPS = [
  { risk: 'read', title: 'Ask', rule: 'Runs at once and changes nothing.' },
  { risk: 'change', title: 'Change', rule: 'Runs at once; many changes by one person within an hour are held.' },
  {
    risk: 'lock',
    title: 'Lock and lost',
    rule: 'At most 5 of these an hour on your word; more wait for a second person.',
  },
  { risk: 'locate', title: 'Locate', rule: 'Only in lost mode, only with two people; the device tells its holder.' },
  { risk: 'destroy', title: 'Destroy', rule: 'Always two people; the guards’ limits hold even then.' },
  { risk: 'raw', title: 'Raw command', rule: 'Written by hand. Always two people.' },
] as const;
export type RiskName = (typeof GROUPS)[number]['risk'];

export interface FieldSpec {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly kind: 'line' | 'text' | 'yes-no' | 'plist' | 'json' | 'choice';
  /** Of a choice: what is sent, and in words. The first stands until somebody chooses. */
  readonly options?: readonly (readonly [value: string, words: string])[];
  readonly needed?: true;
}

/** What was filled in, by field. */
export type Values = Readonly<Record<string, string | boolean>>;

export interface ActionSpec {
  readonly verb: string;
  readonly risk: RiskName;
  readonly label: string;
  readonly effect: string;
  readonly fields?: readonly FieldSpec[];
  readonly supervised?: true;
  /** Makes the arguments of what was filled in; without it each field is the argument of its name. A text: what is wrong. */
  readonly args?: (values: Values) => object | string;
  /** Can be sent to a user's channel. */
  readonly channel?: true;
  /** For shared iPads only. */
  readonly sharedIpad?: true;
  /** Only while the device is in lost mode (true), or while it is not (false). */
  readonly lost?: boolean;
}

const screen = (name: string, label: string, needed?: true): FieldSpec => ({
  ...{
    name,
    label,
    kind: 'text',
    hint: 'Shown on the device to whoever holds it. No names, telephone numbers or addresses',
  },
  ...(needed === undefined ? {} : { needed }),
});
export const app: FieldSpec = {
  ...{ name: 'Identifier', label: 'App', hint: 'Its bundle identifier', kind: 'line', needed: true },
};

export const ACTIONS: readonly ActionSpec[] = [
  {
    verb: 'SecurityInfo',
    risk: 'read',
    label: 'Security',
    effect: 'Whether it is encrypted and has a passcode that fits.',
  },
  {
    ...{ verb: 'ProfileList', risk: 'read', label: 'Profiles', channel: true },
    effect: 'Which configuration profiles it has.',
  },
  {
    ...{ verb: 'CertificateList', risk: 'read', label: 'Certificates', channel: true },
    effect: 'Its certificates, by hash: their names stay on the device.',
  },
  {
    ...{ verb: 'InstalledApplicationList', risk: 'read', label: 'Apps', channel: true },
    effect: 'Its managed apps. A person’s own apps are not asked for.',
  },
  {
    ...{ verb: 'ManagedApplicationList', risk: 'read', label: 'State of managed apps', channel: true },
    effect: 'How far each managed app is.',
  },
  {
    ...{ verb: 'ManagedApplicationConfiguration', risk: 'read', label: 'An app’s configuration' },
    effect: 'What a managed app was configured with.',
    fields: [app],
    args: ({ Identifier }) => ({ Identifiers: [String(Identifier).trim()] }),
  },
  {
    ...{ verb: 'UserList', risk: 'read', label: 'Users', sharedIpad: true },
    effect: 'How many users it holds; their names stay on it.',
  },
  {
    ...{ verb: 'AvailableOSUpdates', risk: 'read', label: 'Updates that fit', supervised: true },
    effect: 'Which system updates the device could install.',
  },
  {
    ...{ verb: 'OSUpdateStatus', risk: 'read', label: 'State of the update', supervised: true },
    effect: 'How far a scheduled system update is.',
  },
  {
    ...{ verb: 'DeclarativeManagement', risk: 'read', label: 'Look at declarations', channel: true },
    effect: 'It fetches what is declared for it and reports how it stands.',
  },
  {
    ...{ verb: 'InstallApplication', risk: 'change', label: 'Install an app', channel: true },
    effect: 'The device loads the app and manages it from then on.',
    fields: [
      app,
      {
        ...{ name: 'Configuration', label: 'Configuration', kind: 'json' },
        hint: 'JSON, or empty; no names, addresses or numbers',
      },
      { name: 'RemoveWithManagement', label: 'Remove it when management ends', kind: 'yes-no' },
    ],
    args: ({ Identifier, Configuration, RemoveWithManagement }) => {
      const given = String(Configuration ?? '').trim();
      try {
        return {
          Identifier: String(Identifier).trim(),
          ...(given === '' ? {} : { Configuration: JSON.parse(given) as object }),
          ...(RemoveWithManagement === true ? { ManagementFlags: 1 } : {}),
        };
      } catch {
        return 'The configuration is not JSON.';
      }
    },
  },
  {
    ...{ verb: 'RemoveApplication', risk: 'change', label: 'Remove an app', channel: true },
    effect: 'The managed app goes with all its data.',
    fields: [app],
  },
  {
    ...{ verb: 'InstallProfile', risk: 'change', label: 'Install a profile', channel: true },
    effect: 'The device takes the profile at once. A dangerous one waits for two signatures.',
    fields: [{ name: 'profile', label: 'Profile', hint: 'Its XML', kind: 'plist', needed: true }],
  },
  {
    ...{ verb: 'RemoveProfile', risk: 'change', label: 'Remove a profile', channel: true },
    effect: 'What the profile set up is undone.',
    fields: [{ name: 'identifier', label: 'Profile', hint: 'Its PayloadIdentifier', kind: 'line', needed: true }],
  },
  ...SETTINGS_ACTIONS,
  {
    ...{ verb: 'DeviceLock', risk: 'lock', label: 'Lock the screen' },
    effect: 'The screen locks at once. The holder’s own code opens it again.',
    fields: [screen('Message', 'Message')],
  },
  {
    ...{ verb: 'EnableLostMode', risk: 'lock', label: 'Switch on lost mode', supervised: true, lost: false },
    effect:
      'The device shows the message and nothing else until lost mode is switched off. It says that its place may be read.',
    fields: [screen('Message', 'Message', true)],
  },
  {
    ...{ verb: 'DisableLostMode', risk: 'lock', label: 'Switch off lost mode', supervised: true, lost: true },
    effect: 'Whoever holds the device can use it again.',
  },
  {
    ...{ verb: 'PlayLostModeSound', risk: 'lock', label: 'Play a sound', supervised: true, lost: true },
    effect: 'It rings for two minutes, even when muted.',
  },
  {
    ...{ verb: 'ClearPasscode', risk: 'lock', label: 'Clear the passcode' },
    effect:
      'Whoever holds the device can open it until a new code is set. It waits until you release the unlock token with a touch on glass.',
  },
  {
    ...{ verb: 'RestartDevice', risk: 'lock', label: 'Restart', supervised: true },
    effect: 'It restarts at once, and stays without network until its code is entered.',
  },
  {
    ...{ verb: 'ShutDownDevice', risk: 'lock', label: 'Switch off', supervised: true },
    effect: 'It switches off at once and cannot be reached until somebody switches it on.',
  },
  {
    ...{ verb: 'DeviceLocation', risk: 'locate', label: 'Read its place', supervised: true, lost: true },
    effect: 'Its place is read once and sealed. Reading it takes a touch on glass and is logged.',
  },
  {
    ...{ verb: 'EraseDevice', risk: 'destroy', label: 'Erase' },
    effect: 'Everything on the device is gone, and it leaves management.',
    fields: [
      { name: 'PreserveDataPlan', label: 'Keep the eSIM’s data plan', kind: 'yes-no' },
      { name: 'DisallowProximitySetup', label: 'Forbid setting it up from a phone nearby', kind: 'yes-no' },
    ],
  },
  {
    ...{ verb: 'DeleteUser', risk: 'destroy', label: 'Delete all users', sharedIpad: true },
    effect: 'Every user’s data on the shared iPad is gone. Users cannot be named one by one: their names stay on it.',
    fields: [{ name: 'ForceDeletion', label: 'Even what is not synchronised yet', kind: 'yes-no' }],
    args: ({ ForceDeletion }) => ({
      DeleteAllUsers: true,
      ...(ForceDeletion === true ? { ForceDeletion: true } : {}),
    }),
  },
  {
    ...{ verb: 'Raw', risk: 'raw', label: 'Send a raw command' },
    effect:
      'The device does what the property list says, known to us or not. What erases, locks, locates or installs cannot be sent so.',
    fields: [
      {
        ...{ name: 'plist', label: 'Property list', kind: 'plist', needed: true },
        hint: 'XML: the dictionary that stands under Command, with its RequestType',
      },
    ],
  },
];
