import type { Json } from '#base';
import { Sealed, sha256 } from '#base';
import { isDict, type Plist, type PlistDict, textAt } from '../plist/value.ts';

/** Kinds of answers that are kept as facts of a device, each by the command that asked. */
export const INVENTORY_KINDS = [
  ...(['DeviceInformation', 'SecurityInfo', 'ProfileList', 'CertificateList', 'InstalledApplicationList'] as const),
  ...([
    'ManagedApplicationList',
    'ProvisioningProfileList',
    'UserList',
    'AvailableOSUpdates',
    'OSUpdateStatus',
  ] as const),
  ...(['ManagedApplicationConfiguration', 'ManagedApplicationAttributes', 'ManagedApplicationFeedback'] as const),
] as const;
export type InventoryKind = (typeof INVENTORY_KINDS)[number];
export type Facts = Readonly<Record<string, Json>>;

/** Items of a list that are kept; a phone has some hundreds of apps at most. */
export const MOST_ITEMS = 2_000;

/** Which keys of an answer are kept. Everything else, known or not, is dropped here: names, localised texts, contents. */
const KEPT: Readonly<Record<string, ReadonlySet<string>>> = {
  DeviceInformation: new Set([
    ...['UDID', 'SerialNumber', 'Model', 'ModelName', 'ModelNumber', 'ProductName', 'OSVersion', 'BuildVersion'],
    ...['SupplementalBuildVersion', 'SupplementalOSVersionExtra', 'IsSupervised', 'IsMultiUser', 'DeviceCapacity'],
    ...['AvailableDeviceCapacity', 'BatteryLevel', 'IsDeviceLocatorServiceEnabled', 'IsActivationLockEnabled'],
    ...['IsMDMLostModeEnabled', 'IsCloudBackupEnabled', 'LastCloudBackupDate', 'AwaitingConfiguration', 'TimeZone'],
    ...['CellularTechnology', 'DiagnosticSubmissionEnabled', 'AppAnalyticsEnabled', 'ResidentUsers'],
    ...['EstimatedResidentUsers', 'MaximumResidentUsers', 'IsDoNotDisturbInEffect'],
  ]),
  SecurityInfo: new Set([
    ...['HardwareEncryptionCaps', 'PasscodePresent', 'PasscodeCompliant', 'PasscodeCompliantWithProfiles'],
    ...['PasscodeLockGracePeriod', 'PasscodeLockGracePeriodEnforced', 'ManagementStatus', 'IsUserEnrollment'],
    ...['EnrolledViaDEP', 'UserApprovedEnrollment', 'IsUserEnrolled'],
  ]),
  ProfileList: new Set([
    ...['PayloadIdentifier', 'PayloadUUID', 'PayloadVersion', 'PayloadType', 'IsManaged', 'IsEncrypted'],
    ...['HasRemovalPasscode', 'PayloadRemovalDisallowed', 'PayloadContent'],
  ]),
  ProvisioningProfileList: new Set(['UUID', 'ExpiryDate']),
  InstalledApplicationList: new Set([
    ...['Identifier', 'Version', 'ShortVersion', 'BundleSize', 'DynamicSize', 'Installing', 'HasUpdateAvailable'],
    ...['AppStoreVendable', 'DeviceBasedVPP', 'BetaApp', 'AdHocCodeSigned', 'IsValidated', 'IsAppClip'],
    ...['ExternalVersionIdentifier', 'DownloadFailed', 'DownloadWaiting', 'DownloadPaused', 'DownloadCancelled'],
  ]),
  ManagedApplicationList: new Set([
    ...['Identifier', 'Status', 'ManagementFlags', 'HasConfiguration', 'HasFeedback', 'IsValidated'],
    'ExternalVersionIdentifier',
  ]),
  // Whose the accounts are is nobody's business here.
  UserList: new Set(['HasDataToSync', 'DataQuota', 'DataUsed', 'IsLoggedIn']),
  AvailableOSUpdates: new Set([
    ...['ProductKey', 'Version', 'Build', 'IsCritical', 'IsSecurityResponse', 'RestartRequired', 'DownloadSize'],
    ...['InstallSize', 'SupplementalBuildVersion', 'SupplementalOSVersionExtra'],
  ]),
  OSUpdateStatus: new Set(['ProductKey', 'IsDownloaded', 'DownloadPercentComplete', 'Status', 'DeferralsRemaining']),
  ManagedApplicationConfiguration: new Set(['Identifier']),
  ManagedApplicationAttributes: new Set(['Identifier', 'Attributes', 'VPNUUID', 'Removable', 'AssociatedDomains']),
  ManagedApplicationFeedback: new Set(['Identifier']),
};

interface ListForm {
  readonly key: string;
  readonly kind: InventoryKind;
  /** The list's name among the facts. */
  readonly as: string;
}

/** Answers that are lists, by the key that holds the list. */
const LISTS: readonly ListForm[] = [
  { key: 'ProfileList', kind: 'ProfileList', as: 'profiles' },
  { key: 'ProvisioningProfileList', kind: 'ProvisioningProfileList', as: 'profiles' },
  { key: 'InstalledApplicationList', kind: 'InstalledApplicationList', as: 'apps' },
  { key: 'Users', kind: 'UserList', as: 'users' },
  { key: 'AvailableOSUpdates', kind: 'AvailableOSUpdates', as: 'updates' },
  { key: 'OSUpdateStatus', kind: 'OSUpdateStatus', as: 'updates' },
  { key: 'ApplicationConfigurations', kind: 'ManagedApplicationConfiguration', as: 'apps' },
  { key: 'ApplicationAttributes', kind: 'ManagedApplicationAttributes', as: 'apps' },
  { key: 'ManagedApplicationFeedback', kind: 'ManagedApplicationFeedback', as: 'apps' },
];

