import type { Json } from '#base';
import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type Plist, type PlistDict, textAt } from '../plist/value.ts';
import { type Personal, takePersonal } from './personal.ts';
import { type Speaker, speakerOf } from './speaker.ts';

/** Exactly: one answer that the database cannot cast would fail the statement that it shares with others. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const STATUSES = ['Idle', 'Acknowledged', 'Error', 'CommandFormatError', 'NotNow'] as const;
export type Status = (typeof STATUSES)[number];

export type InventoryKind = 'DeviceInformation' | 'SecurityInfo' | 'ProfileList';

/** What a device says when it polls: nothing new (Idle), or the answer to one command. */
export interface CommandResult extends Speaker {
  readonly status: Status;
  /** Absent for Idle. */
  readonly commandUuid: string | undefined;
  /** Codes and domains only: the texts are localised and can quote the device's name. */
  readonly errors: readonly { readonly code: number; readonly domain: string }[];
  readonly inventory: { readonly kind: InventoryKind; readonly facts: Readonly<Record<string, Json>> } | undefined;
  readonly findings: readonly string[];
  readonly personal: Personal;
}

/** Which keys of an answer are kept. Everything else, known or not, is dropped here. */
const KEPT: Record<InventoryKind, ReadonlySet<string>> = {
  DeviceInformation: new Set([
    ...['UDID', 'SerialNumber', 'Model', 'ModelName', 'ModelNumber', 'ProductName', 'OSVersion', 'BuildVersion'],
    ...['SupplementalBuildVersion', 'SupplementalOSVersionExtra', 'IsSupervised', 'IsMultiUser', 'DeviceCapacity'],
    ...['AvailableDeviceCapacity', 'BatteryLevel', 'IsDeviceLocatorServiceEnabled', 'IsActivationLockEnabled'],
    ...['IsMDMLostModeEnabled', 'IsCloudBackupEnabled', 'LastCloudBackupDate', 'AwaitingConfiguration', 'TimeZone'],
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
};

/** Parses a result or Idle. Throws WireError `plist`, `check-in` or `command`. */
export function parseCommandResult(bytes: Uint8Array): CommandResult {
  const dict = parsePlist(bytes, { maxBytes: 1024 * 1024 });
  if (!isDict(dict)) throw new WireError('command', 'The message is not a dictionary.');
  const status = STATUSES.find((one) => one === textAt(dict, 'Status'));
  if (status === undefined) throw new WireError('command', 'The message has no status that we know.');
  const commandUuid = textAt(dict, 'CommandUUID');
  if (status !== 'Idle' && (commandUuid === undefined || !UUID.test(commandUuid))) {
    throw new WireError('command', 'The answer does not say to which command it belongs.');
  }
  const findings: string[] = [];
  const speaker = speakerOf(dict, findings);
  const nested = dict.get('QueryResponses');
  const { personal, cut } = takePersonal(isDict(nested) ? nested : dict);
  if (cut) findings.push('value-too-long');
  return {
    ...speaker,
    status,
    commandUuid: status === 'Idle' ? undefined : commandUuid!.toLowerCase(),
    errors: errorsOf(dict),
    inventory: status === 'Acknowledged' ? inventoryOf(dict) : undefined,
    findings,
    personal,
  };
}

function errorsOf(dict: PlistDict): { code: number; domain: string }[] {
  const chain = dict.get('ErrorChain');
  if (!Array.isArray(chain)) return [];
  return chain.slice(0, 8).flatMap((entry: Plist) => {
    if (!isDict(entry)) return [];
    const code = entry.get('ErrorCode');
    const domain = textAt(entry, 'ErrorDomain') ?? '';
    return [
      { code: typeof code === 'number' ? code : 0, domain: /^[A-Za-z0-9.]{1,64}$/.test(domain) ? domain : 'unknown' },
    ];
  });
}

function inventoryOf(dict: PlistDict): CommandResult['inventory'] {
  const responses = dict.get('QueryResponses');
  if (isDict(responses)) return { kind: 'DeviceInformation', facts: keep(responses, KEPT.DeviceInformation) };
  const security = dict.get('SecurityInfo');
  if (isDict(security)) return { kind: 'SecurityInfo', facts: keep(security, KEPT.SecurityInfo) };
  const profiles = dict.get('ProfileList');
  if (Array.isArray(profiles)) {
    const list = profiles.slice(0, 200).filter((one: Plist) => isDict(one));
    return { kind: 'ProfileList', facts: { profiles: list.map((one) => keep(one as PlistDict, KEPT.ProfileList)) } };
  }
  return undefined;
}

function keep(dict: PlistDict, allowed: ReadonlySet<string>): Record<string, Json> {
  const out: Record<string, Json> = {};
  for (const [key, value] of dict) {
    if (!allowed.has(key)) continue;
    const json = toJson(value, allowed, 4);
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
  return keep(value as PlistDict, allowed);
}
