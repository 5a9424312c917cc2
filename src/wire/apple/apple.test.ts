import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type PlistDict } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';
import { parseCheckIn } from './check-in.ts';
import { buildCommand } from './command.ts';
import { enrolmentProfile } from './enrolment-profile.ts';
import { parseCommandResult } from './result.ts';

const udid = '00008110-000A1B2C3D4E5F60';
const uuid = '0198c5a0-0000-7000-8000-000000000001';
const authenticate = {
  MessageType: 'Authenticate',
  Topic: 't',
  UDID: udid,
  DeviceName: 'Anna’s iPhone',
  SerialNumber: 'S1',
  Model: 'M',
  OSVersion: '26.1',
  PhoneNumber: '+447700900123',
};

test('Authenticate: facts in clear, the name only sealed, the number not at all', () => {
  const message = parseCheckIn(writePlist(authenticate));
  assert.equal(message.type, 'Authenticate');
  assert.throws(() => JSON.stringify([...message.personal.values()]), /sealed/);
  assert.equal(
    message.personal.get('device-name')?.use((name) => name.length),
    13,
  );
  const { personal: _, ...rest } = message;
  assert.doesNotMatch(JSON.stringify(rest), /Anna|7700/);
});

test('TokenUpdate: odd tokens, string booleans and two identifiers are findings, not refusals', () => {
  const message = parseCheckIn(
    writePlist({
      MessageType: 'TokenUpdate',
      UDID: 'ZZZZ-not-hex',
      EnrollmentID: 'E1',
      Token: Buffer.alloc(17),
      PushMagic: 'm',
      NotOnConsole: 'false',
      UnlockToken: Buffer.alloc(40),
    }),
  );
  assert.equal(message.type, 'TokenUpdate');
  assert.equal(message.udid, 'ZZZZ-not-hex');
  assert.deepEqual([...message.findings].sort(), [
    'no-topic',
    'push-token-length',
    'string-boolean',
    'two-identifiers',
    'udid-form',
  ]);
  assert.ok(message.personal.has('unlock-token'));
});

test('what is not offered or not named is refused', () => {
  for (const bad of [
    {},
    { MessageType: 'GetToken', UDID: udid },
    { MessageType: 'Authenticate' },
    { MessageType: 'CheckOut', UDID: '../x' },
    { MessageType: 'TokenUpdate', UDID: udid },
  ]) {
    assert.throws(() => parseCheckIn(writePlist(bad)), WireError);
  }
  assert.throws(() => parseCheckIn(writePlist(['x'])), WireError);
});

test('results keep allow-listed facts only', () => {
  const result = parseCommandResult(
    writePlist({
      Status: 'Acknowledged',
      UDID: udid,
      CommandUUID: uuid.toUpperCase(),
      QueryResponses: {
        OSVersion: '26.1',
        BatteryLevel: 0.5,
        DeviceName: 'Anna’s iPhone',
        PhoneNumber: '+447700900123',
        WiFiMAC: 'aa:bb',
        ServiceSubscriptions: [{ PhoneNumber: '+447700900123' }],
      },
    }),
  );
  assert.equal(result.commandUuid, uuid);
  assert.deepEqual(result.inventory, { kind: 'DeviceInformation', facts: { OSVersion: '26.1', BatteryLevel: 0.5 } });
  assert.ok(result.personal.has('device-name'));
});

test('error chains lose their texts', () => {
  const result = parseCommandResult(
    writePlist({
      Status: 'Error',
      UDID: udid,
      CommandUUID: uuid,
      ErrorChain: [
        { ErrorCode: 12021, ErrorDomain: 'MCMDMErrorDomain', LocalizedDescription: 'Anna’s iPhone cannot' },
        'x',
      ],
    }),
  );
  assert.deepEqual(result.errors, [{ code: 12021, domain: 'MCMDMErrorDomain' }]);
});

test('an answer without command, an unknown status: refused; Idle needs neither topic nor command', () => {
  assert.throws(() => parseCommandResult(writePlist({ Status: 'Acknowledged', UDID: udid })), WireError);
  assert.throws(() => parseCommandResult(writePlist({ Status: 'Perhaps', UDID: udid })), WireError);
  assert.equal(parseCommandResult(writePlist({ Status: 'Idle', UDID: udid })).commandUuid, undefined);
});

test('commands are the same bytes every time and never ask for a number or a name', () => {
  const bytes = buildCommand(uuid, { verb: 'DeviceInformation' });
  assert.deepEqual(bytes, buildCommand(uuid, { verb: 'DeviceInformation' }));
  assert.doesNotMatch(bytes.toString(), /PhoneNumber|DeviceName|ServiceSubscriptions|ICCID/);
  const dict = parsePlist(bytes) as PlistDict;
  assert.equal(dict.get('CommandUUID'), uuid);
  assert.throws(() => buildCommand('X', { verb: 'SecurityInfo' }), WireError);
  assert.throws(() => buildCommand(uuid, { verb: 'RemoveProfile', identifier: 'a b' }), WireError);
});

