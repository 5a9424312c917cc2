import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { signCms } from '../cms/signed.ts';
import { parsePlist } from '../plist/read.ts';
import { isDict, type PlistInput } from '../plist/value.ts';
import { writePlist } from '../plist/write.ts';
import { makeCa } from '../x509/issue.ts';
import { dangersOf, dangersOfProfile } from './profile-dangers.ts';

const profile = (...payloads: Record<string, PlistInput>[]) =>
  writePlist({
    PayloadType: 'Configuration',
    PayloadIdentifier: 'org.example.test',
    PayloadUUID: '5D6A2C6E-0000-4000-8000-000000000001',
    PayloadVersion: 1,
    PayloadContent: payloads,
  });
const kinds = (bytes: Uint8Array) => dangersOf(bytes).map(({ kind }) => kind);

const CASES: readonly (readonly [string, Record<string, PlistInput>, readonly string[]])[] = [
  ['a passcode policy', { PayloadType: 'com.apple.mobiledevice.passwordpolicy', minLength: 8 }, []],
  ['Wi-Fi', { PayloadType: 'com.apple.wifi.managed', SSID_STR: 'office', ProxyType: 'None' }, []],
  ['Wi-Fi through a proxy', { PayloadType: 'com.apple.wifi.managed', ProxyType: 'Manual' }, ['traffic']],
  ['Wi-Fi with a proxy script', { PayloadType: 'com.apple.wifi.managed', ProxyPACURL: 'http://p' }, ['traffic']],
  ['another manager', { PayloadType: 'com.apple.mdm' }, ['management']],
  ['another authority', { PayloadType: 'com.apple.security.root' }, ['trust']],
  ['a VPN', { PayloadType: 'com.apple.vpn.managed' }, ['traffic']],
  ['a VPN of a kind that is not in the list', { PayloadType: 'com.apple.vpn.managed.mapping' }, ['traffic']],
  ['an Exchange account, whose server can erase', { PayloadType: 'com.apple.eas.account' }, ['traffic']],
  ['a mail account', { PayloadType: 'com.apple.mail.managed' }, ['traffic']],
  ['a single app', { PayloadType: 'com.apple.app.lock' }, ['lock-in']],
  ['a type nobody knows', { PayloadType: 'com.example.new' }, ['unknown']],
  ['no type', {}, ['unknown']],
];
for (const [name, payload, expected] of CASES) {
  test(`dangers of a profile: ${name}`, () => assert.deepEqual(kinds(profile(payload)), expected));
}

test('a harmless payload does not hide a dangerous one beside it', () => {
  const both = profile({ PayloadType: 'com.apple.webClip.managed' }, { PayloadType: 'com.apple.relay.managed' });
  assert.deepEqual(dangersOf(both), [{ type: 'com.apple.relay.managed', kind: 'traffic' }]);
});

test('what cannot be read is dangerous: junk, encrypted contents, contents that are no list', () => {
  assert.deepEqual(kinds(Buffer.from('no property list')), ['unreadable']);
  assert.deepEqual(kinds(Buffer.from([0x30, 0x03, 1, 2, 3])), ['unreadable']);
  assert.deepEqual(kinds(writePlist({ PayloadType: 'Configuration' })), ['unreadable']);
  assert.deepEqual(kinds(writePlist(['a list'])), ['unreadable']);
  const mixed = writePlist({ PayloadContent: [], EncryptedPayloadContent: Buffer.from('x') });
  assert.deepEqual(kinds(mixed), ['unreadable']);
});

test('a signed profile is judged by what is inside', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const certificate = makeCa(privateKey, { commonName: 'Profiles', days: 30, now: Date.now() });
  const inside = profile({ PayloadType: 'com.apple.security.pem' });
  const signed = signCms({ content: inside, certificate, key: privateKey });
  assert.deepEqual(kinds(signed), ['trust']);
  const read = parsePlist(inside);
  assert.ok(isDict(read) && dangersOfProfile(read).length === 1);
});
