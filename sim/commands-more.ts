import { carryOutUpdate, type Scheduled } from './commands-updates.ts';
import { done, failed, type Outcome } from './outcome.ts';
import type { PhoneState } from './phone-state.ts';
import { dict, type PlistDict, type PlistValue } from './plist.ts';

/** What a phone has besides identity and profiles. Plain JSON. */
export interface PhoneExtras {
  supervised: boolean;
  sharedIpad: boolean;
  lostMode: { message: string; footnote: string | null } | null;
  /** Where it is. Planted: it must come out sealed only. */
  place: { latitude: number; longitude: number };
  apps: {
    identifier: string;
    name: string;
    version: string;
    managed: boolean;
    configuration: PlistValue | null;
    /** Apple's word for where it stands; `Managed` if it is left out. */
    status?: string;
    /** Of the package that it came from, hexadecimal. */
    sha256?: string;
  }[];
  /** By `Item`. */
  settings: Record<string, PlistValue>;
  /** Names of users of a shared iPad. */
  users: string[];
  restarts: number;
  off: boolean;
  sounds: number;
  /** By ScheduleOSUpdate. */
  update?: Scheduled;
}

export const newExtras = (more: Partial<PhoneExtras> = {}): PhoneExtras => ({
  ...{ supervised: true, sharedIpad: false, lostMode: null, place: { latitude: 51.507351, longitude: -0.127758 } },
  apps: [
    {
      identifier: 'com.example.diary',
      name: 'Anna’s secret diary',
      version: '3.1',
      managed: false,
      configuration: null,
    },
  ],
  ...{ settings: {}, users: [], restarts: 0, off: false, sounds: 0 },
  ...more,
});

type Act = (state: PhoneState, extras: PhoneExtras, command: PlistDict) => Outcome;
interface Known {
  readonly rights: number;
  readonly supervised?: boolean;
  readonly act: Act;
}

const text = (value: PlistValue | undefined): string => (typeof value === 'string' ? value : '');
const list = (value: PlistValue | undefined): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
const chosen = (extras: PhoneExtras, command: PlistDict) => {
  const wanted = list(command['Identifiers']);
  return extras.apps.filter((app) => wanted.length === 0 || wanted.includes(app.identifier));
};

const clearPasscode: Act = (state, _, command) => {
  const token = command['UnlockToken'];
  const right = token instanceof Uint8Array && Buffer.from(token).toString('base64') === state.unlockToken;
  if (!right) return failed(5013, 'The unlock token is wrong.', 'MCPasscodeErrorDomain');
  state.passcodeSet = false;
  return done();
};

const lostModeOn: Act = (_, extras, command) => {
  if (text(command['Message']) === '' && text(command['PhoneNumber']) === '')
    return failed(12067, 'A message is needed.');
  extras.lostMode = { message: text(command['Message']), footnote: text(command['Footnote']) || null };
  return done();
};

const locate: Act = (_, extras) => {
  if (extras.lostMode === null) return failed(12078, 'The device is not in lost mode.');
  const { latitude, longitude } = extras.place;
  const fix = { Latitude: latitude, Longitude: longitude, HorizontalAccuracy: 65, Altitude: 12.5, Speed: -1 };
  return done({ ...fix, Timestamp: '2026-11-24T20:00:00Z', VerticalAccuracy: 4 });
};

const installApp: Act = (_, extras, command) => {
  const identifier = text(command['Identifier']) || `store-${String(command['iTunesStoreID'] ?? 'manifest')}`;
  const app = {
    identifier,
    name: identifier,
    version: '1.0',
    managed: true,
    configuration: command['Configuration'] ?? null,
  };
  extras.apps = [...extras.apps.filter((one) => one.identifier !== identifier), app];
  return done({ Identifier: identifier, State: 'Installing' });
};

const removeApp: Act = (_, extras, command) => {
  const before = extras.apps.length;
  extras.apps = extras.apps.filter((app) => !app.managed || app.identifier !== text(command['Identifier']));
  return extras.apps.length === before ? failed(12026, 'The app is not managed.') : done();
};

const installed: Act = (_, extras, command) =>
  done({
    InstalledApplicationList: chosen(extras, command)
      .filter((app) => app.managed || command['ManagedAppsOnly'] !== true)
      .map(({ identifier, name, version }) => ({
        Identifier: identifier,
        Name: name,
        Version: version,
        BundleSize: 4096,
      })),
  });

