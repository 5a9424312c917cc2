import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type PlistDict, textAt } from '../plist/value.ts';
import { type Personal, takePersonal } from './personal.ts';
import { type Speaker, speakerOf } from './speaker.ts';

interface Common extends Speaker {
  /** Deviations from the standard that we live with. */
  readonly findings: readonly string[];
  readonly personal: Personal;
}

export interface Authenticate extends Common {
  readonly type: 'Authenticate';
  readonly topic: string;
  readonly serial: string | undefined;
  readonly model: string | undefined;
  readonly productName: string | undefined;
  readonly osVersion: string | undefined;
  readonly buildVersion: string | undefined;
}

export interface TokenUpdate extends Common {
  readonly type: 'TokenUpdate';
  readonly topic: string;
  readonly token: Uint8Array;
  readonly pushMagic: string;
  readonly awaitingConfiguration: boolean;
}

export interface CheckOut extends Common {
  readonly type: 'CheckOut';
}

/** A network user wants a channel: first without, then with an answer to our challenge. */
export interface UserAuthenticate extends Common {
  readonly type: 'UserAuthenticate';
  readonly answered: boolean;
}

/** The token itself is among the personal values; none means that the device withdraws it. */
export interface SetBootstrapToken extends Common {
  readonly type: 'SetBootstrapToken';
  readonly awaitingConfiguration: boolean;
}

export interface GetBootstrapToken extends Common {
  readonly type: 'GetBootstrapToken';
}

export interface GetToken extends Common {
  readonly type: 'GetToken';
  /** `com.apple.maid`, `com.apple.watch.pairing`, or one that we do not know. */
  readonly service: string;
}

/** Declarative device management: what the device asks for, or its status report. */
export interface DeclarativeManagement extends Common {
  readonly type: 'DeclarativeManagement';
  /** `tokens`, `declaration-items`, `declaration/<kind>/<identifier>` or `status`; not checked here. */
  readonly endpoint: string;
  readonly data: Uint8Array | undefined;
}

/** An erased device that was told to return to service reports back (OS 26 and later). */
export interface ReturnToService extends Common {
  readonly type: 'ReturnToService';
}

export type CheckIn =
  | Authenticate
  | TokenUpdate
  | CheckOut
  | UserAuthenticate
  | SetBootstrapToken
  | GetBootstrapToken
  | GetToken
  | DeclarativeManagement
  | ReturnToService;

/** Most bytes of a check-in: status reports of declarative management are the long ones. */
const CHECK_IN_BYTES = 1024 * 1024;

/**
 * Parses a check-in of Apple's MDM protocol. Unknown keys are dropped, personal ones come out sealed, oddities of real
 * clients become findings. Throws WireError `plist` or `check-in`.
 */
export function parseCheckIn(bytes: Uint8Array): CheckIn {
  const dict = parsePlist(bytes, { maxBytes: CHECK_IN_BYTES });
  if (!isDict(dict)) throw new WireError('check-in', 'The check-in message is not a dictionary.');
  const findings: string[] = [];
  const speaker = speakerOf(dict, findings);
  const { personal, cut } = takePersonal(dict);
  if (cut) findings.push('value-too-long');
  const common = { ...speaker, findings, personal };
  const type = textAt(dict, 'MessageType');
  switch (type) {
    case 'Authenticate':
      // The device itself begins; a user's channel begins with TokenUpdate.
      if (speaker.channel !== undefined) findings.push('authenticate-of-user');
      return { type, ...common, channel: undefined, topic: topicOf(dict, findings), ...facts(dict) };
    case 'TokenUpdate':
      return { type, ...common, ...token(dict, findings) };
    case 'CheckOut':
    case 'GetBootstrapToken':
    case 'ReturnToService':
      return { type, ...common };
    case 'UserAuthenticate': {
      if (speaker.channel === undefined) throw new WireError('check-in', 'UserAuthenticate names no user.');
      const answer = textAt(dict, 'DigestResponse');
      return { type, ...common, answered: answer !== undefined && answer !== '' };
    }
    case 'SetBootstrapToken':
      return { type, ...common, awaitingConfiguration: flag(dict, 'AwaitingConfiguration', findings) };
    case 'GetToken': {
      const service = textAt(dict, 'TokenServiceType') ?? '';
      if (!/^[A-Za-z0-9.-]{1,128}$/.test(service)) throw new WireError('check-in', 'GetToken names no service.');
      return { type, ...common, service };
    }
    case 'DeclarativeManagement': {
      const endpoint = (textAt(dict, 'Endpoint') ?? '').slice(0, 512);
      const data = dict.get('Data');
      return { type, ...common, endpoint, data: data instanceof Uint8Array ? data : undefined };
    }
    default:
      throw new WireError('check-in', 'This check-in message type is not offered.');
  }
}

function token(
  dict: PlistDict,
  findings: string[],
): Pick<TokenUpdate, 'topic' | 'token' | 'pushMagic' | 'awaitingConfiguration'> {
  const bytes = dict.get('Token');
  const pushMagic = textAt(dict, 'PushMagic');
  if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length > 256) {
    throw new WireError('check-in', 'The TokenUpdate message lacks its push token.');
  }
  if (!pushMagic || pushMagic.length > 128) {
    throw new WireError('check-in', 'The TokenUpdate message lacks its push magic.');
  }
  if (bytes.length !== 32) findings.push('push-token-length');
  const awaitingConfiguration = flag(dict, 'AwaitingConfiguration', findings);
  flag(dict, 'NotOnConsole', findings);
  return { topic: topicOf(dict, findings), token: bytes, pushMagic, awaitingConfiguration };
}

function topicOf(dict: PlistDict, findings: string[]): string {
  const topic = textAt(dict, 'Topic');
  if (topic === undefined) findings.push('no-topic');
  return (topic ?? '').slice(0, 256).toWellFormed();
}

/** Booleans arrive as `true`, and from some clients as the strings "true" and "false". */
function flag(dict: PlistDict, key: string, findings: string[]): boolean {
  const value = dict.get(key);
  if (typeof value === 'string') {
    findings.push('string-boolean');
    return value === 'true';
  }
  return value === true;
}

function facts(dict: PlistDict): Pick<Authenticate, 'serial' | 'model' | 'productName' | 'osVersion' | 'buildVersion'> {
  const short = (key: string, max: number) => textAt(dict, key)?.slice(0, max).toWellFormed();
  return {
    serial: short('SerialNumber', 64),
    model: short('Model', 64),
    productName: short('ProductName', 64),
    osVersion: short('OSVersion', 32),
    buildVersion: short('BuildVersion', 32),
  };
}
