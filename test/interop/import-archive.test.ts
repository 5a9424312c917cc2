import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { getDevice, importNano, listDevices } from '#fleet';
import { newPen } from '#seal';
import { inventPeople, newPhone, openLine, ownersDeviceName, Phone } from '#sim';
import { issueCertificate, makeCa, toPem, writePlist } from '#wire';
import { readNano } from '../../src/run/import-fleet.ts';
import { devicePlane } from './phone-stack.ts';

const TOPIC = 'com.apple.mgmt.External.example';
const authority = () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return { key, certificate: makeCa(key, { commonName: 'Old authority', days: 3650, now: Date.now() }) };
};

test('phones of an archive of check-ins, and of rows as MySQL writes them, are taken over and go on', async (t) => {
  const plane = await devicePlane();
  const dir = mkdtempSync(join(tmpdir(), 'btz-archive-'));
  const line = openLine();
  t.after(async () => {
    line.close();
    await plane.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const ca = authority();
  const enrolment = {
    ...{ serverUrl: `${plane.url}/mdm`, checkInUrl: `${plane.url}/checkin`, topic: TOPIC, signMessage: true },
    ...{ accessRights: 8191, checkOutWhenRemoved: true, profile: 'com.github.micromdm.micromdm' },
  };
  const devices = inventPeople(4).map((owner) => {
    const state = newPhone({ deviceName: ownersDeviceName(owner), phoneNumber: owner.mobile });
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { der } = issueCertificate(ca, {
      ...{
        spki: createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })).export({
          format: 'der',
          type: 'spki',
        }),
      },
      ...{ commonName: state.udid, days: 300, usage: 'device' as const, now: Date.now() },
    });
    const key = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
    const phone = new Phone(
      { ...state, enrolment, identity: { key, certificate: Buffer.from(der).toString('base64') } },
      { send: line.send },
    );
    const who = { UDID: state.udid, Topic: TOPIC };
    const authenticate = writePlist({
      ...{ MessageType: 'Authenticate', ...who, SerialNumber: state.serial, OSVersion: '17.4' },
      ...{ BuildVersion: '21E219', ProductName: 'iPhone15,2', DeviceName: state.deviceName },
    }).toString();
    const tokenUpdate = writePlist({
      ...{ MessageType: 'TokenUpdate', ...who, PushMagic: state.pushMagic },
      ...{ Token: Buffer.from(state.pushToken, 'base64'), UnlockToken: Buffer.from(state.unlockToken, 'base64') },
    }).toString();
    return { phone, state, certificate: toPem('CERTIFICATE', der), authenticate, tokenUpdate };
  });
  const archive = join(dir, 'archive');
  for (const [i, { state, certificate, authenticate, tokenUpdate }] of devices.slice(0, 3).entries()) {
    const folder = join(archive, state.udid);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'authenticate.plist'), authenticate);
    writeFileSync(join(folder, 'tokenupdate.plist'), i === 1 ? devices[0]!.tokenUpdate : tokenUpdate);
    if (i !== 2) writeFileSync(join(folder, 'certificate.pem'), certificate);
  }
  const [first, second, third, fourth] = devices as [(typeof devices)[0], ...(typeof devices)[0][]];
  const lines = fourth!.state.unlockToken.replace(/(.{76})/g, '$1\n');
  const row = {
    ...{ id: fourth!.state.udid, type: 'Device', enabled: 1, identity_cert: fourth!.certificate, sha256: null },
    ...{ authenticate: fourth!.authenticate, token_update: fourth!.tokenUpdate, unlock_token: lines },
    bootstrap_token_b64: null,
  };
  writeFileSync(join(dir, 'mysql.jsonl'), JSON.stringify(row));
  await assert.rejects(readNano(join(dir, 'nothing')), { code: 'usage' });

  const rows = [...(await readNano(archive)), ...(await readNano(join(dir, 'mysql.jsonl')))];
  const options = {
    keys: plane.keys,
    pen: newPen('edge').pen,
    issuers: [ca.certificate],
    by: 'operator',
    now: Date.now(),
  };
  const report = await importNano(plane.core, rows, options);
  assert.deepEqual(report.leftOut, {
    'two-devices-in-one': [second!.state.udid],
    'no-certificate': [third!.state.udid],
  });
  assert.equal(report.imported, 2);
  const { devices: known } = await listDevices(plane.console, { limit: 10 });
  for (const { phone, state } of [first, fourth!]) {
    const handle = known.find((one) => one.serial === state.serial)!.handle;
    const order = await plane.order('SecurityInfo', [handle]);
    assert.equal(order.size, 1);
    // Edge reads the list of authorities every few seconds.
    let done = 0;
    for (let tries = 0; done === 0 && tries < 100; tries += 1) {
      done = await phone.poll().catch(() => 0);
      if (done === 0) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(done, 1);
    assert.deepEqual(
      (await getDevice(plane.console, handle)).commands.map((one) => one.state),
      ['acknowledged'],
    );
  }
});
