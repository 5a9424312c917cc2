import type { ActionSpec, FieldSpec, Values } from './commands-table.ts';

/** A setting that is left as it is until somebody chooses. */
const onOff = (name: string, label: string, hint?: string): FieldSpec => ({
  ...{ name, label, kind: 'choice' },
  ...(hint === undefined ? {} : { hint }),
  options: [
    ['', 'Leave as it is'],
    ['on', 'On'],
    ['off', 'Off'],
  ],
});
const line = (name: string, label: string, hint?: string): FieldSpec => ({
  ...{ name, label, kind: 'line' },
  ...(hint === undefined ? {} : { hint }),
});

const text = (values: Values, name: string): string => String(values[name] ?? '').trim();
const said = (values: Values, names: readonly string[]) =>
  names.filter((name) => text(values, name) !== '').map((name) => [name, text(values, name) === 'on'] as const);
const NOTHING = 'Choose at least one.';
const settings = (items: readonly object[]): object | string => (items.length === 0 ? NOTHING : { Settings: items });

const SWITCHES = [
  'VoiceRoaming',
  'DataRoaming',
  'PersonalHotspot',
  'Bluetooth',
  'DiagnosticSubmission',
  'AppAnalytics',
];
const APPS = ['WebBrowser', 'Mail', 'Calling', 'Messaging'];
const ACCESS = ['BoldTextEnabled', 'IncreaseContrastEnabled', 'ReduceMotionEnabled', 'VoiceOverEnabled'];

