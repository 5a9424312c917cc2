import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '#base';
import { WireError } from '../error.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type PlistDict, type PlistInput } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';
import { buildCommand, type CommandRequest, permitReason, requestTypeOf } from './command.ts';
import { COMMANDS, type TypedVerb } from './command-set.ts';

const UUID = '0198c5a0-0000-7000-8000-000000000001';
const ORIGIN = 'https://phones.example.org';
const profile = (type: string, more: Record<string, PlistInput> = {}) =>
  writePlist({ PayloadType: 'Configuration', PayloadContent: [{ PayloadType: type, ...more }] });
const raw = (command: Record<string, PlistInput>): CommandRequest => ({ verb: 'Raw', plist: writePlist(command) });

/** One good request of every verb; `args` as a console would send them. */
const GOOD: { readonly [V in TypedVerb]: CommandRequest } = {
  DeviceInformation: { verb: 'DeviceInformation', args: { Queries: ['OSVersion', 'TimeZone'] } },
  SecurityInfo: { verb: 'SecurityInfo' },
  CertificateList: { verb: 'CertificateList', args: { ManagedOnly: true } },
  ProfileList: { verb: 'ProfileList' },
  ProvisioningProfileList: { verb: 'ProvisioningProfileList' },
  InstalledApplicationList: { verb: 'InstalledApplicationList' },
  ManagedApplicationList: { verb: 'ManagedApplicationList', args: { Identifiers: ['org.example.mail'] } },
  ManagedApplicationConfiguration: {
    verb: 'ManagedApplicationConfiguration',
    args: { Identifiers: ['org.example.mail'] },
  },
  ManagedApplicationAttributes: { verb: 'ManagedApplicationAttributes', args: { Identifiers: ['org.example.mail'] } },
  ManagedApplicationFeedback: {
    verb: 'ManagedApplicationFeedback',
    args: { Identifiers: ['a'], DeleteFeedback: false },
  },
  UserList: { verb: 'UserList' },
  AvailableOSUpdates: { verb: 'AvailableOSUpdates' },
  OSUpdateStatus: { verb: 'OSUpdateStatus' },
  InstallProfile: { verb: 'InstallProfile', payload: profile('com.apple.webClip.managed') },
  RemoveProfile: { verb: 'RemoveProfile', identifier: 'org.example.passcode' },
  InstallApplication: {
    verb: 'InstallApplication',
    args: {
      iTunesStoreID: 361285480,
      ManagementFlags: 1,
      Configuration: { server: 'mail.example.org', deep: [{ a: 1.5 }] },
    },
  },
  RemoveApplication: { verb: 'RemoveApplication', args: { Identifier: 'org.example.mail' } },
  ValidateApplications: { verb: 'ValidateApplications' },
  Settings: {
    verb: 'Settings',
    args: {
      Settings: [
        { Item: 'Bluetooth', Enabled: false },
        { Item: 'TimeZone', TimeZone: 'Europe/Brussels' },
        { Item: 'OrganizationInfo', OrganizationInfo: { OrganizationName: 'Example Agency' } },
      ],
    },
  },
  DeclarativeManagement: { verb: 'DeclarativeManagement', tokens: Buffer.from('{}') },
  DeviceConfigured: { verb: 'DeviceConfigured' },
  ScheduleOSUpdate: {
    verb: 'ScheduleOSUpdate',
    args: { Updates: [{ InstallAction: 'InstallASAP', ProductVersion: '17.7' }] },
  },
  LogOutUser: { verb: 'LogOutUser' },
  PlayLostModeSound: { verb: 'PlayLostModeSound' },
  DeviceLock: { verb: 'DeviceLock', args: { Message: 'Please bring me to the service desk <& thanks>.' } },
  EnableLostMode: { verb: 'EnableLostMode', args: { Message: 'This phone is lost. Its place can be read.' } },
  DisableLostMode: { verb: 'DisableLostMode' },
  ClearPasscode: { verb: 'ClearPasscode' },
  RestartDevice: { verb: 'RestartDevice', args: { NotifyUser: true } },
  ShutDownDevice: { verb: 'ShutDownDevice' },
  DeviceLocation: { verb: 'DeviceLocation' },
  EraseDevice: { verb: 'EraseDevice', args: { PreserveDataPlan: true, ReturnToService: { Enabled: false } } },
  DeleteUser: { verb: 'DeleteUser', args: { DeleteAllUsers: true } },
};

