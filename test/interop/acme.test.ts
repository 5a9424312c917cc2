import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { deviceIdentity, getDevice } from '#fleet';
import {
  AcmeRefused,
  AttestationServer,
  acmeEnrol,
  type IdentityFault,
  newPhone,
  openLine,
  Phone,
  readEnrolmentProfile,
} from '#sim';
import { toPem } from '#wire';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const apple = new AttestationServer();
const stranger = new AttestationServer();
const line = openLine();
let plane: DevicePlane;
let dir: string;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'btz-acme-'));
  plane = await devicePlane({}, { roots: [apple.rootPem] });
});
after(async () => {
  line.close();
  await plane?.close();
  rmSync(dir, { recursive: true, force: true });
});

const phoneOf = (attestationServer?: AttestationServer) =>
  new Phone(newPhone({ deviceName: 'iPhone' }), {
    send: line.send,
    ...(attestationServer === undefined ? {} : { attestationServer }),
  });

/** The profile behind a link, as the phone reads it, and what an enrolment with it and `fault` comes to. */
async function enrolWith(link: string, fault?: IdentityFault, phone = phoneOf()) {
  const { identity } = readEnrolmentProfile((await line.send('GET', link)).body);
  assert.equal(identity.kind, 'acme');
  if (identity.kind !== 'acme') throw new Error('no ACME payload');
  const { serial, udid, osVersion } = phone.state;
  const hardware = { serial, udid, osVersion, attestationServer: apple, stranger };
  return acmeEnrol(line.send, identity, hardware, fault);
}

const reasons = async (kind: string, device: string): Promise<string[]> => {
  const { rows } = await plane.core.query<{ reason: string }>(
    `select body->'unmapped'->>'reason' as reason from log.event where kind = $1 and device = $2 order by time`,
    [kind, device],
  );
  return rows.map(({ reason }) => reason);
};

test('a phone enrols with an attested key; what Apple vouched for is kept; OpenSSL takes the certificate', async () => {
  const [offer] = await plane.offer(1, 'acme-attested');
  const phone = phoneOf(apple);
  await phone.enrol(offer!.link);
  const { device } = await getDevice(plane.console, offer!.device);
  assert.equal(device.state, 'enrolled');
  const identity = await deviceIdentity(plane.console, offer!.device);
  assert.equal(identity.kind, 'acme-attested');
  const [attestation] = identity.attestations;
  assert.equal(attestation?.current, true);
  assert.equal(attestation?.serial, phone.state.serial);
  assert.equal(attestation?.udid, phone.state.udid);
  assert.deepEqual(attestation?.facts, { osVersion: '18.1', sepOsVersion: '18.1', llbVersion: '10151.40.42' });
  assert.equal(attestation?.rootName, 'Simulated Enterprise Attestation Root CA');

  await plane.order('DeviceInformation', [offer!.device]);
  assert.equal(await phone.poll(), 1, 'the device plane believes a P-384 key');

  const { rows } = await plane.core.query<{ ca: Buffer }>('select ca from fleet.registration');
  writeFileSync(join(dir, 'ca.pem'), toPem('CERTIFICATE', rows[0]!.ca));
  writeFileSync(join(dir, 'phone.pem'), toPem('CERTIFICATE', Buffer.from(phone.state.identity!.certificate, 'base64')));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8' });
  assert.match(openssl('verify', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'phone.pem'), /OK/);
  assert.match(openssl('x509', '-in', 'phone.pem', '-noout', '-text'), /secp384r1/);
  assert.deepEqual(plane.problems, []);
});

test('without attestation: the one-time identifier is enough where the policy says so, and nothing is claimed', async () => {
  const [offer] = await plane.offer(1, 'acme');
  await phoneOf().enrol(offer!.link);
  assert.equal((await getDevice(plane.console, offer!.device)).device.state, 'enrolled');
  assert.deepEqual(await deviceIdentity(plane.console, offer!.device), {
    ...{ kind: 'acme', attestations: [], again: null },
  });
});