const managed: Act = (_, extras, command) =>
  done({
    ManagedApplicationList: Object.fromEntries(
      chosen(extras, command)
        .filter((app) => app.managed)
        .map((app) => [
          app.identifier,
          {
            Status: app.status ?? 'Managed',
            ManagementFlags: 1,
            HasConfiguration: app.configuration !== null,
            UnusedRedemptionCode: 'X',
          },
        ]),
    ),
  });

const settings: Act = (_, extras, command) => {
  const items = Array.isArray(command['Settings']) ? command['Settings'] : [];
  const results = items.map((one) => {
    const { Item: item, ...value } = dict(one);
    extras.settings[text(item)] = value;
    return { Item: text(item), Status: 'Acknowledged' };
  });
  return done({ Settings: results });
};

const updates =
  (requestType: string): Act =>
  (state, extras, command) => {
    const { outcome, scheduled } = carryOutUpdate(state, extras.update, requestType, command);
    if (scheduled !== undefined) extras.update = scheduled;
    return outcome;
  };

const KNOWN: Readonly<Record<string, Known>> = {
  ClearPasscode: { rights: 4, act: clearPasscode },
  EnableLostMode: { rights: 0, supervised: true, act: lostModeOn },
  DisableLostMode: {
    ...{ rights: 0, supervised: true },
    act: (_, extras) => {
      if (extras.lostMode === null) return failed(12069, 'The device is not in lost mode.');
      extras.lostMode = null;
      return done();
    },
  },
  PlayLostModeSound: {
    ...{ rights: 0, supervised: true },
    act: (_, extras) => {
      extras.sounds += 1;
      return extras.lostMode === null ? failed(12078, 'The device is not in lost mode.') : done();
    },
  },
  DeviceLocation: { rights: 0, supervised: true, act: locate },
  RestartDevice: {
    ...{ rights: 4, supervised: true },
    act: (_, extras) =>
      done({}, () => {
        extras.restarts += 1;
      }),
  },
  ShutDownDevice: {
    ...{ rights: 4, supervised: true },
    act: (_, extras) =>
      done({}, () => {
        extras.off = true;
      }),
  },
  InstallApplication: { rights: 4096, act: installApp },
  RemoveApplication: { rights: 4096, act: removeApp },
  ValidateApplications: { rights: 4096, act: () => done() },
  InstalledApplicationList: { rights: 256, act: installed },
  ManagedApplicationList: { rights: 4096, act: managed },
  ManagedApplicationConfiguration: {
    rights: 4096,
    act: (_, extras, command) =>
      done({
        ApplicationConfigurations: chosen(extras, command)
          .filter((app) => app.managed)
          .map((app) => ({ Identifier: app.identifier, Configuration: app.configuration ?? {} })),
      }),
  },
  Settings: { rights: 2048, act: settings },
  CertificateList: {
    rights: 1,
    act: (state) => {
      const { identity } = state;
      const own =
        identity === null
          ? []
          : [{ CommonName: state.deviceName, IsIdentity: true, Data: Buffer.from(identity.certificate, 'base64') }];
      return done({ CertificateList: own });
    },
  },
  ProvisioningProfileList: { rights: 64, act: () => done({ ProvisioningProfileList: [] }) },
  AvailableOSUpdates: { rights: 4096, supervised: true, act: updates('AvailableOSUpdates') },
  OSUpdateStatus: { rights: 4096, supervised: true, act: updates('OSUpdateStatus') },
  ScheduleOSUpdate: { rights: 4096, supervised: true, act: updates('ScheduleOSUpdate') },
  UserList: {
    rights: 0,
    act: (_, extras) =>
      extras.sharedIpad
        ? done({
            Users: extras.users.map((name) => ({
              UserName: name,
              FullName: name,
              HasDataToSync: false,
              DataUsed: 1024,
            })),
          })
        : failed(12021, 'Unknown command: UserList'),
  },
  DeleteUser: {
    rights: 0,
    act: (_, extras, command) => {
      if (!extras.sharedIpad) return failed(12021, 'Unknown command: DeleteUser');
      if (command['DeleteAllUsers'] === true) extras.users = [];
      return done();
    },
  },
};

/** Carries out what `carryOut` does not know by itself; undefined for what no phone knows. */
export function carryOutMore(
  state: PhoneState,
  requestType: string,
  command: PlistDict,
  rights: number,
): Outcome | undefined {
  const known = KNOWN[requestType];
  if (known === undefined) return undefined;
  state.extras ??= newExtras();
  if (known.supervised === true && !state.extras.supervised) return failed(12064, 'The device is not supervised.');
  if ((rights & known.rights) !== known.rights) return failed(12007, 'The server has no right to this command.');
  return known.act(state, state.extras, command);
}