/** The forms of the Settings command and of ScheduleOSUpdate. */
export const SETTINGS_ACTIONS: readonly ActionSpec[] = [
  {
    ...{ verb: 'Settings', risk: 'change', label: 'Change settings' },
    effect: 'Only what you choose is changed, once: the holder can change it back.',
    fields: [
      onOff('VoiceRoaming', 'Voice roaming', 'Not every carrier allows it'),
      onOff('DataRoaming', 'Data roaming', 'On switches voice roaming on too'),
      onOff('PersonalHotspot', 'Personal hotspot'),
      onOff('Bluetooth', 'Bluetooth', 'Supervised devices'),
      onOff('DiagnosticSubmission', 'Send diagnostics to Apple', 'Shared iPads'),
      onOff('AppAnalytics', 'Send analytics to app makers', 'Shared iPads'),
      onOff('ActivationLock', 'Holder may switch on Activation Lock', 'Supervised devices'),
      line('TimeZone', 'Time zone', 'For instance Europe/Brussels; supervised devices'),
    ],
    args: (values) => {
      const lock = text(values, 'ActivationLock');
      const zone = text(values, 'TimeZone');
      return settings([
        ...said(values, SWITCHES).map(([Item, Enabled]) => ({ Item, Enabled })),
        ...(lock === ''
          ? []
          : [{ Item: 'MDMOptions', MDMOptions: { ActivationLockAllowedWhileSupervised: lock === 'on' } }]),
        ...(zone === '' ? [] : [{ Item: 'TimeZone', TimeZone: zone }]),
      ]);
    },
  },
  {
    ...{ verb: 'Settings', risk: 'change', label: 'Choose default apps', supervised: true },
    effect: 'Links, mail, calls and messages open in these apps.',
    fields: [
      line('WebBrowser', 'Browser', 'Bundle identifiers; what is empty is left as it is'),
      line('Mail', 'Mail'),
      line('Calling', 'Calls'),
      line('Messaging', 'Messages'),
    ],
    args: (values) => {
      const chosen = APPS.filter((name) => text(values, name) !== '').map((name) => [name, text(values, name)]);
      return settings(
        chosen.length === 0 ? [] : [{ Item: 'DefaultApplications', DefaultApplications: Object.fromEntries(chosen) }],
      );
    },
  },
  {
    ...{ verb: 'Settings', risk: 'change', label: 'Change text and contrast', supervised: true },
    effect: 'For whoever needs it: larger or bolder text, more contrast, less motion, spoken screen.',
    fields: [
      onOff('BoldTextEnabled', 'Bold text'),
      onOff('IncreaseContrastEnabled', 'More contrast'),
      onOff('ReduceMotionEnabled', 'Less motion'),
      onOff('VoiceOverEnabled', 'VoiceOver'),
      line('TextSize', 'Text size', '0 to 11; 4 is usual'),
    ],
    args: (values) => {
      const size = text(values, 'TextSize');
      if (size !== '' && !/^\d{1,2}$/.test(size)) return 'Text size is a whole number from 0 to 11.';
      const chosen = Object.fromEntries(said(values, ACCESS));
      const all = { ...chosen, ...(size === '' ? {} : { TextSize: Number(size) }) };
      return settings(Object.keys(all).length === 0 ? [] : [{ Item: 'AccessibilitySettings', ...all }]);
    },
  },
  {
    ...{ verb: 'Settings', risk: 'change', label: 'Name the organisation' },
    effect: 'Who manages the device, as its settings and lost mode show it.',
    fields: [
      { ...line('OrganizationName', 'Name', 'No person’s name'), needed: true },
      line('OrganizationShortName', 'Short name'),
    ],
    args: (values) => {
      const short = text(values, 'OrganizationShortName');
      const OrganizationInfo = {
        OrganizationName: text(values, 'OrganizationName'),
        ...(short === '' ? {} : { OrganizationShortName: short }),
      };
      return settings([{ Item: 'OrganizationInfo', OrganizationInfo }]);
    },
  },
  {
    ...{ verb: 'Settings', risk: 'change', label: 'Change a managed app' },
    effect: 'Whether the holder can delete it, and which managed VPN its traffic takes.',
    fields: [
      { ...line('Identifier', 'App', 'Its bundle identifier'), needed: true },
      onOff('Removable', 'The holder can delete it'),
      line('VPNUUID', 'VPN', 'The VPNUUID of an installed profile'),
    ],
    args: (values) => {
      const vpn = text(values, 'VPNUUID');
      const removable = text(values, 'Removable');
      if (vpn === '' && removable === '') return NOTHING;
      const Attributes = {
        ...(removable === '' ? {} : { Removable: removable === 'on' }),
        ...(vpn === '' ? {} : { VPNUUID: vpn }),
      };
      return settings([{ Item: 'ApplicationAttributes', Identifier: text(values, 'Identifier'), Attributes }]);
    },
  },
  {
    ...{ verb: 'Settings', risk: 'change', label: 'Limit its users', sharedIpad: true },
    effect: 'How many users the shared iPad keeps.',
    fields: [{ ...line('MaximumResidentUsers', 'Users', '1 to 99'), needed: true }],
    args: (values) => {
      const most = text(values, 'MaximumResidentUsers');
      if (!/^[1-9]\d?$/.test(most)) return 'Give a whole number from 1 to 99.';
      return settings([{ Item: 'MaximumResidentUsers', MaximumResidentUsers: Number(most) }]);
    },
  },
  {
    ...{ verb: 'LogOutUser', risk: 'change', label: 'Sign its user out', sharedIpad: true },
    effect: 'Whoever is signed in to the shared iPad is signed out.',
  },
  {
    ...{ verb: 'ScheduleOSUpdate', risk: 'change', label: 'Update its system', supervised: true },
    effect:
      'The device loads the version and installs it as you say. Newer systems want a planned update instead: see Software updates.',
    fields: [
      line('ProductVersion', 'Version', 'For instance 18.1; empty: the newest'),
      {
        ...{ name: 'InstallAction', label: 'How', kind: 'choice' },
        options: [
          ['Default', 'Load or install, as the device sees fit'],
          ['DownloadOnly', 'Load only'],
          ['InstallASAP', 'Install as soon as it is loaded'],
        ],
      },
    ],
    args: (values) => {
      const version = text(values, 'ProductVersion');
      const InstallAction = text(values, 'InstallAction') || 'Default';
      return { Updates: [{ ...(version === '' ? {} : { ProductVersion: version }), InstallAction }] };
    },
  },
  {
    ...{ verb: 'DeviceConfigured', risk: 'change', label: 'End its set-up', supervised: true },
    effect: 'A device that waits in Setup Assistant for its configuration goes on.',
  },
];