/** What Python's plistlib reads, in our own form. */
function python(bodies: readonly Buffer[]): unknown[] {
  const script = `
import plistlib, json, sys, base64
def plain(v):
    if isinstance(v, bytes): return {'data': base64.b64encode(v).decode()}
    if isinstance(v, dict): return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list): return [plain(x) for x in v]
    return v
print(json.dumps([plain(plistlib.loads(base64.b64decode(line))) for line in sys.stdin.read().split()]))`;
  const input = bodies.map((body) => body.toString('base64')).join('\n');
  return JSON.parse(execFileSync('python3', ['-c', script], { input, maxBuffer: 2 ** 26 }).toString()) as unknown[];
}
const plain = (value: PlistInput | undefined): unknown => {
  if (value instanceof Uint8Array) return { data: Buffer.from(value).toString('base64') };
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, one]) => [key, plain(one)]));
  return Array.isArray(value) ? value.map((one) => plain(one)) : value;
};
const commandOf = (body: Buffer): PlistDict => {
  const root = parsePlist(body);
  assert.ok(isDict(root));
  const command = root.get('Command');
  assert.ok(isDict(command));
  return command;
};

test('every command builds to the same bytes each time, and Python’s plistlib reads what we meant', () => {
  const requests = Object.values(GOOD);
  assert.deepEqual(Object.keys(GOOD).sort(), Object.keys(COMMANDS).sort());
  const bodies = requests.map((request) => buildCommand(UUID, request));
  for (const [i, read] of python(bodies).entries()) {
    assert.deepEqual(bodies[i], buildCommand(UUID, requests[i]!));
    const expected = parsePlist(bodies[i]!);
    assert.deepEqual(read, plain(expected as PlistInput));
    assert.equal((read as { Command: { RequestType: string } }).Command.RequestType, requests[i]!.verb);
  }
});

test('any app configuration survives the way to a foreign reader', () => {
  const leaf = fc.oneof(fc.boolean(), fc.integer(), fc.string({ unit: fc.constantFrom(...'aé<&>"\n€😀 ') }));
  const { config } = fc.letrec((tie) => ({
    config: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('config'), { maxLength: 3 }),
      fc.dictionary(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 8 }), tie('config'), { maxKeys: 4 }),
    ),
  }));
  const configs = fc.sample(fc.dictionary(fc.constantFrom('a', 'b', 'c d', '<k>'), config as fc.Arbitrary<Json>), {
    numRuns: 60,
    seed: 7,
  });
  const bodies = configs.map((Configuration) =>
    buildCommand(UUID, { verb: 'InstallApplication', args: { Identifier: 'x', Configuration: Configuration as Json } }),
  );
  for (const [i, read] of python(bodies).entries()) {
    const command = (read as { Command: { Configuration: unknown } }).Command;
    assert.deepEqual(command.Configuration, JSON.parse(JSON.stringify(configs[i])));
  }
});

const REFUSED: readonly (readonly [string, CommandRequest])[] = [
  ['a phone number in a lock’s message', { verb: 'DeviceLock', args: { Message: 'Call +44 7700 900123' } }],
  ['a mail address in lost mode’s message', { verb: 'EnableLostMode', args: { Message: 'anna@example.org' } }],
  ['a phone number to call', { verb: 'DeviceLock', args: { PhoneNumber: '+447700900123' } }],
  ['lost mode without a message', { verb: 'EnableLostMode' }],
  ['a query for the number', { verb: 'DeviceInformation', args: { Queries: ['PhoneNumber'] } }],
  ['a query for the name', { verb: 'DeviceInformation', args: { Queries: ['DeviceName'] } }],
  [
    'the device’s name as a setting',
    { verb: 'Settings', args: { Settings: [{ Item: 'DeviceName', DeviceName: 'x' }] } },
  ],
  ['an app from nowhere', { verb: 'InstallApplication' }],
  ['an app from two places', { verb: 'InstallApplication', args: { Identifier: 'a', iTunesStoreID: 1 } }],
  ['an app by plain HTTP', { verb: 'InstallApplication', args: { ManifestURL: 'http://x.example' } }],
  ['a raw erasure', raw({ RequestType: 'EraseDevice' })],
  ['a raw profile', raw({ RequestType: 'InstallProfile', Payload: Buffer.from('x') })],
  ['a raw command without a type', raw({ Type: 'X' })],
  ['a user to delete by name', { verb: 'DeleteUser', args: { DeleteAllUsers: false, UserName: 'anna' } }],
];
for (const [name, request] of REFUSED) {
  test(`not built: ${name}`, () => assert.throws(() => buildCommand(UUID, request), WireError));
}

