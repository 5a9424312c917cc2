import { Sealed } from '#base';
import { type PlistInput, parseCheckIn, parseCommandResult, writePlist } from '#wire';
import type { Dice } from './dice.ts';
import { pythonPlist } from './seeds.ts';
import { Broken, checkTexts, type Target } from './target.ts';
import { XML_WORDS } from './words.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UDID = '00008120-000A1B2C3D4E5F60';
const COMMAND = '6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D11';

const AUTHENTICATE = {
  ...{ MessageType: 'Authenticate', UDID, Topic: 'com.example', SerialNumber: 'F2LXK0AA0001', DeviceName: 'Zoë' },
  ...{ Model: 'MLPF3', ModelName: 'iPhone', ProductName: 'iPhone14,5', OSVersion: '18.1', BuildVersion: '22B83' },
};
const TOKEN_UPDATE = {
  ...{ MessageType: 'TokenUpdate', UDID, Topic: 'com.example', PushMagic: 'magic', NotOnConsole: 'false' },
  ...{ Token: Buffer.alloc(32, 9), UnlockToken: Buffer.alloc(1_180, 7), AwaitingConfiguration: false },
};
const INFORMATION = {
  ...{ UDID, CommandUUID: COMMAND, Status: 'Acknowledged' },
  QueryResponses: { ModelName: 'iPhone', OSVersion: '18.1', BatteryLevel: 0.5, IsSupervised: false, DeviceName: 'Zoë' },
};
const ATTESTED = {
  ...{ UDID, CommandUUID: COMMAND, Status: 'Acknowledged' },
  QueryResponses: { DevicePropertiesAttestation: [Buffer.alloc(700, 0x30), Buffer.alloc(500, 0x30)] },
};
const FAILED = {
  ...{ UDID, CommandUUID: COMMAND, Status: 'Error' },
  ErrorChain: [{ ErrorCode: 12021, ErrorDomain: 'MCMDMErrorDomain', LocalizedDescription: 'Zoë' }],
};
const PROFILES = {
  ...{ UDID, CommandUUID: COMMAND, Status: 'Acknowledged' },
  ProfileList: [
    { PayloadIdentifier: 'a.b', PayloadUUID: COMMAND, IsManaged: true, PayloadContent: [{ PayloadType: 'c' }] },
  ],
};

/** Keys that the parsers look for, so that odd values come to them. */
const KEYS = [
  ...[
    'MessageType',
    'UDID',
    'EnrollmentID',
    'UserID',
    'Topic',
    'Token',
    'PushMagic',
    'UnlockToken',
    'AwaitingConfiguration',
  ],
  ...[
    'NotOnConsole',
    'SerialNumber',
    'DeviceName',
    'Model',
    'ProductName',
    'OSVersion',
    'BuildVersion',
    'BootstrapToken',
  ],
  ...[
    'Endpoint',
    'Data',
    'TokenServiceType',
    'Status',
    'CommandUUID',
    'ErrorChain',
    'ErrorCode',
    'ErrorDomain',
    'NotNow',
  ],
  ...[
    'DevicePropertiesAttestation',
    'QueryResponses',
    'SecurityInfo',
    'ProfileList',
    'InstalledApplicationList',
    'CertificateList',
    'PayloadContent',
  ],
  ...[
    'ManagementStatus',
    'IsSupervised',
    'ModelName',
    'BatteryLevel',
    'Identifier',
    'Name',
    'Latitude',
    'ManagedApplicationList',
  ],
];
const TYPES = [
  ...['Authenticate', 'TokenUpdate', 'CheckOut', 'SetBootstrapToken', 'GetBootstrapToken', 'UserAuthenticate'],
  ...[
    'DeclarativeManagement',
    'GetToken',
    'Idle',
    'Acknowledged',
    'Error',
    'CommandFormatError',
    'NotNow',
    COMMAND,
    UDID,
  ],
];
/** Texts that end or begin in the middle of something once they are cut to a column's width. */
const texts = (dice: Dice) =>
  dice.pick([
    ...['', 'x', 'Zoë', '😀', 'true', 'false', ' ', '-', '\u0301'],
    ...[`${'a'.repeat(dice.below(300))}${'😀'.repeat(dice.size(80))}`, 'a'.repeat(dice.size(3_000))],
    dice.pick(TYPES),
  ]);

