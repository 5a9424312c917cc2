import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { getDevice, importNano, listDevices } from '#fleet';
import { newPen } from '#seal';
import { Hunter, inventPeople, newPhone, openLine, ownersDeviceName, Phone } from '#sim';
import { testDatabase } from '#store';
import { issueCertificate, makeCa, toPem } from '#wire';
import { startNanomdm } from '../../bench/nanomdm.ts';
import { findGo } from '../../src/run/foreign.ts';
import { importLines, readNano } from '../../src/run/import-fleet.ts';
import { devicePlane } from './phone-stack.ts';

const TOPIC = 'com.apple.mgmt.External.example';
const spki = (key: Parameters<typeof createPublicKey>[0]) =>
  createPublicKey(key).export({ format: 'der', type: 'spki' });

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  return port;
}

/** The authority of an organisation's old SCEP server. */
function foreignAuthority() {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return { key, certificate: makeCa(key, { commonName: 'Old SCEP authority', days: 3650, now: Date.now() }) };
}

test('phones of a true NanoMDM are taken over and go on with the certificates they have', {
  skip: findGo() === undefined ? 'there is no Go to build NanoMDM with' : false,
}, async (t) => {
  const plane = await devicePlane();
  const theirs = await testDatabase();
  const dir = mkdtempSync(join(tmpdir(), 'btz-nano-'));
  const line = openLine();
  const ca = foreignAuthority();
  const port = await freePort();
  const nano = await startNanomdm({ admin: theirs.admin, dir, caPem: toPem('CERTIFICATE', ca.certificate.der), port });
  t.after(async () => {
    line.close();
    nano.stop();
    await theirs.close();
    await plane.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const people = inventPeople(4);
  const url = `http://127.0.0.1:${port}/mdm`;
  const enrolment = {
    ...{ serverUrl: url, checkInUrl: url, topic: TOPIC, signMessage: true, accessRights: 8191 },
    ...{ checkOutWhenRemoved: true, profile: 'com.github.micromdm.nanomdm' },
  };
  const issue = (name: string, by = ca) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const issued = issueCertificate(by, {
      spki: spki(privateKey),
      commonName: name,
      days: 300,
      usage: 'device',
      now: Date.now(),
    });
    const key = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
    return { key, certificate: Buffer.from(issued.der).toString('base64') };
  };
  const phones = people.map(
    (owner) =>
      new Phone(newPhone({ deviceName: ownersDeviceName(owner), phoneNumber: owner.mobile }), { send: line.send }),
  );
  for (const phone of phones) await phone.present(issue(phone.state.udid), enrolment);
  for (const phone of phones) assert.equal(await phone.poll(), 0, 'it works with NanoMDM');
  await phones[3]!.removeManagement();

  const { host, user, password, port: pgPort } = theirs.admin;
  const address = `postgres://${user}:${encodeURIComponent(password)}@/nanomdm?host=${encodeURIComponent(host)}&port=${pgPort}`;
  const rows = await readNano(address);
  assert.equal(rows.length, 4);
  const file = join(dir, 'export.jsonl');
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  assert.deepEqual(await readNano(file), rows, 'a file of rows is the same as the database');

  const moved = phones.slice(0, 3).map((phone) => {
    const ours = { ...phone.state.enrolment!, serverUrl: `${plane.url}/mdm`, checkInUrl: `${plane.url}/checkin` };
    return new Phone({ ...phone.state, enrolment: ours }, phone.options);
  });
  await assert.rejects(moved[0]!.poll(), { status: 400 }, 'before the import its certificate is nobody’s');

  const options = {
    keys: plane.keys,
    pen: newPen('edge').pen,
    issuers: [ca.certificate],
    by: 'operator',
    now: Date.now(),
  };
  const other = await importNano(plane.core, rows, { ...options, issuers: [foreignAuthority().certificate] });
  assert.deepEqual([other.imported, other.leftOut['issuer-unknown']?.length], [0, 3]);
  const report = await importNano(plane.core, rows, options);
  assert.equal(report.imported, 3);
  assert.deepEqual(report.leftOut, { 'not-enabled': [phones[3]!.state.udid] });
  assert.deepEqual(report.topics, { [TOPIC]: 3 });
  assert.match(
    importLines({ ...report, ours: 'com.apple.mgmt.External.other' }).join('\n'),
    /install its push certificate/,
  );
  const twice = await importNano(plane.core, rows, options);
  assert.deepEqual([twice.imported, twice.leftOut['known-already']?.length], [0, 3], 'run again, nothing is doubled');

  const { devices } = await listDevices(plane.console, { limit: 10 });
  const handleOf = (phone: Phone) => devices.find((one) => one.serial === phone.state.serial)!.handle;
  // Edge reads the list of authorities every few seconds.
  for (let tries = 0; ; tries += 1) {
    const answered = await moved[0]!.poll().then(
      () => true,
      () => false,
    );
    if (answered) break;
    assert.ok(tries < 100, 'edge never heard of the new authority');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (const phone of moved) {
    await plane.order('DeviceInformation', [handleOf(phone)]);
    assert.equal(await phone.poll(), 1);
    const seen = await getDevice(plane.console, handleOf(phone));
    assert.equal(seen.device.state, 'enrolled');
    assert.deepEqual(
      seen.commands.map(({ state }) => state),
      ['acknowledged'],
    );
  }
  await moved[1]!.updateToken();

  const pins = await plane.owner('select from fleet.certificate where revoked_at is null and not_after > now()', []);
  assert.equal(pins.length, 3, 'the register knows when each ends');

  // One certificate speaks for one device, whoever issued it; and a new one of the old authority speaks for none.
  const thief = new Phone({ ...moved[0]!.state, udid: moved[1]!.state.udid }, moved[0]!.options);
  await assert.rejects(thief.poll(), { status: 400 });
  const stranger = new Phone({ ...moved[0]!.state, identity: issue('stranger') }, moved[0]!.options);
  await assert.rejects(stranger.poll(), { status: 400 });

  const sealed = await plane.owner<{ subject: string; field: string }>(
    'select subject, field from people.arriving where subject = $1 order by field',
    [handleOf(moved[2]!)],
  );
  assert.deepEqual(new Set(sealed.map(({ field }) => field)), new Set(['device-name', 'unlock-token']));
  const planted = [...phones.map(({ state }) => state.deviceName), ...phones.map(({ state }) => state.unlockToken)];
  const kept = await plane.owner<{ text: string }>(
    `select row_to_json(d)::text as text from fleet.device d union all select row_to_json(e)::text from log.event e
     union all select encode(outer_layer, 'base64') from people.arriving`,
    [],
  );
  assert.ok(kept.length > 10);
  assert.deepEqual(new Hunter(planted).search(Buffer.from(kept.map(({ text }) => text).join('\n'))), []);
});
