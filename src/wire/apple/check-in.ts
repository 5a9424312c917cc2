import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type PlistDict, textAt } from '../plist/value.ts';
import { type Personal, takePersonal } from './personal.ts';

/** Who speaks: Apple's MDM protocol, "UDID" on devices, "EnrollmentID" under user enrolment. If both, UDID wins. */
export interface Speaker {
  readonly udid: string;
  readonly kind: 'udid' | 'enrollment-id';
}

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

/** Declarative device management: what the device asks for, or its status report. */
export interface DeclarativeManagement extends Common {
  readonly type: 'DeclarativeManagement';
  /** `tokens`, `declaration-items`, `declaration/<kind>/<identifier>` or `status`; not checked here. */
  readonly endpoint: string;
  readonly data: Uint8Array | undefined;
}

export type CheckIn = Authenticate | TokenUpdate | CheckOut | DeclarativeManagement;

/**
 * Parses a check-in (Apple MDM: Authenticate, TokenUpdate, CheckOut). Unknown keys are dropped, personal ones come out
 * sealed, oddities of real clients become findings. Throws WireError `plist` or `check-in`.
 */
export function parseCheckIn(bytes: Uint8Array): CheckIn {
  const dict = parsePlist(bytes, { maxBytes: 256 * 1024 });
  if (!isDict(dict)) throw new WireError('check-in', 'The check-in message is not a dictionary.');
  const findings: string[] = [];
  const speaker = speakerOf(dict, findings);
  const { personal, cut } = takePersonal(dict);
  if (cut) findings.push('value-too-long');
  const common = { ...speaker, findings, personal };
  const type = textAt(dict, 'MessageType');
  switch (type) {
    case 'Authenticate':
      return { type, ...common, topic: topicOf(dict, findings), ...facts(dict) };
    case 'TokenUpdate': {
      const token = dict.get('Token');
      const pushMagic = textAt(dict, 'PushMagic');
      if (
        !(token instanceof Uint8Array) ||
        token.length === 0 ||
        token.length > 256 ||
        !pushMagic ||
        pushMagic.length > 128
      ) {
        throw new WireError('check-in', 'The TokenUpdate message lacks its push token or magic.');
      }
      if (token.length !== 32) findings.push('push-token-length');
      const awaitingConfiguration = flag(dict, 'AwaitingConfiguration', findings);
      flag(dict, 'NotOnConsole', findings);
      return { type, ...common, topic: topicOf(dict, findings), token, pushMagic, awaitingConfiguration };
    }
    case 'CheckOut':
      return { type, ...common };
    case 'DeclarativeManagement': {
      const data = dict.get('Data');
      const endpoint = (textAt(dict, 'Endpoint') ?? '').slice(0, 512);
      return { type, ...common, endpoint, data: data instanceof Uint8Array ? data : undefined };
    }
    default:
      throw new WireError('check-in', 'This check-in message type is not offered.');
  }
}

/** The identifier of whoever sent a check-in or a result. Throws WireError `check-in`. */
export function speakerOf(dict: PlistDict, findings: string[]): Speaker {
  const udid = textAt(dict, 'UDID');
  const enrollment = textAt(dict, 'EnrollmentID');
  if (udid !== undefined && enrollment !== undefined) findings.push('two-identifiers');
  const id = udid ?? enrollment;
  if (id === undefined || !/^[A-Za-z0-9._-]{1,128}$/.test(id)) {
    throw new WireError('check-in', 'The message names no device.');
  }
  if (udid !== undefined && !/^(?:[0-9a-f]{40}|[0-9A-F]{8}-[0-9A-F]{16}|[0-9A-F-]{36})$/i.test(udid))
    findings.push('udid-form');
  return { udid: id, kind: udid !== undefined ? 'udid' : 'enrollment-id' };
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
