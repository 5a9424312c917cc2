import type { Json } from '#base';
import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type Plist, type PlistDict, type PlistInput, textAt } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';
import { readArgs } from './command-args.ts';
import { COMMANDS, type CommandSpec, commandSpec, QUERIES, type TypedVerb } from './command-set.ts';
import { removesManagement } from './enrolment-profile.ts';
import { dangersOf } from './profile-dangers.ts';

export type Verb = TypedVerb | 'Raw';
/** Arguments of a command by Apple's own names, as JSON. */
export type CommandArgs = Readonly<Record<string, Json>>;

/** A command of this version. Whatever is not here can be sent as `Raw` only. */
export type CommandRequest =
  | { readonly verb: 'InstallProfile'; readonly payload: Uint8Array }
  | { readonly verb: 'RemoveProfile'; readonly identifier: string }
  /** `tokens`: the JSON of Apple's TokensResponse, so that the device need not ask for it. */
  | { readonly verb: 'DeclarativeManagement'; readonly tokens?: Uint8Array }
  /** Asks for an attestation (DevicePropertiesAttestation); `nonce`: 1 to 32 bytes that a fresh one must bear. */
  | { readonly verb: 'DeviceInformation'; readonly nonce: Uint8Array }
  /** An XML property list: the dictionary that stands under `Command`. */
  | { readonly verb: 'Raw'; readonly plist: Uint8Array }
  | {
      readonly verb: Exclude<TypedVerb, 'InstallProfile' | 'RemoveProfile' | 'DeclarativeManagement'>;
      readonly args?: CommandArgs;
    };

export const VERBS: readonly Verb[] = [...(Object.keys(COMMANDS) as TypedVerb[]), 'Raw'];

/** What a raw command must not be: these have forms of their own with checks that a raw one would go round. */
const NEVER_RAW = new Set([
  ...['EraseDevice', 'DeleteUser', 'DeviceLocation', 'ClearPasscode', 'InstallProfile', 'EnableLostMode', 'DeviceLock'],
  ...['RequestMirroring', 'StopMirroring', 'RefreshCellularPlans', 'ClearRestrictionsPassword', 'UnlockUserAccount'],
  ...['SetFirmwarePassword', 'SetRecoveryLock', 'RotateFileVaultKey', 'SetAutoAdminPassword', 'AccountConfiguration'],
]);

/**
 * The exact bytes a device receives for a command. The same request and UUID always give the same bytes: signatures and
 * approvals are over their hash. Throws WireError `command`.
 */
export function buildCommand(uuid: string, request: CommandRequest): Buffer {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(uuid)) {
    throw new WireError('command', 'A command needs a UUID in lower case.');
  }
  const command = request.verb === 'Raw' ? rawCommand(request.plist) : typed(request);
  return writePlist({ Command: command, CommandUUID: uuid });
}

/** The RequestType of a command: its label from the approval to the device. */
export function requestTypeOf(request: CommandRequest): string {
  return request.verb === 'Raw' ? textAt(rawCommand(request.plist), 'RequestType')! : request.verb;
}

function typed(request: Exclude<CommandRequest, { verb: 'Raw' }>): Record<string, PlistInput> {
  return { RequestType: request.verb, ...parameters(request) };
}

function parameters(request: Exclude<CommandRequest, { verb: 'Raw' }>): Record<string, PlistInput> {
  switch (request.verb) {
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
    default: {
      if ('nonce' in request) return attestationQuery(request.nonce);
      const spec: CommandSpec = COMMANDS[request.verb];
      const args = readArgs(request.args ?? {}, spec.args ?? {}, spec.needed ?? []);
      return { ...defaults(request.verb, args), ...args };
    }
  }
}

const ATTESTATION = 'DevicePropertiesAttestation';

function attestationQuery(nonce: Uint8Array): Record<string, PlistInput> {
  if (nonce.length < 1 || nonce.length > 32) throw new WireError('command', 'A nonce has 1 to 32 bytes.');
  return { Queries: [ATTESTATION], DeviceAttestationNonce: nonce };
}