function odd(dice: Dice, depth = 0): PlistInput {
  switch (dice.below(depth > 5 ? 7 : 10)) {
    case 0:
      return dice.below(2 ** 31) - 2 ** 30;
    case 1:
      return dice.next() / 7;
    case 2:
      return dice.once(2);
    case 3:
      return new Date(dice.next() * 1_000);
    case 4:
      return dice.bytes(dice.below(dice.pick([0, 17, 32, 33, 257, 2_000]) + 1));
    case 5:
      return 2n ** BigInt(dice.below(63));
    case 6:
      return texts(dice);
    case 7:
      return Array.from({ length: dice.size(dice.once(20) ? 400 : 4) - 1 }, () => odd(dice, depth + 1));
    default:
      return Object.fromEntries(Array.from({ length: dice.size(6) }, () => [dice.pick(KEYS), odd(dice, depth + 1)]));
  }
}

/** A valid message with some members odd, some gone, some new. */
function oddly(dice: Dice, message: Record<string, PlistInput>): Buffer {
  const members = Object.entries(message).filter(() => !dice.once(12));
  const changed = members.map(([key, value]) => [key, dice.once(4) ? odd(dice) : value] as const);
  const more = Array.from({ length: dice.below(4) }, () => [dice.pick(KEYS), odd(dice)] as const);
  return writePlist(Object.fromEntries([...changed, ...more]) as Record<string, PlistInput>);
}

const CHECK_INS = [AUTHENTICATE, TOKEN_UPDATE, { MessageType: 'CheckOut', UDID, Topic: 'com.example' }];

/** Check-in messages: what comes out goes to the database as text and JSON, so it must be storable. */
export function checkInTarget(): Target {
  const more = ['SetBootstrapToken', 'GetBootstrapToken', 'DeclarativeManagement', 'GetToken', 'UserAuthenticate'].map(
    (MessageType) => ({
      ...AUTHENTICATE,
      MessageType,
      BootstrapToken: Buffer.alloc(40, 3),
      Endpoint: 'tokens',
      Data: Buffer.from('{}'),
      TokenServiceType: 'com.apple.maid',
    }),
  );
  const all = [...CHECK_INS, ...more];
  return {
    ...{ name: 'check-in', form: 'xml', maxBytes: 256 * 1024, words: XML_WORDS },
    seeds: [...all.map((one) => writePlist(one)), pythonPlist(AUTHENTICATE)],
    make: (dice) => oddly(dice, dice.pick(all)),
    parse: (input) => {
      const { personal, ...message } = parseCheckIn(input);
      storable(message);
      return `${message.type} ${message.findings.join()} ${[...personal.keys()].join()}`;
    },
  };
}

/** Command results and Idle: the same, with inventory. */
export function resultTarget(): Target {
  const all = [
    { UDID, Status: 'Idle' },
    INFORMATION,
    ATTESTED,
    FAILED,
    PROFILES,
    { UDID, CommandUUID: COMMAND, Status: 'NotNow' },
  ];
  return {
    ...{ name: 'result', form: 'xml', maxBytes: 1024 * 1024, words: XML_WORDS },
    seeds: [...all.map((one) => writePlist(one)), pythonPlist({ UDID, Status: 'Idle' })],
    make: (dice) => oddly(dice, dice.pick(all)),
    parse: (input) => {
      const { personal, ...result } = parseCommandResult(input);
      storable(result);
      if (result.commandUuid !== undefined && !UUID.test(result.commandUuid))
        throw new Broken('a command’s UUID is none');
      return `${result.status} ${result.findings.join()} ${result.errors.length} ${result.inventory?.kind} ${personal.size}`;
    },
  };
}

/** As the database takes it: JSON, no larger than a few times what is let in. Sealed values go another way. */
function storable(value: object): void {
  const open = Object.fromEntries(Object.entries(value).filter(([, one]) => !holdsSealed(one)));
  checkTexts(open);
  if (JSON.stringify(open).length > 8 * 1024 * 1024) throw new Broken('more comes out than any message holds');
}

function holdsSealed(value: unknown): boolean {
  if (value instanceof Sealed) return true;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return [...(value instanceof Map ? value.values() : Object.values(value))].some(holdsSealed);
}
