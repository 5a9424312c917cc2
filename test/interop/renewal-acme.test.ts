import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deviceIdentity, publishCrl } from '#fleet';
import { AcmeClient, AttestationServer, acmeEnrol, ecRequest, type IdentityFault, readEnrolmentProfile } from '#sim';
import { isDict, parsePlist } from '#wire';
import { HOUR, held, renewing } from './renewal-stage.ts';

// Devices that came by ACME renew by ACME: a new key in hardware, attested anew where that is asked for.

/** The enrolment profile inside the renewal's command of a device, as it left core. */
async function profileOf(rows: Awaited<ReturnType<typeof renewing>>['rows'], handle: string) {
  const [row] = await rows<{ body: Buffer }>(
    `select c.body from fleet.command c join fleet.renewal r on r.command_uuid = c.uuid
     join fleet.device d on d.id = r.device_id where d.handle = $1`,
    [handle],
  );
  const root = parsePlist(row!.body);
  const command = isDict(root) ? root.get('Command') : undefined;
  const payload = isDict(command) ? command.get('Payload') : undefined;
  const { identity } = readEnrolmentProfile(Buffer.from(payload as Uint8Array));
  if (identity.kind !== 'acme') throw new Error('no ACME payload');
  return identity;
}

test('an attested phone renews by ACME: a new key, attested anew, and what stands behind it follows the pin; OpenSSL agrees', async (t) => {
  const apple = new AttestationServer();
  const { plane, clock, phones, left, round, renewal, good, rows } = await renewing(t, 1, {
    ...{ identity: 'acme-attested', apple },
  });
  const { handle, phone } = phones[0]!;
  const dir = mkdtempSync(join(tmpdir(), 'btz-renew-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const pem = (name: string, der: Uint8Array) =>
    writeFileSync(join(dir, name), new X509Certificate(Buffer.from(der)).toString());
  const openssl = (...args: string[]) => {
    try {
      return execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      return String((error as { stderr: string }).stderr);
    }
  };
  const before = { sha256: held(phone), der: Buffer.from(phone.state.identity!.certificate, 'base64') };
  const [first] = (await deviceIdentity(plane.console, handle)).attestations;
  // The phone has had an update since: the new attestation says so.
  Object.assign(phone.state, { osVersion: '18.2' });
  await left(89);
  assert.equal(await round(), 1);
  const identity = await profileOf(rows, handle);
  assert.equal(identity.attest, true);
  assert.equal((await deviceIdentity(plane.console, handle)).attestations.length, 1, 'nothing is claimed yet');
  assert.equal(await phone.poll(), 1);
  assert.deepEqual(await renewal(handle), { state: 'done', attempts: 1, reason: null });
  assert.notEqual(held(phone), before.sha256);
  assert.deepEqual(
    (await good(handle)).map((one) => [one.pinned, one.sha256.toString('hex')]),
    [[true, held(phone)]],
  );
  const { kind, attestations } = await deviceIdentity(plane.console, handle);
  assert.equal(kind, 'acme-attested');
  assert.deepEqual(
    attestations.map((one) => [one.current, one.facts['osVersion'], one.facts['sepOsVersion'], one.serial, one.udid]),
    [
      [true, '18.2', '18.2', phone.state.serial, phone.state.udid],
      [false, '18.1', '18.1', phone.state.serial, phone.state.udid],
    ],
  );
  assert.notEqual(attestations[0]!.id, first!.id);
  assert.equal(await phone.poll(), 0);
  // The issued certificate holds the attested key, and nothing else of it than OpenSSL can see.
  await publishCrl(plane.core, plane.ca, clock.now);
  const [crl] = await rows<{ der: Buffer }>('select der from fleet.crl');
  writeFileSync(join(dir, 'crl.der'), crl!.der);
  pem('ca.pem', plane.ca.certificate.der);
  pem('old.pem', before.der);
  pem('new.pem', Buffer.from(phone.state.identity!.certificate, 'base64'));
  openssl('crl', '-inform', 'DER', '-in', 'crl.der', '-out', 'crl.pem');
  const verify = (name: string) =>
    openssl(
      ...['verify', '-x509_strict', '-purpose', 'sslclient', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem'],
      name,
    );
  assert.match(verify('new.pem'), /OK/);
  assert.match(verify('old.pem'), /certificate revoked/);
  const [kept] = await rows<{ chain: Buffer[] }>(
    'select chain from fleet.attestation order by attested_at desc limit 1',
  );
  for (const [i, der] of kept!.chain.entries()) pem(`attested-${i}.pem`, der);
  const key = (name: string) => openssl('x509', '-in', name, '-noout', '-pubkey');
  assert.equal(key('new.pem'), key('attested-0.pem'));
  assert.match(openssl('x509', '-in', 'new.pem', '-noout', '-text'), /secp384r1/);
  assert.deepEqual(plane.problems, []);
});

test('without attestation: the one-time identifier is enough, and a fresh key is asked for', async (t) => {
  const { phones, left, round, renewal, rows } = await renewing(t, 1, { identity: 'acme' });
  const { handle, phone } = phones[0]!;
  const before = held(phone);
  await left(50);
  await round();
  assert.equal((await profileOf(rows, handle)).attest, false);
  await phone.poll();
  assert.equal((await renewal(handle))!.state, 'done');
  assert.notEqual(held(phone), before);
  assert.equal(await phone.poll(), 0);
});

test('an attestation that does not hold, or is of another device, renews nothing: the old certificate goes on, the next attempt succeeds', async (t) => {
  const faults: IdentityFault[] = ['wrong-nonce', 'wrong-root', 'expired-chain', 'software-key', 'other-key'];
  const others: IdentityFault[] = ['other-serial', 'other-udid', 'nameless'];
  const all = [...faults, ...others];
  const apple = new AttestationServer();
  const { clock, phones, left, round, renewal, good, events } = await renewing(t, all.length, {
    ...{ identity: 'acme-attested', apple },
  });
  const before = phones.map(({ phone }) => held(phone));
  for (const [i, { phone }] of phones.entries()) phone.behaviour.identity = { times: 1, fault: all[i]! };
  await left(50);
  await round();
  for (const { phone } of phones) await phone.poll();
  for (const [i, { handle, phone }] of phones.entries()) {
    assert.equal(held(phone), before[i], `${all[i]}`);
    assert.deepEqual(
      (await good(handle)).map((one) => one.sha256.toString('hex')),
      [before[i]],
    );
    assert.equal(await phone.poll(), 0, 'and it is managed on');
  }
  const why = (await events('device.attestation_refused')).map((one) => String(one['reason']));
  assert.equal(why.filter((one) => one.includes('another device')).length, 2, why.join('\n'));
  assert.equal(why.filter((one) => one.includes('which device it is')).length, 1);
  assert.equal((await events('device.attestation_mismatch')).length, 2);
  await round();
  for (const { handle } of phones)
    assert.deepEqual(await renewal(handle), { state: 'due', attempts: 1, reason: 'DeviceError' });
  clock.now += HOUR;
  await round();
  for (const { phone } of phones) await phone.poll();
  for (const [i, { handle, phone }] of phones.entries()) {
    assert.deepEqual(await renewal(handle), { state: 'done', attempts: 2, reason: null }, `${all[i]}`);
    assert.equal((await good(handle)).length, 1);
    assert.equal(await phone.poll(), 0);
  }
});

test('the identifier of an attempt serves one order and one certificate, of one account, for the device that it is of', async (t) => {
  const apple = new AttestationServer();
  const { plane, line, clock, phones, left, round, good, renewal, rows } = await renewing(t, 2, {
    ...{ identity: 'acme-attested', apple },
  });
  const [one, two] = phones as [(typeof phones)[0], (typeof phones)[0]];
  await left(50);
  await round();
  const identity = await profileOf(rows, one.handle);
  const hardware = (state: typeof one.phone.state) => ({
    ...{ serial: state.serial, udid: state.udid, osVersion: state.osVersion, attestationServer: apple },
  });
  // Another device has overheard it: its own attestation is of another device.
  await assert.rejects(acmeEnrol(line.send, identity, hardware(two.phone.state)), { type: 'badAttestationStatement' });
  // Now the order is spoilt, and the identifier with it: the device itself fails and tries again with a new one.
  await one.phone.poll();
  await round();
  assert.equal((await renewal(one.handle))!.reason, 'DeviceError');
  clock.now += HOUR;
  await round();
  const next = await profileOf(rows, one.handle);
  assert.notEqual(next.clientIdentifier, identity.clientIdentifier);
  await one.phone.poll();
  assert.equal((await renewal(one.handle))!.state, 'done');
  await assert.rejects(acmeEnrol(line.send, next, hardware(one.phone.state)), { type: 'rejectedIdentifier' });
  // Not by SCEP either, whoever learns the secret.
  const asked = await plane.owner<{ id: string | null }>('select edge.request_renewal($1, sha256($2), $3) as id', [
    ...['00000000-0000-7000-8000-000000000001', Buffer.from((await profileOf(rows, two.handle)).clientIdentifier)],
    ecRequest(new AcmeClient(line.send).key.privateKey, []),
  ]);
  assert.deepEqual(asked, [{ id: null }]);
  await two.phone.poll();
  assert.equal((await good(two.handle)).length, 1);
  assert.equal((await renewal(two.handle))!.state, 'done');
});

test('a policy that was raised since raises the renewal: a phone that came by SCEP renews with an attested key', async (t) => {
  const apple = new AttestationServer();
  const { plane, phones, left, round, renewal } = await renewing(t, 1, { apple });
  const { handle, phone } = phones[0]!;
  assert.equal((await deviceIdentity(plane.console, handle)).kind, 'scep');
  await plane.asOwner(`update fleet.identity_policy set identity = 'acme-attested'`, []);
  await left(50);
  await round();
  await phone.poll();
  assert.equal((await renewal(handle))!.state, 'done');
  const { kind, attestations } = await deviceIdentity(plane.console, handle);
  assert.deepEqual([kind, attestations.length, attestations[0]?.current], ['acme-attested', 1, true]);
  assert.equal(await phone.poll(), 0);
});