test('every dishonest attestation is refused, said why, and leaves no certificate', async () => {
  const before = (await plane.counted())['attestation'] ?? 0;
  const [good] = await plane.offer(1, 'acme-attested');
  const { attestation } = await enrolWith(good!.link);
  const faults: [IdentityFault, string, RegExp][] = [
    ['wrong-nonce', 'badAttestationStatement', /does not answer this challenge/],
    ['wrong-root', 'badAttestationStatement', /does not lead to an attestation root/],
    ['expired-chain', 'badAttestationStatement', /does not lead to an attestation root/],
    ['software-key', 'badAttestationStatement', /asks for an attestation/],
    [{ replay: attestation! }, 'badAttestationStatement', /does not answer this challenge/],
    ['other-key', 'badCSR', /another key/],
  ];
  for (const [fault, type, why] of faults) {
    const [offer] = await plane.offer(1, 'acme-attested');
    await assert.rejects(enrolWith(offer!.link, fault), (error) => {
      assert.ok(error instanceof AcmeRefused, String(error));
      assert.equal(error.type, type);
      assert.match(error.message, why);
      return true;
    });
    const { rows } = await plane.core.query<{ state: string; used: boolean; requests: number }>(
      `select d.state, e.used_at is not null as used, (select count(*)::int from fleet.certificate_request r
         where r.enrolment_id = e.id) as requests from fleet.device d join fleet.enrolment e on e.device_id = d.id
       where d.handle = $1`,
      [offer!.device],
    );
    assert.deepEqual(rows, [{ state: 'offered', used: false, requests: 0 }], JSON.stringify(fault));
    if (type !== 'badCSR') assert.equal((await reasons('device.attestation_refused', offer!.device)).length, 1);
    // The link is not burnt: an honest phone can still enrol with it.
    await phoneOf(apple).enrol(offer!.link);
  }
  assert.equal(
    (await plane.counted())['attestation'] ?? 0,
    before,
    'core refused these, edge counts what it refuses itself',
  );
});

test('an attestation of another serial is refused where the enrolment names one', async () => {
  const [offer] = await plane.offer(1, 'acme-attested');
  const phone = phoneOf(apple);
  const expect = (serial: string) =>
    plane.console.query<{ ok: boolean }>('select fleet.expect_serial($1, $2) as ok', [offer!.device, serial]);
  assert.equal((await expect(phone.state.serial)).rows[0]?.ok, true);
  await assert.rejects(enrolWith(offer!.link, 'other-serial', phone), /another device than the one that is expected/);
  assert.equal((await expect('LATER')).rows[0]?.ok, false, 'not after the link was opened');
  await phone.enrol(offer!.link);
  assert.equal((await getDevice(plane.console, offer!.device)).device.state, 'enrolled');
});

test('a device that enrols as another one than its key was attested for is refused, and nobody gives way to it', async () => {
  const [victimOffer, liarOffer] = await plane.offer(2, 'acme-attested');
  const victim = phoneOf(apple);
  await victim.enrol(victimOffer!.link);
  for (const lie of [{ udid: victim.state.udid }, { serial: victim.state.serial }]) {
    const liar = phoneOf(apple);
    const { serial, udid } = liar.state;
    const got = new Phone(
      { ...liar.state, ...lie },
      {
        send: line.send,
        // Its hardware tells the truth, whatever the phone says of itself.
        attestationServer: {
          attest: (
            key: Parameters<AttestationServer['attest']>[0],
            claims: Parameters<AttestationServer['attest']>[1],
          ) => apple.attest(key, { ...claims, serial, udid }),
        } as AttestationServer,
      },
    );
    const [offer] = lie.udid === undefined ? [liarOffer] : await plane.offer(1, 'acme-attested');
    await assert.rejects(got.enrol(offer!.link), /Authenticate was refused/);
    assert.equal((await getDevice(plane.console, offer!.device)).device.state, 'certified');
    assert.equal((await reasons('device.attestation_mismatch', offer!.device)).length, 1);
  }
  assert.equal((await getDevice(plane.console, victimOffer!.device)).device.state, 'enrolled');
  assert.equal(await victim.poll(), 0);
  assert.ok((await plane.counted())['attestation']! >= 2);
});

test('an enrolment that must come by ACME gets nothing by SCEP', async () => {
  const [offer] = await plane.offer(1, 'acme');
  const { identity } = readEnrolmentProfile((await line.send('GET', offer!.link)).body);
  assert.ok(identity.kind === 'acme');
  const { scepEnrol } = await import('../../sim/scep.ts');
  const { generateKeyPairSync } = await import('node:crypto');
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  await assert.rejects(
    scepEnrol(line.send, {
      url: `${plane.url}/scep`,
      challenge: identity.clientIdentifier,
      subject: [[['CN', 'x']]],
      key,
    }),
    /the server refused: 2/,
  );
  assert.deepEqual(await reasons('device.refused', offer!.device), ['identity-kind']);
});

test('the installation’s policy is the least: an offer may ask for more, never for less; without a root nothing is attested', async () => {
  const strict = await devicePlane({}, { roots: [apple.rootPem], policy: 'acme-attested' });
  try {
    const [offer] = await strict.offer(1, 'scep');
    await assert.rejects(phoneOf().enrol(offer!.link), /asks for an attestation/);
    const phone = phoneOf(apple);
    await phone.enrol(offer!.link);
    assert.equal((await deviceIdentity(strict.console, offer!.device)).kind, 'acme-attested');
  } finally {
    await strict.close();
  }
  await assert.rejects(devicePlane({}, { policy: 'acme-attested' }), /need an attestation root/);
});
