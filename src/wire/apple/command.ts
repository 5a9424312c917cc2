import { WireError } from '../error.ts';
import type { PlistInput } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';

/** The commands of this version. Whatever is not here cannot be sent. */
export type CommandRequest =
  | { readonly verb: 'DeviceInformation' }
  | { readonly verb: 'SecurityInfo' }
  | { readonly verb: 'ProfileList' }
  | { readonly verb: 'InstallProfile'; readonly payload: Uint8Array }
  | { readonly verb: 'RemoveProfile'; readonly identifier: string }
  /** `tokens`: the JSON of Apple's TokensResponse, so that the device need not ask for it. */
  | { readonly verb: 'DeclarativeManagement'; readonly tokens?: Uint8Array }
  | { readonly verb: 'DeviceLock' }
  | { readonly verb: 'DeviceConfigured' }
  | { readonly verb: 'EraseDevice' };

export type Verb = CommandRequest['verb'];
export const VERBS: readonly Verb[] = [
  ...(['DeviceInformation', 'SecurityInfo', 'ProfileList', 'InstallProfile'] as const),
  ...(['RemoveProfile', 'DeclarativeManagement', 'DeviceLock', 'DeviceConfigured', 'EraseDevice'] as const),
];

/** Queries that need no network-information right and return nothing personal: no number, no device name. */
const QUERIES = [
  ...['UDID', 'SerialNumber', 'Model', 'ModelName', 'ProductName', 'OSVersion', 'BuildVersion', 'IsSupervised'],
  ...['DeviceCapacity', 'AvailableDeviceCapacity', 'BatteryLevel', 'IsCloudBackupEnabled', 'IsMDMLostModeEnabled'],
];

/**
 * The exact bytes a device receives for a command. The same request and UUID always give the same bytes: signatures and
 * approvals are over their hash. Throws WireError `command`.
 */
export function buildCommand(uuid: string, request: CommandRequest): Buffer {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(uuid)) {
    throw new WireError('command', 'A command needs a UUID in lower case.');
  }
  return writePlist({ Command: { RequestType: request.verb, ...parameters(request) }, CommandUUID: uuid });
}

function parameters(request: CommandRequest): Record<string, PlistInput> {
  switch (request.verb) {
    case 'DeviceInformation':
      return { Queries: QUERIES };
    case 'InstallProfile':
      if (request.payload.length === 0 || request.payload.length > 512 * 1024) {
        throw new WireError('command', 'A profile has 1 byte to 512 KiB.');
      }
      return { Payload: request.payload };
    case 'RemoveProfile':
      if (!/^[A-Za-z0-9._-]{1,256}$/.test(request.identifier)) {
        throw new WireError('command', 'A profile identifier has letters, digits, dots and hyphens.');
      }
      return { Identifier: request.identifier };
    case 'DeclarativeManagement':
      return request.tokens === undefined ? {} : { Data: request.tokens };
    default:
      return {};
  }
}
