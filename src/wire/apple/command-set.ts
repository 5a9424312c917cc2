import { type Arg, type Args, bool, dict, identifier, int, list, matching, message, oneOf } from './command-args.ts';
import { settingArgs } from './settings.ts';

/** AccessRights bits (MDM payload, AccessRights). */
export const RIGHTS = {
  inspectProfiles: 1,
  changeProfiles: 2,
  lock: 4,
  erase: 8,
  queryDevice: 16,
  queryNetwork: 32,
  inspectProvisioning: 64,
  changeProvisioning: 128,
  inspectApps: 256,
  querySecurity: 1024,
  settings: 2048,
  manageApps: 4096,
} as const;

/** How much harm a command can do; see fleet/verbs.ts for who must agree. */
export type CommandRisk = 'read' | 'change' | 'lock' | 'locate' | 'destroy' | 'raw';

export interface CommandSpec {
  readonly risk: CommandRisk;
  /** AccessRights that the enrolment must have granted; 0 for none. */
  readonly rights: number;
  readonly supervised?: true;
  /** Works only on a shared iPad. */
  readonly sharedIpad?: true;
  /** May be sent to a user's channel. */
  readonly userChannel?: true;
  readonly args?: Args;
  readonly needed?: readonly string[];
  /** Keys that are always sent. */
  readonly fixed?: Readonly<Record<string, boolean | readonly string[]>>;
}

/** Queries that need no network-information right and return nothing personal: no number, no device name. */
export const QUERIES: readonly string[] = [
  ...['UDID', 'SerialNumber', 'Model', 'ModelName', 'ProductName', 'OSVersion', 'BuildVersion', 'IsSupervised'],
  ...['DeviceCapacity', 'AvailableDeviceCapacity', 'BatteryLevel', 'IsCloudBackupEnabled', 'IsMDMLostModeEnabled'],
];
const MORE_QUERIES: readonly string[] = [
  ...['SupplementalBuildVersion', 'SupplementalOSVersionExtra', 'IsMultiUser', 'IsActivationLockEnabled', 'TimeZone'],
  ...['IsDeviceLocatorServiceEnabled', 'LastCloudBackupDate', 'AwaitingConfiguration', 'IsDoNotDisturbInEffect'],
  ...[
    'ModelNumber',
    'CellularTechnology',
    'DiagnosticSubmissionEnabled',
    'AppAnalyticsEnabled',
    'SoftwareUpdateSettings',
  ],
  ...['ResidentUsers', 'EstimatedResidentUsers', 'MaximumResidentUsers', 'IsMDMLostModeEnabled'],
];

