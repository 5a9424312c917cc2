import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { makeCa, type PlistInput, signCms, writePlist } from '#wire';
import { consequences, remarks } from './consequences.ts';
import { diffProfiles } from './diff.ts';
import { readProfile } from './read.ts';

let serial = 0;
const uuid = () => `9b1c2f1e-0000-4000-8000-${String(serial++).padStart(12, '0')}`;
const payload = (type: string, more: Record<string, PlistInput> = {}) => ({
  ...{ PayloadType: type, PayloadVersion: 1, PayloadIdentifier: `org.example.${type}`, PayloadUUID: uuid() },
  ...more,
});
const profile = (payloads: readonly PlistInput[], more: Record<string, PlistInput> = {}) =>
  writePlist({
    ...{ PayloadType: 'Configuration', PayloadVersion: 1, PayloadIdentifier: 'org.example.p', PayloadUUID: uuid() },
    ...{ PayloadDisplayName: 'Office', PayloadContent: payloads, ...more },
  });
const WIFI = 'com.apple.wifi.managed';

test('a profile is read with its identifier; broken ones are refused with a reason', () => {
  const read = readProfile(profile([payload(WIFI)]));
  assert.deepEqual([read.identifier, read.name, read.signer], ['org.example.p', 'Office', undefined]);
  const twice = uuid();
  for (const [bytes, why] of [
    [Buffer.from('no profile'), /plist|property list|cannot be read/i],
    [writePlist({ PayloadType: 'Other' }), /not a configuration profile/],
    [profile([{ PayloadVersion: 1 }]), /no PayloadType/],
    [profile([payload(WIFI, { PayloadUUID: twice }), payload('x', { PayloadUUID: twice })]), /used twice/],
    [profile([], { PayloadIdentifier: 'has spaces' }), /PayloadIdentifier/],
  ] as const) {
    assert.throws(
      () => readProfile(bytes),
      (error: Error) => why.test(error.message),
    );
  }
});

test('a signed profile is unwrapped if its signature is right, and nothing of it is taken if not', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const certificate = makeCa(privateKey, { commonName: 'A signer', days: 1, now: Date.now() });
  const body = profile([payload(WIFI)]);
  const signed = signCms({ content: body, key: privateKey, certificate });
  const read = readProfile(signed);
  assert.deepEqual(read.body, body);
  assert.equal(read.signer?.length, 32);
  const forged = Buffer.from(signed);
  const at = forged.indexOf('Office');
  forged[at] = 'o'.charCodeAt(0);
  assert.throws(() => readProfile(forged), /signature/);
});

test('dangers are told in words of consequence', () => {
  const says = (type: string, more = {}) =>
    consequences(readProfile(profile([payload(type, more)])).root).map((one) => one.says);
  assert.match(says('com.apple.security.root')[0]!, /whoever holds its key can read/);
  assert.match(says('com.apple.vpn.managed')[0]!, /VPN/);
  assert.match(says('com.apple.mdm')[0]!, /another server/);
  assert.match(says('com.example.new')[0]!, /nobody can say/);
  assert.match(says(WIFI, { ProxyType: 'Manual' })[0]!, /traffic elsewhere/);
  assert.deepEqual(says(WIFI), []);
  const clip = profile([payload('com.apple.webClip.managed', { URL: 'https://intranet.example/x?y' })], {
    PayloadRemovalDisallowed: true,
  });
  assert.deepEqual(remarks(readProfile(clip).root), [
    'the holder cannot remove it',
    'puts a link to intranet.example on the home screen',
  ]);
});

test('a diff names each key that differs, hides secrets, and still tells that they differ', () => {
  const read = (more: Record<string, PlistInput>, rest: readonly PlistInput[] = []) =>
    readProfile(profile([payload(WIFI, { SSID_STR: 'Office', ...more }), ...rest])).root;
  const before = read({ Password: 'correct horse', EAPClientConfiguration: { UserPassword: 'x', TTLS: 'a' } }, [
    payload('com.apple.font', { Font: new Uint8Array(9) }),
  ]);
  const after = read({ Password: 'battery stap1', EAPClientConfiguration: { UserPassword: 'x', TTLS: 'b' } });
  const changes = diffProfiles(before, after);
  assert.deepEqual(
    changes.map(({ type, change }) => `${change} ${type}`),
    [`changed ${WIFI}`, 'removed com.apple.font'],
  );
  assert.deepEqual(changes[0]!.keys, [
    { key: 'EAPClientConfiguration.TTLS', before: 'a', after: 'b' },
    { key: 'Password', before: 'hidden (13 characters)', after: 'hidden (13 characters), another one' },
  ]);
  assert.ok(!JSON.stringify(changes).includes('horse'));
  assert.deepEqual(diffProfiles(before, before), []);
  assert.equal(
    diffProfiles(undefined, after).every(({ change }) => change === 'added'),
    true,
  );
});