test('the enrolment profile: SCEP first, MDM second, no network right', () => {
  const profile = parsePlist(
    enrolmentProfile({
      id: uuid,
      organisation: 'Example',
      identity: { kind: 'scep', url: 'http://x/scep', challenge: 'c' },
      serverUrl: 'http://x/mdm',
      checkInUrl: 'http://x/checkin',
      topic: 'com.apple.mgmt.External.x',
    }),
  ) as PlistDict;
  const [scep, mdm] = profile.get('PayloadContent') as PlistDict[];
  assert.equal(scep?.get('PayloadType'), 'com.apple.security.scep');
  assert.equal(mdm?.get('PayloadType'), 'com.apple.mdm');
  assert.equal(mdm?.get('IdentityCertificateUUID'), scep?.get('PayloadUUID'));
  const ids = [profile, scep, mdm].map((payload) => String(payload?.get('PayloadUUID')));
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
  assert.equal(new Set(ids).size, 3);
  assert.equal((mdm?.get('AccessRights') as number) & 32, 0);
  assert.equal(mdm?.get('SignMessage'), true);
  const inner = scep?.get('PayloadContent');
  assert.ok(isDict(inner) && inner.get('Keysize') === 2048);
});

test('the enrolment profile with ACME: a hardware-bound P-384 key, the MDM payload names it', () => {
  const profile = parsePlist(
    enrolmentProfile({
      id: uuid,
      organisation: 'Example',
      identity: { kind: 'acme', directoryUrl: 'http://x/acme/directory', clientIdentifier: 'once', attest: true },
      serverUrl: 'http://x/mdm',
      checkInUrl: 'http://x/checkin',
      topic: 'com.apple.mgmt.External.x',
    }),
  ) as PlistDict;
  const [acme, mdm] = profile.get('PayloadContent') as PlistDict[];
  assert.equal(acme?.get('PayloadType'), 'com.apple.security.acme');
  assert.equal(mdm?.get('IdentityCertificateUUID'), acme?.get('PayloadUUID'));
  const said = Object.fromEntries([...acme!].filter(([key]) => !key.startsWith('Payload')));
  assert.deepEqual(said, {
    DirectoryURL: 'http://x/acme/directory',
    ClientIdentifier: 'once',
    KeyType: 'ECSECPrimeRandom',
    KeySize: 384,
    HardwareBound: true,
    Attest: true,
    Subject: [[['CN', uuid]]],
    UsageFlags: 1,
    ExtendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
  });
});

test('random dictionaries never throw anything but our own error', () => {
  const key = fc.constantFrom(
    'MessageType',
    'UDID',
    'Status',
    'CommandUUID',
    'Token',
    'PushMagic',
    'QueryResponses',
    'ErrorChain',
    'DeviceName',
    '__proto__',
  );
  const value = fc.oneof(
    fc.constantFrom('Authenticate', 'TokenUpdate', 'Idle', 'Error', udid, uuid),
    fc.integer(),
    fc.boolean(),
    fc.constant(Buffer.alloc(3)),
    fc.constant([]),
    fc.constant({}),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(key, value)), (entries) => {
      const bytes = writePlist(new Map(entries as [string, string][]));
      for (const parse of [parseCheckIn, parseCommandResult]) {
        try {
          parse(bytes);
        } catch (error) {
          assert.ok(error instanceof WireError);
        }
      }
    }),
  );
});

test('what is cut to a width stays text that a table can store', () => {
  const long = `${'a'.repeat(255)}😀`;
  const result = parseCommandResult(
    writePlist({
      ...{ UDID: 'A'.repeat(40), Status: 'Acknowledged', CommandUUID: '6e6a2b0c-9c7e-4a53-8c52-2e4b6e0c9d11' },
      QueryResponses: { ModelName: long },
    }),
  );
  assert.ok(String(result.inventory?.facts['ModelName']).isWellFormed());
  const hello = parseCheckIn(
    writePlist({
      ...{ MessageType: 'Authenticate', UDID: 'A'.repeat(40), Topic: long },
      ...{ SerialNumber: `${'a'.repeat(63)}😀`, OSVersion: `${'a'.repeat(31)}😀` },
    }),
  );
  assert.ok(hello.type === 'Authenticate');
  for (const text of [hello.topic, hello.serial, hello.osVersion]) assert.ok(text!.isWellFormed());
});

test('an answer names its command by a true UUID', () => {
  for (const CommandUUID of [
    '-'.repeat(36),
    '6e6a2b0c9c7e4a538c522e4b6e0c9d111234',
    '6e6a2b0c-9c7e-4a53-8c52-2e4b6e0c9d1',
  ])
    assert.throws(
      () => parseCommandResult(writePlist({ UDID: 'A'.repeat(40), Status: 'Acknowledged', CommandUUID })),
      WireError,
    );
});
