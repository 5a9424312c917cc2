import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { PhoneExtras } from './commands-more.ts';
import type { DdmState } from './ddm.ts';

export interface InstalledProfile {
  readonly identifier: string;
  readonly uuid: string;
  readonly name: string;
  /** PayloadType of each payload. */
  readonly payloads: readonly string[];
  readonly managed: boolean;
}

/** What the enrolment profile told the phone. */
export interface Enrolment {
  readonly serverUrl: string;
  readonly checkInUrl: string;
  readonly topic: string;
  readonly signMessage: boolean;
  readonly accessRights: number;
  readonly checkOutWhenRemoved: boolean;
  readonly profile: string;
  /** Set under user enrolment: what the device calls itself instead of its UDID, new at every enrolment. */
  readonly enrollmentId?: string;
  /** The account that it is signed in to, where it was enrolled by one. */
  readonly account?: string;
}

export interface Executed {
  readonly requestType: string;
  times: number;
}

/** Everything a phone remembers. Plain JSON: store it and the phone goes on after a restart. */
export interface PhoneState {
  readonly udid: string;
  readonly serial: string;
  readonly imei: string;
  readonly model: string;
  readonly modelName: string;
  readonly productName: string;
  readonly osVersion: string;
  readonly buildVersion: string;
  /** Names its holder, as people's phones do: a planted value. */
  deviceName: string;
  phoneNumber: string;
  passcodeSet: boolean;
  /** It says that it is supervised; default: that it is not. */
  supervised?: boolean;
  enrolment: Enrolment | null;
  /** PKCS#8 and certificate DER, base64. */
  identity: { readonly key: string; readonly certificate: string } | null;
  /** Push token, magic and unlock token, base64 or text: the unlock token opens the phone, so it is a planted value. */
  readonly pushToken: string;
  readonly pushMagic: string;
  readonly unlockToken: string;
  profiles: InstalledProfile[];
  /** Setup Assistant waits for DeviceConfigured. */
  awaitingConfiguration?: boolean;
  lockedTimes: number;
  erasedTimes: number;
  lockMessage: string | null;
  /** Apps, lost mode, settings; made when they are first needed. */
  extras?: PhoneExtras;
  /** Commands carried out, by uuid. More than once is a double. */
  executed: Record<string, Executed>;
  /** The attestation that it has ready, with the key that it is of. */
  attested?: { readonly key: string; readonly at: number; readonly chain: readonly string[] };
  /** Declarative management; made when the phone first runs. */
  ddm?: DdmState;
}

const MODELS = [
  { model: 'MLPF3', modelName: 'iPhone', productName: 'iPhone14,5', prefix: '00008110' },
  { model: 'MTP03', modelName: 'iPhone', productName: 'iPhone15,4', prefix: '00008120' },
  { model: 'MPQ03', modelName: 'iPad', productName: 'iPad13,18', prefix: '00008101' },
] as const;

export interface NewPhone {
  readonly deviceName: string;
  readonly phoneNumber?: string;
  readonly kind?: 'iPhone' | 'iPad';
  /** Bytes of the unlock token; real ones are keybags of more than a thousand bytes. Default 1180. */
  readonly unlockTokenBytes?: number;
}

/** A phone fresh from its box. */
export function newPhone(options: NewPhone): PhoneState {
  const model = options.kind === 'iPad' ? MODELS[2] : MODELS[randomInt(2)]!;
  const letters = 'CDFGHJKLMNPQRTVWXY0123456789';
  const serial = Array.from({ length: 10 }, () => letters[randomInt(letters.length)]).join('');
  return {
    udid: `${model.prefix}-${randomBytes(8).toString('hex').toUpperCase()}`,
    serial,
    imei: `35${String(randomInt(10 ** 6)).padStart(6, '0')}${String(randomInt(10 ** 7)).padStart(7, '0')}`,
    model: model.model,
    modelName: model.modelName,
    productName: model.productName,
    osVersion: '18.1',
    buildVersion: '22B83',
    deviceName: options.deviceName,
    phoneNumber: options.phoneNumber ?? '',
    passcodeSet: true,
    enrolment: null,
    identity: null,
    pushToken: randomBytes(32).toString('base64'),
    pushMagic: randomUUID().toUpperCase(),
    unlockToken: randomBytes(options.unlockTokenBytes ?? 1180).toString('base64'),
    profiles: [],
    lockedTimes: 0,
    erasedTimes: 0,
    lockMessage: null,
    executed: {},
  };
}

/** Makes the phone what it is after EraseDevice: hardware and nothing else. What it executed stays for the tests. */
export function blank(state: PhoneState): void {
  state.enrolment = null;
  state.identity = null;
  state.profiles = [];
  state.deviceName = state.modelName;
  state.phoneNumber = '';
  state.passcodeSet = false;
  state.lockMessage = null;
  state.erasedTimes += 1;
}