test('what edge demands a permit for is judged by the contents of a command alone', () => {
  const reason = (request: CommandRequest) => permitReason(commandOf(buildCommand(UUID, request)), [ORIGIN]);
  const two = new Set(['EraseDevice', 'DeleteUser', 'DeviceLocation']);
  for (const [verb, request] of Object.entries(GOOD)) {
    assert.equal(reason(request) !== undefined, two.has(verb), verb);
  }
  assert.equal(reason(raw({ RequestType: 'RequestRebootstrap' })), 'raw');
  assert.equal(reason(raw({ RequestType: 'SecurityInfo' })), undefined, 'a raw form of a harmless command is harmless');
  assert.equal(reason(raw({ RequestType: 'Settings', Settings: [{ Item: 'DeviceName', DeviceName: 'x' }] })), 'raw');
  assert.equal(reason(raw({ RequestType: 'DeviceInformation', Queries: ['PhoneNumber'] })), 'raw');
  const install = (payload: Buffer): CommandRequest => ({ verb: 'InstallProfile', payload });
  assert.equal(reason(install(profile('com.apple.security.root'))), 'dangerous-profile');
  const own = { ServerURL: `${ORIGIN}/mdm`, CheckInURL: `${ORIGIN}/checkin` };
  assert.equal(reason(install(profile('com.apple.mdm', own))), undefined, 'our own enrolment profile, sent anew');
  assert.equal(
    reason(install(profile('com.apple.mdm', { ...own, ServerURL: 'https://evil.example/mdm' }))),
    'dangerous-profile',
  );
  for (const ServerURL of [
    `${ORIGIN}.evil.example/mdm`,
    `https://${new URL(ORIGIN).host}@evil.example/mdm`,
    'no address',
  ])
    assert.equal(reason(install(profile('com.apple.mdm', { ServerURL }))), 'dangerous-profile', ServerURL);
  assert.equal(
    reason(install(profile('com.apple.mdm', { ...own, CheckInURL: 'https://evil.example/checkin' }))),
    'dangerous-profile',
  );
  // As an owner of core would write them, past the builder.
  const forged = (command: Record<string, PlistInput>) =>
    permitReason(parsePlist(writePlist(command)) as PlistDict, [ORIGIN]);
  assert.equal(forged({ RequestType: 'ClearPasscode', UnlockToken: Buffer.from('stolen') }), 'raw');
  assert.equal(forged({ RequestType: 'DeviceLock', PhoneNumber: '1' }), 'raw');
  // The question for an attestation is one form and no other.
  const asks = { RequestType: 'DeviceInformation', Queries: ['DevicePropertiesAttestation'] };
  assert.equal(reason({ verb: 'DeviceInformation', nonce: Buffer.alloc(32, 7) }), undefined);
  assert.equal(forged({ ...asks, DeviceAttestationNonce: Buffer.alloc(33) }), 'raw');
  assert.equal(forged({ ...asks, DeviceAttestationNonce: 'text' }), 'raw');
  assert.equal(forged({ ...asks, DeviceAttestationNonce: Buffer.alloc(8), Queries: ['PhoneNumber'] }), 'raw');
  assert.equal(forged({ ...asks, DeviceAttestationNonce: Buffer.alloc(8), More: true }), 'raw');
  assert.equal(forged(asks), 'raw', 'without a nonce anybody’s old answer would do');
  assert.throws(() => buildCommand(UUID, { verb: 'DeviceInformation', nonce: Buffer.alloc(0) }), { code: 'command' });
  assert.equal(forged({ RequestType: 'InstallProfile', Payload: 'text' }), 'raw');
});

test('the label of a raw command is its RequestType', () => {
  assert.equal(requestTypeOf(raw({ RequestType: 'RequestRebootstrap' })), 'RequestRebootstrap');
  assert.equal(requestTypeOf(GOOD.Settings), 'Settings');
});