const apps = list(identifier, 100);
const version = matching(/^[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}$/, 'a version such as 18.1');
/** A phone's own loopback leads nowhere but to itself; tests have their server there. */
const manifest = matching(
  /^(?:https:\/\/|http:\/\/127\.0\.0\.1:)[^\s<>"']{4,500}$/,
  'an address that begins with https://',
);
/** What may stand in an app's configuration: texts, numbers, booleans, lists and groups, six levels deep. */
const configuration: Arg = (value, where) => {
  const level = (one: typeof value, depth: number): ReturnType<Arg> => {
    if (typeof one === 'string' || typeof one === 'boolean') return one;
    if (typeof one === 'number' && Number.isFinite(one)) return one;
    if (one !== null && typeof one === 'object' && depth < 6) {
      if (Array.isArray(one)) return one.slice(0, 200).map((item) => level(item, depth + 1));
      return Object.fromEntries(Object.entries(one).map(([key, item]) => [key, level(item, depth + 1)]));
    }
    return bool(null, where);
  };
  if (JSON.stringify(value).length > 32_768) bool(null, where);
  return level(value, 0);
};

const read = (rights: number, more: Partial<CommandSpec> = {}): CommandSpec => ({ risk: 'read', rights, ...more });
const change = (rights: number, more: Partial<CommandSpec> = {}): CommandSpec => ({ risk: 'change', rights, ...more });

/** The commands of this version. Whatever is not here can be sent as a raw command only, which takes two people. */
export const COMMANDS = {
  DeviceInformation: read(RIGHTS.queryDevice, { args: { Queries: list(oneOf(...QUERIES, ...MORE_QUERIES), 40) } }),
  SecurityInfo: read(RIGHTS.querySecurity),
  CertificateList: read(RIGHTS.inspectProfiles, { args: { ManagedOnly: bool }, userChannel: true }),
  ProfileList: read(RIGHTS.inspectProfiles, { args: { ManagedOnly: bool }, userChannel: true }),
  ProvisioningProfileList: read(RIGHTS.inspectProvisioning, { args: { ManagedOnly: bool } }),
  // A person's own apps say much about them: only managed ones are asked for unless somebody says otherwise.
  InstalledApplicationList: read(RIGHTS.inspectApps, {
    args: { Identifiers: apps, ManagedAppsOnly: bool },
    userChannel: true,
  }),
  ManagedApplicationList: read(RIGHTS.manageApps, { args: { Identifiers: apps }, userChannel: true }),
  ManagedApplicationConfiguration: read(RIGHTS.manageApps, { args: { Identifiers: apps }, needed: ['Identifiers'] }),
  ManagedApplicationAttributes: read(RIGHTS.manageApps, { args: { Identifiers: apps }, needed: ['Identifiers'] }),
  ManagedApplicationFeedback: read(RIGHTS.manageApps, {
    args: { Identifiers: apps, DeleteFeedback: bool },
    needed: ['Identifiers'],
  }),
  UserList: read(0, { sharedIpad: true }),
  AvailableOSUpdates: read(RIGHTS.manageApps, { supervised: true }),
  OSUpdateStatus: read(RIGHTS.manageApps, { supervised: true }),

  InstallProfile: change(RIGHTS.changeProfiles, { userChannel: true }),
  RemoveProfile: change(RIGHTS.changeProfiles, { userChannel: true }),
  InstallApplication: change(RIGHTS.manageApps, {
    args: {
      iTunesStoreID: int(1, 2 ** 48),
      Identifier: identifier,
      ManifestURL: manifest,
      ManagementFlags: oneOfNumbers(0, 1, 4, 5),
      ChangeManagementState: oneOf('Managed'),
      InstallAsManaged: bool,
      Options: dict({ PurchaseMethod: oneOfNumbers(0, 1) }),
      Configuration: configuration,
      Attributes: dict({
        VPNUUID: identifier,
        AssociatedDomains: list(identifier, 20),
        Removable: bool,
        TapToPayScreenLock: bool,
      }),
    },
    userChannel: true,
  }),
  RemoveApplication: change(RIGHTS.manageApps, {
    args: { Identifier: identifier },
    needed: ['Identifier'],
    userChannel: true,
  }),
  ValidateApplications: change(RIGHTS.manageApps, { args: { Identifiers: apps } }),
  Settings: change(RIGHTS.settings, { args: { Settings: settingArgs }, needed: ['Settings'] }),
  DeclarativeManagement: read(0, { userChannel: true }),
  DeviceConfigured: change(0, { supervised: true }),
  ScheduleOSUpdate: change(RIGHTS.manageApps, {
    args: {
      Updates: list(
        dict(
          {
            ProductKey: matching(/^[A-Za-z0-9_.-]{1,128}$/, 'a product key'),
            ProductVersion: version,
            InstallAction: oneOf('Default', 'DownloadOnly', 'InstallASAP'),
          },
          ['InstallAction'],
        ),
        5,
      ),
    },
    needed: ['Updates'],
    supervised: true,
  }),
  LogOutUser: change(0, { sharedIpad: true }),
  PlayLostModeSound: change(0, { supervised: true }),

  DeviceLock: { risk: 'lock', rights: RIGHTS.lock, args: { Message: message } },
  EnableLostMode: {
    ...{ risk: 'lock', rights: 0, supervised: true },
    args: { Message: message, Footnote: message },
    needed: ['Message'],
  },
  DisableLostMode: { risk: 'lock', rights: 0, supervised: true },
  ClearPasscode: { risk: 'lock', rights: RIGHTS.lock },
  RestartDevice: { risk: 'lock', rights: RIGHTS.lock, supervised: true, args: { NotifyUser: bool } },
  ShutDownDevice: { risk: 'lock', rights: RIGHTS.lock, supervised: true },

  DeviceLocation: { risk: 'locate', rights: 0, supervised: true },

  EraseDevice: {
    ...{ risk: 'destroy', rights: RIGHTS.erase },
    args: {
      PreserveDataPlan: bool,
      DisallowProximitySetup: bool,
      ReturnToService: dict({ Enabled: bool }, ['Enabled']),
    },
  },
  DeleteUser: {
    ...{ risk: 'destroy', rights: 0, sharedIpad: true },
    // Users are named by place in the list, never by their name: all at once is the only other way that Apple knows.
    args: { DeleteAllUsers: bool, ForceDeletion: bool },
    needed: ['DeleteAllUsers'],
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export type TypedVerb = keyof typeof COMMANDS;

/** The specification of a verb, or undefined for one that is not in the set. */
export const commandSpec = (verb: string): CommandSpec | undefined =>
  Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb as TypedVerb] : undefined;

function oneOfNumbers(...values: readonly number[]): Arg {
  return (value, where) =>
    typeof value === 'number' && values.includes(value) ? value : int(values[0]!, values[0]!)(null, where);
}