/** What a command says where nobody chose. */
function defaults(verb: TypedVerb, args: Readonly<Record<string, PlistInput>>): Record<string, PlistInput> {
  switch (verb) {
    case 'DeviceInformation':
      return { Queries: QUERIES };
    // Whoever holds the phone is told what lost mode means for them.
    case 'EnableLostMode':
      return { Footnote: 'The place of this device may be read.' };
    case 'InstalledApplicationList':
      return { ManagedAppsOnly: true };
    case 'InstallApplication':
      if (['iTunesStoreID', 'Identifier', 'ManifestURL'].filter((key) => args[key] !== undefined).length !== 1) {
        throw new WireError('command', 'An app is named by exactly one of iTunesStoreID, Identifier and ManifestURL.');
      }
      return {};
    // Edge puts the released token here when the command leaves; nobody before it has it.
    case 'ClearPasscode':
      return { UnlockToken: new Uint8Array() };
    default:
      return {};
  }
}

function rawCommand(bytes: Uint8Array): PlistDict {
  const root = parsePlist(bytes, { maxBytes: 64 * 1024, maxDepth: 12, maxElements: 2_000 });
  if (!isDict(root)) throw new WireError('command', 'A raw command is one dictionary: what stands under Command.');
  const type = textAt(root, 'RequestType') ?? '';
  if (!/^[A-Z][A-Za-z]{2,63}$/.test(type)) throw new WireError('command', 'A raw command needs its RequestType.');
  if (NEVER_RAW.has(type)) throw new WireError('command', `${type} cannot be sent as a raw command.`);
  return root;
}

/**
 * Why a command must not reach a device without two people's permit, judged by its contents alone; undefined if one
 * person may send it. `origins` are the device plane's own: an enrolment profile that leads to one of them is no danger. `unenrols` is one
 * person's a few times an hour. An app by the address of its manifest is a danger on our own address too: what stands there is
 * one person's to put.
 */
export function permitReason(command: PlistDict, origins: readonly string[]): string | undefined {
  const verb = textAt(command, 'RequestType') ?? '';
  const spec = commandSpec(verb);
  if (spec === undefined) return 'raw';
  if (spec.risk === 'destroy' || spec.risk === 'locate') return spec.risk;
  if (verb === 'InstallProfile') {
    const payload = command.get('Payload');
    if (command.size !== 2 || !(payload instanceof Uint8Array)) return 'raw';
    return dangersOf(payload, origins).length > 0 ? 'dangerous-profile' : undefined;
  }
  if (verb === 'InstallApplication' && command.has('ManifestURL')) return 'foreign-app';
  if (!isTyped(command, verb as TypedVerb)) return 'raw';
  return verb === 'RemoveProfile' && removesManagement(textAt(command, 'Identifier') ?? '') ? 'unenrols' : undefined;
}

/** Whether a command is one that `buildCommand` could have made without `Raw`. */
function isTyped(command: PlistDict, verb: TypedVerb): boolean {
  const { RequestType: _, ...args } = toArgs(command) as Record<string, Json>;
  try {
    switch (verb) {
      case 'RemoveProfile':
        return Object.keys(args).join() === 'Identifier';
      case 'DeclarativeManagement':
        return Object.keys(args).every((key) => key === 'Data');
      case 'ClearPasscode':
        return Object.keys(args).join() === 'UnlockToken' && args['UnlockToken'] === '';
      default: {
        if (verb === 'DeviceInformation' && 'DeviceAttestationNonce' in args) return asksAttestation(command);
        const spec: CommandSpec = COMMANDS[verb];
        readArgs(args, spec.args ?? {}, spec.needed ?? []);
        return true;
      }
    }
  } catch {
    return false;
  }
}

function asksAttestation(command: PlistDict): boolean {
  const [queries, nonce] = [command.get('Queries'), command.get('DeviceAttestationNonce')];
  const one = Array.isArray(queries) && queries.length === 1 && queries[0] === ATTESTATION;
  return one && command.size === 3 && nonce instanceof Uint8Array && nonce.length >= 1 && nonce.length <= 32;
}

function toArgs(value: Plist): Json {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Date || typeof value === 'bigint') return null;
  if (Array.isArray(value)) return value.map((one: Plist) => toArgs(one));
  if (isDict(value as Plist))
    return Object.fromEntries([...(value as PlistDict)].map(([key, one]) => [key, toArgs(one)]));
  return value as Json;
}