/** The facts in an answer, allow-listed; undefined if it holds none that are kept. */
export function factsOf(dict: PlistDict): { readonly kind: InventoryKind; readonly facts: Facts } | undefined {
  const responses = dict.get('QueryResponses');
  if (isDict(responses)) {
    const facts = { ...keep(responses, 'DeviceInformation'), ...attestationOf(responses) };
    // An answer without the one thing that was asked for says nothing, and must not take the place of what is known.
    return Object.keys(facts).length === 0 ? undefined : { kind: 'DeviceInformation', facts };
  }
  const security = dict.get('SecurityInfo');
  if (isDict(security)) return { kind: 'SecurityInfo', facts: keep(security, 'SecurityInfo') };
  const certificates = dict.get('CertificateList');
  if (Array.isArray(certificates)) return { kind: 'CertificateList', facts: certificateFacts(certificates) };
  const managed = dict.get('ManagedApplicationList');
  if (isDict(managed)) return { kind: 'ManagedApplicationList', facts: managedApps(managed) };
  for (const { key, kind, as } of LISTS) {
    const list = dict.get(key);
    if (!Array.isArray(list)) continue;
    const items = list.slice(0, MOST_ITEMS).filter((one: Plist): one is PlistDict => isDict(one));
    return { kind, facts: { [as]: items.map((one) => keep(one, kind)) as Json, ...whole(list.length) } };
  }
  return undefined;
}

const MOST_CERTIFICATES = 4;
const MOST_CERTIFICATE_BYTES = 8 * 1024;

/** The chain of an attestation, base64, leaf first; core judges it. Nothing of one that is too long. */
function attestationOf(responses: PlistDict): Facts {
  const chain = responses.get('DevicePropertiesAttestation');
  if (!Array.isArray(chain) || chain.length === 0 || chain.length > MOST_CERTIFICATES) return {};
  const certificates = chain.flatMap((one: Plist): Json[] =>
    one instanceof Uint8Array && one.length <= MOST_CERTIFICATE_BYTES ? [Buffer.from(one).toString('base64')] : [],
  );
  return certificates.length === chain.length ? { DevicePropertiesAttestation: certificates } : {};
}

/** A list that was cut says how long it was. */
const whole = (length: number): Facts => (length > MOST_ITEMS ? { cutFrom: length } : {});

/** Certificates by hash alone: their names can be a person's. */
function certificateFacts(list: readonly Plist[]): Facts {
  const certificates = list.slice(0, MOST_ITEMS).flatMap((one): Json[] => {
    const data = isDict(one) ? one.get('Data') : undefined;
    if (!isDict(one) || !(data instanceof Uint8Array)) return [];
    return [{ sha256: sha256(data).toString('hex'), IsIdentity: one.get('IsIdentity') === true }];
  });
  return { certificates, ...whole(list.length) };
}

/** A dictionary by identifier becomes a list in the order of identifiers. */
function managedApps(dict: PlistDict): Facts {
  const apps = [...dict]
    .filter((entry): entry is [string, PlistDict] => isDict(entry[1]) && /^[A-Za-z0-9._-]{1,255}$/.test(entry[0]))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, MOST_ITEMS)
    .map(([identifier, app]): Json => ({ Identifier: identifier, ...keep(app, 'ManagedApplicationList') }) as Json);
  return { apps, ...whole(dict.size) };
}

/**
 * The place in an answer to DeviceLocation, as one text to be sealed: latitude, longitude, accuracy in metres, time.
 * Undefined if the answer has none. Nothing else of such an answer is kept.
 */
export function placeOf(dict: PlistDict): Sealed<string> | undefined {
  const number = (key: string) => {
    const value = dict.get(key);
    return typeof value === 'number' ? value : undefined;
  };
  const latitude = number('Latitude');
  const longitude = number('Longitude');
  if (latitude === undefined || longitude === undefined || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) {
    return undefined;
  }
  const accuracy = number('HorizontalAccuracy');
  const at = textAt(dict, 'Timestamp');
  const when = at !== undefined && /^[0-9T:.+Z -]{10,32}$/.test(at) ? ` ${at}` : '';
  const within = accuracy === undefined ? '' : ` ±${Math.round(accuracy)} m`;
  return new Sealed(`${latitude.toFixed(6)}, ${longitude.toFixed(6)}${within}${when}`);
}

function keep(dict: PlistDict, kind: string): Facts {
  return kept(dict, KEPT[kind]!, 4);
}

function kept(dict: PlistDict, allowed: ReadonlySet<string>, depth: number): Facts {
  const out: Record<string, Json> = {};
  for (const [key, value] of dict) {
    if (!allowed.has(key)) continue;
    const json = toJson(value, allowed, depth);
    if (json !== undefined) out[key] = json;
  }
  return out;
}

function toJson(value: Plist, allowed: ReadonlySet<string>, depth: number): Json | undefined {
  if (typeof value === 'string') return value.slice(0, 256).toWellFormed();
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array || depth === 0) return undefined;
  if (Array.isArray(value)) return value.slice(0, 100).flatMap((item: Plist) => toJson(item, allowed, depth - 1) ?? []);
  return kept(value as PlistDict, allowed, depth - 1) as Json;
}
