import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { importNano, readOldProfile, requestRetirement } from '#fleet';
import { newPen } from '#seal';
import { type Enrolment, KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { issueCertificate, makeCa, toPem, writePlist } from '#wire';
import { unenrols } from '../../src/fleet/unenrol.ts';
import { devicePlane } from './phone-stack.ts';
import { DAY, held, renewals } from './renewal-stage.ts';

// Devices of another server, with certificates of its authority: with the profile that they have they are renewed onto ours.
const TOPIC = 'com.apple.mgmt.External.example';
const keyPool = new KeyPool();
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const authority = { key, certificate: makeCa(key, { commonName: 'Old authority', days: 3650, now: Date.now() }) };

/** The profile as the old server's administrator has it in a file. */
const oldProfile = ({ serverUrl, checkInUrl, accessRights, profile, topic }: Enrolment) =>
  writePlist({
    PayloadContent: [
      {
        ...{ PayloadType: 'com.apple.security.scep', PayloadIdentifier: 'com.github.micromdm.scep' },
        ...{ PayloadUUID: 'CB90E976-AD44-4B69-8108-8095E6260978', PayloadVersion: 1 },
        PayloadContent: { URL: 'https://old.example/scep', Challenge: 'planted-old-challenge', Keysize: 2048 },
      },
      {
        ...{ PayloadType: 'com.apple.mdm', PayloadIdentifier: 'com.github.micromdm.nanomdm.mdm' },
        ...{ PayloadUUID: '96B11019-B54C-49DC-9480-43525834DE7B', PayloadVersion: 1 },
        ...{ ServerURL: serverUrl, AccessRights: accessRights, Topic: topic, SignMessage: true },
        ...(checkInUrl === serverUrl ? {} : { CheckInURL: checkInUrl }),
        IdentityCertificateUUID: 'CB90E976-AD44-4B69-8108-8095E6260978',
      },
    ],
    ...{ PayloadIdentifier: profile, PayloadType: 'Configuration', PayloadVersion: 1 },
    PayloadUUID: 'F9760DD4-F2D1-4F29-8D2C-48D52DD0A9B3',
  });

async function imported(t: TestContext, count: number, way: (url: string) => Partial<Enrolment> = () => ({})) {
  const plane = await devicePlane();
  const line = openLine();
  t.after(async () => {
    line.close();
    await plane.close();
  });
  const enrolment = {
    ...{ serverUrl: `${plane.url}/mdm`, checkInUrl: `${plane.url}/mdm`, topic: TOPIC, signMessage: true },
    ...{ accessRights: 8191, checkOutWhenRemoved: true, profile: 'com.github.micromdm.nanomdm' },
    ...way(plane.url),
  };
  const taken = Array.from({ length: count }, () => {
    const state = newPhone({ deviceName: 'a phone' });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { der } = issueCertificate(authority, {
      spki: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }),
      ...{ commonName: state.udid, days: 300, usage: 'device', now: Date.now() },
    });
    const phone = new Phone(
      {
        ...{ ...state, enrolment },
        profiles: [
          {
            ...{ identifier: enrolment.profile, uuid: 'F9760DD4-F2D1-4F29-8D2C-48D52DD0A9B3', name: 'Enrolment' },
            ...{ payloads: ['com.apple.security.scep', 'com.apple.mdm'], managed: true },
          },
        ],
        identity: {
          key: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
          certificate: Buffer.from(der).toString('base64'),
        },
      },
      { send: line.send, keyPool },
    );
    const who = { UDID: state.udid, Topic: TOPIC };
    const row = {
      ...{ id: state.udid, type: 'Device', enabled: true, identity_cert: toPem('CERTIFICATE', der), sha256: null },
      authenticate: writePlist({
        ...{ MessageType: 'Authenticate', ...who, SerialNumber: state.serial, OSVersion: '17.4' },
        ...{ BuildVersion: '21E219', ProductName: 'iPhone15,2' },
      }).toString(),
      token_update: writePlist({
        ...{
          MessageType: 'TokenUpdate',
          ...who,
          PushMagic: state.pushMagic,
          Token: Buffer.from(state.pushToken, 'base64'),
        },
      }).toString(),
      ...{ unlock_token: null, bootstrap_token_b64: null },
    };
    return { phone, row };
  });
  const stage = renewals(plane);
  const take = (profile?: Buffer) =>
    importNano(
      plane.core,
      taken.map(({ row }) => row),
      {
        ...{
          keys: plane.keys,
          pen: newPen('edge').pen,
          issuers: [authority.certificate],
          by: 'operator',
          now: Date.now(),
        },
        ...(profile === undefined ? {} : { profile: readOldProfile(profile) }),
      },
    );
  const handleOf = async (phone: Phone) =>
    (await stage.rows<{ handle: string }>('select handle from fleet.device where udid = $1', [phone.state.udid]))[0]!
      .handle;
  /** Edge reads the list of authorities every few seconds. */
  const heard = async (phone: Phone) => {
    for (let tries = 0; ; tries += 1) {
      const offered = await phone.poll().catch(() => undefined);
      if (offered !== undefined) return offered;
      assert.ok(tries < 100, 'edge never heard of the new authority');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  return { ...stage, plane, phones: taken.map(({ phone }) => phone), enrolment, take, handleOf, heard };
}

test('with the profile that they have, devices of another authority renew onto ours, and again the year after; OpenSSL agrees', async (t) => {
  const { plane, phones, enrolment, take, handleOf, heard, left, round, renewal, good, rows } = await imported(t, 1);
  const dir = mkdtempSync(join(tmpdir(), 'btz-foreign-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const report = await take(oldProfile(enrolment));
  assert.deepEqual([report.imported, report.renewable], [1, 1]);
  const [phone] = phones as [Phone];
  const handle = await handleOf(phone);
  const before = held(phone);
  await left(50);
  await round();
  assert.equal(await heard(phone), 1);
  assert.deepEqual(await renewal(handle), { state: 'done', attempts: 1, reason: null });
  assert.notEqual(held(phone), before);
  assert.deepEqual(
    (await good(handle)).map((one) => [one.pinned, one.sha256.toString('hex')]),
    [[true, held(phone)]],
  );
  assert.equal(phone.state.enrolment!.profile, 'com.github.micromdm.nanomdm');
  assert.equal(phone.state.enrolment!.accessRights, 8159, 'the right to network information is dropped');
  for (const [name, der] of [
    ['ca.pem', plane.ca.certificate.der],
    ['phone.pem', Buffer.from(phone.state.identity!.certificate, 'base64')],
  ] as const)
    writeFileSync(join(dir, name), new X509Certificate(Buffer.from(der)).toString());
  const verify = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'phone.pem'];
  assert.match(execFileSync('openssl', verify, { cwd: dir, encoding: 'utf8' }), /OK/);
  await left(50);
  await round();
  await phone.poll();
  assert.equal((await renewal(handle))!.state, 'done');
  assert.equal(await phone.poll(), 0);
  const all = await rows<{ text: string }>('select row_to_json(f)::text as text from fleet.foreign_profile f');
  assert.ok(!JSON.stringify(all).includes('planted-old-challenge'), 'the old profile’s secret is not kept');
  assert.deepEqual(plane.problems, []);
});

test('the old host name and path: edge hands out a profile that leads where the device itself says it is talking to, and nowhere else', async (t) => {
  const way = (url: string) => ({
    ...{
      serverUrl: `${url.replace('127.0.0.1', 'localhost')}/mdm`,
      checkInUrl: `${url.replace('127.0.0.1', 'localhost')}/checkin`,
    },
    profile: 'com.github.micromdm.micromdm.enroll',
  });
  const { plane, phones, enrolment, take, handleOf, heard, left, round, renewal, clock, rows } = await imported(
    t,
    2,
    way,
  );
  await take(oldProfile(enrolment));
  const [good, bent] = phones as [Phone, Phone];
  await left(50);
  const [fine, wrong] = [await handleOf(good), await handleOf(bent)];
  await plane.asOwner(
    `update fleet.foreign_profile set server_url = 'https://elsewhere.example/mdm'
     where device_id = (select id from fleet.device where handle = $1)`,
    [wrong],
  );
  await round();
  assert.equal(await heard(good), 1);
  assert.equal((await renewal(fine))!.state, 'done');
  assert.equal(await bent.poll(), 0, 'a profile that leads elsewhere needs two people');
  const [refused] = await rows<{ state: string; request_type: string }>(
    `select c.state, c.request_type from fleet.command c join fleet.device d on d.id = c.device_id where d.handle = $1`,
    [wrong],
  );
  assert.deepEqual(refused, { state: 'refused', request_type: 'InstallProfile' });
  clock.now += 1_000;
  await round();
  assert.equal((await renewal(wrong))!.reason, 'CommandRefused');
});

test('without the profile the honest alarm stays; given later it is taken up at once; and a device that takes no such profile is tried on', async (t) => {
  const { phones, enrolment, take, handleOf, heard, left, round, renewal, events, clock } = await imported(t, 2);
  const report = await take();
  assert.deepEqual([report.imported, report.renewable], [2, 0]);
  const [one, two] = phones as [Phone, Phone];
  const handles = [await handleOf(one), await handleOf(two)] as const;
  await left(50);
  await round();
  assert.deepEqual(
    (await events('device.renewal_impossible')).map((event) => event['why']),
    ['imported', 'imported'],
  );
  for (const handle of handles) assert.equal((await renewal(handle))!.reason, 'imported');
  // The profile of another topic, or one that is none, helps nobody.
  assert.equal((await take(oldProfile({ ...enrolment, topic: 'com.apple.mgmt.External.other' }))).renewable, 0);
  assert.throws(() => readOldProfile(writePlist({ PayloadType: 'Configuration' })), { code: 'bad-request' });
  assert.equal((await take(oldProfile(enrolment))).renewable, 2, 'run again, it is noted for those that are here');
  assert.equal((await take(oldProfile(enrolment))).renewable, 0);
  // The second phone was given another profile than the administrator believes.
  two.state.enrolment = { ...two.state.enrolment!, profile: 'another.identifier' };
  clock.now = Date.now() + 1_000;
  await round();
  assert.equal(await heard(one), 1);
  assert.equal((await renewal(handles[0]))!.state, 'done');
  await two.poll();
  await round();
  assert.deepEqual([(await renewal(handles[1]))!.state, (await renewal(handles[1]))!.reason], ['due', 'DeviceError']);
  for (let day = 0; day < 40; day += 1) {
    clock.now += DAY;
    await round();
  }
  const days = (await events('device.certificate_expiring')).map((event) => event['days']);
  assert.ok(
    [30, 14].every((one) => days.includes(one)),
    days.join(),
  );
});

test('whoever removes the profile that such a device has unenrols it: it is counted as that, and retiring does it', async (t) => {
  const { plane, phones, enrolment, take, handleOf, heard } = await imported(t, 2);
  await take(oldProfile(enrolment));
  const [phone] = phones as [Phone];
  const handle = await handleOf(phone);
  const unenrolled = (identifier: string) =>
    tx(plane.console, (c) => unenrols(c, 'RemoveProfile', { identifier }, [handle]));
  assert.equal(await unenrolled('Com.GitHub.micromdm.nanomdm'), true);
  assert.equal(await unenrolled('com.example.wifi'), false, 'its name is known, so others are no danger');
  const [own] = await plane.offer(1);
  const retire = (devices: string[]) =>
    tx(plane.console, (c) =>
      requestRetirement(c, {
        ...{ devices, way: 'unenrol', requester: 'amber-otter-4821', purpose: 'it was broken', now: Date.now() },
      }),
    );
  await assert.rejects(retire([handle, own!.device]), { code: 'bad-request' });
  await retire([handle]);
  await plane.dispatch();
  assert.equal(await heard(phone), 1);
  assert.equal(phone.enrolled, false, 'the profile that it has is gone');
});

test('a device that was imported by the hash of its certificate alone is renewed at once: its end is unknown', async (t) => {
  const { phones, enrolment, take, handleOf, heard, round, renewal, plane } = await imported(t, 1);
  await take(oldProfile(enrolment));
  const handle = await handleOf(phones[0]!);
  await plane.asOwner('update fleet.device set certificate_not_after = null', []);
  await round();
  assert.equal(await heard(phones[0]!), 1);
  assert.equal((await renewal(handle))!.state, 'done');
});
