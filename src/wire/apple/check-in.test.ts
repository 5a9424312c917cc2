import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireError } from '../error.ts';
import type { PlistInput } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';
import { type CheckIn, parseCheckIn } from './check-in.ts';
import { parseCommandResult } from './result.ts';
import { SHARED_IPAD_USER } from './speaker.ts';

const UDID = '00008110-000A1B2C3D4E5F60';
const TOKEN = { Token: Buffer.alloc(32, 1), PushMagic: 'magic' };
type Message = Record<string, PlistInput>;
const parse = (message: Message) => parseCheckIn(writePlist(message));
const shown = (message: CheckIn) => {
  const { personal: _, channel, ...rest } = message;
  return JSON.stringify({ ...rest, channel: channel?.kind });
};

// Section 4 of the protocol notes: what clients were seen to send. Each must be survived, and noted where it is odd.
const TOLERATED: readonly (readonly [string, Message, readonly string[]])[] = [
  [
    'a topic that is not ours',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, Topic: `com.apple.mgmt.External.${UDID}` },
    [],
  ],
  ['no topic', { ...TOKEN, MessageType: 'TokenUpdate', UDID }, ['no-topic']],
  [
    'NotOnConsole as text',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, Topic: 't', NotOnConsole: 'false' },
    ['string-boolean'],
  ],
  [
    'a push token of 17 bytes',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, Topic: 't', Token: Buffer.alloc(17) },
    ['push-token-length'],
  ],
  ['a UDID that is not hex', { MessageType: 'CheckOut', UDID: '0000811Z-000A1B2C3D4E5F6Q' }, ['udid-form']],
  ['UDID and EnrollmentID together', { MessageType: 'CheckOut', UDID, EnrollmentID: 'E-1' }, ['two-identifiers']],
  ['an old UDID of 40 hex digits', { MessageType: 'CheckOut', UDID: 'a'.repeat(40) }, []],
  ['keys that nobody knows', { MessageType: 'CheckOut', UDID, Surprise: ['x', { y: 1n }] }, []],
  ['Authenticate without any fact', { MessageType: 'Authenticate', UDID, Topic: 't' }, []],
  [
    'an unlock token of 4 KiB',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, Topic: 't', UnlockToken: Buffer.alloc(4096, 7) },
    [],
  ],
  [
    'an unlock token beyond any row',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, Topic: 't', UnlockToken: Buffer.alloc(9000) },
    ['value-too-long'],
  ],
  [
    'an empty unlock token',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, Topic: 't', UnlockToken: Buffer.alloc(0) },
    [],
  ],
];
for (const [name, message, findings] of TOLERATED) {
  test(`tolerated: ${name}`, () => {
    const read = parse(message);
    assert.deepEqual([...read.findings], findings);
    assert.equal(read.udid, message['UDID']);
  });
}

const REFUSED: readonly (readonly [string, Message])[] = [
  ['a message of no type', { UDID }],
  ['a type that nobody knows', { MessageType: 'Telephone', UDID }],
  ['no device', { MessageType: 'CheckOut' }],
  ['a device in the form of a path', { MessageType: 'CheckOut', UDID: '../../etc' }],
  ['TokenUpdate without a token', { MessageType: 'TokenUpdate', UDID, PushMagic: 'm' }],
  ['TokenUpdate without a magic', { MessageType: 'TokenUpdate', UDID, Token: Buffer.alloc(32) }],
  ['UserAuthenticate of nobody', { MessageType: 'UserAuthenticate', UDID }],
  [
    'a shared iPad’s channel without its user',
    { ...TOKEN, MessageType: 'TokenUpdate', UDID, UserID: SHARED_IPAD_USER },
  ],
  ['GetToken for a service in the form of markup', { MessageType: 'GetToken', UDID, TokenServiceType: '<x>' }],
];
for (const [name, message] of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parse(message),
      (error: Error) => error instanceof WireError && error.code === 'check-in',
    );
  });
}

test('who speaks: the device, a user, a user of a shared iPad, and the same by enrolment id', () => {
  const kind = (more: Message) => {
    const { udid, kind: by, channel } = parse({ ...TOKEN, MessageType: 'TokenUpdate', Topic: 't', ...more });
    return [udid, by, channel?.kind, channel?.id.use((id) => id.length)];
  };
  assert.deepEqual(kind({ UDID }), [UDID, 'udid', undefined, undefined]);
  assert.deepEqual(kind({ UDID, UserID: 'A-1' }), [UDID, 'udid', 'user', 3]);
  const shared = { UDID, UserID: SHARED_IPAD_USER.toLowerCase(), UserShortName: 'anna@example.org' };
  assert.deepEqual(kind(shared), [UDID, 'udid', 'shared', 16]);
  assert.deepEqual(kind({ EnrollmentID: 'E-1' }), ['E-1', 'enrollment-id', undefined, undefined]);
  assert.deepEqual(kind({ EnrollmentID: 'E-1', EnrollmentUserID: 'U' }), ['E-1', 'enrollment-id', 'user', 1]);
  // UDID wins, so the other pair's user does not count.
  assert.deepEqual(kind({ UDID, EnrollmentID: 'E-1', EnrollmentUserID: 'U' }), [UDID, 'udid', undefined, undefined]);
});

test('the messages that policy answers come out with what policy needs', () => {
  const ask = (message: Message) => parse({ UDID, ...message });
  assert.equal(shown(ask({ MessageType: 'GetBootstrapToken' })).includes('GetBootstrapToken'), true);
  const set = ask({ MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.alloc(300, 9) });
  assert.ok(set.personal.has('bootstrap-token'));
  assert.doesNotMatch(shown(set), /CQkJ/);
  assert.equal(ask({ MessageType: 'SetBootstrapToken' }).personal.has('bootstrap-token'), false);
  const token = ask({ MessageType: 'GetToken', TokenServiceType: 'com.apple.maid' });
  assert.equal(token.type === 'GetToken' && token.service, 'com.apple.maid');
  const user = { MessageType: 'UserAuthenticate', UserID: 'anna', UserShortName: 'anna', UserLongName: 'Anna Example' };
  const first = ask(user);
  assert.equal(first.type === 'UserAuthenticate' && first.answered, false);
  const second = ask({ ...user, DigestResponse: 'x' });
  assert.equal(second.type === 'UserAuthenticate' && second.answered, true);
  assert.doesNotMatch(shown(first), /anna/i, 'a user’s name leaves the parser sealed or not at all');
  const declared = ask({ MessageType: 'DeclarativeManagement', Endpoint: 'status', Data: Buffer.from('{}') });
  assert.equal(declared.type === 'DeclarativeManagement' && declared.data?.length, 2);
  assert.equal(ask({ MessageType: 'ReturnToService' }).type, 'ReturnToService');
});

test('results: no topic, few facts, a command’s UUID in capitals', () => {
  const uuid = '0198c5a0-0000-7000-8000-00000000000A';
  const few = parseCommandResult(
    writePlist({
      UDID,
      Status: 'Acknowledged',
      CommandUUID: uuid,
      QueryResponses: { DeviceName: 'x', SerialNumber: 'S', UDID },
    }),
  );
  assert.equal(few.commandUuid, uuid.toLowerCase());
  assert.deepEqual(few.inventory?.facts, { SerialNumber: 'S', UDID });
  assert.deepEqual(few.findings, []);
  assert.equal(parseCommandResult(writePlist({ UDID, Status: 'Idle', UserID: 'U' })).channel?.kind, 'user');
});
