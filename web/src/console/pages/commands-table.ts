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
  readonly kind: 'line' | 'text' | 'yes-no' | 'plist';
  readonly needed?: true;
}

export interface ActionSpec {
  readonly verb: string;
  readonly risk: RiskName;
  readonly label: string;
  readonly effect: string;
  readonly fields?: readonly FieldSpec[];
  readonly supervised?: true;
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
const app: FieldSpec = { name: 'Identifier', label: 'App', hint: 'Its bundle identifier', kind: 'line', needed: true };

export const ACTIONS: readonly ActionSpec[] = [
  {
    verb: 'SecurityInfo',
    risk: 'read',
    label: 'Security',
    effect: 'Whether it is encrypted and has a passcode that fits.',
  },
  { verb: 'ProfileList', risk: 'read', label: 'Profiles', effect: 'Which configuration profiles it has.' },
  {
    verb: 'CertificateList',
    risk: 'read',
    label: 'Certificates',
    effect: 'Its certificates, by hash: their names stay on the device.',
  },
  {
    verb: 'InstalledApplicationList',
    risk: 'read',
    label: 'Apps',
    effect: 'Its managed apps. A person’s own apps are not asked for.',
  },
  {
    verb: 'ManagedApplicationList',
    risk: 'read',
    label: 'State of managed apps',
    effect: 'How far each managed app is.',
  },
  {
    ...{ verb: 'InstallApplication', risk: 'change', label: 'Install an app' },
    effect: 'The device loads the app and manages it from then on.',
    fields: [app],
  },
  {
    ...{ verb: 'RemoveApplication', risk: 'change', label: 'Remove an app' },
    effect: 'The managed app goes with all its data.',
    fields: [app],
  },
  {
    ...{ verb: 'RemoveProfile', risk: 'change', label: 'Remove a profile' },
    effect: 'What the profile set up is undone.',
    fields: [{ name: 'identifier', label: 'Profile', hint: 'Its PayloadIdentifier', kind: 'line', needed: true }],
  },
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
