import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getDevice, listDevices } from '#fleet';
import {
  Hunter,
  inventPeople,
  KeyPool,
  newPhone,
  openLine,
  ownersDeviceName,
  Phone,
  PhoneFleet,
  type PhoneOptions,
} from '#sim';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const line = openLine({ sockets: 4 });
const keys = new KeyPool();
const people = inventPeople(8);
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
});
after(async () => {
  line.close();
  await plane.close();
});

async function enrolled(options: Partial<PhoneOptions> = {}): Promise<{ phone: Phone; device: string; link: string }> {
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: ownersDeviceName(people[0]!), phoneNumber: people[0]!.mobile }), {
    send: line.send,
    keyPool: keys,
    ...options,
  });
  await phone.enrol(offer!.link);
  return { phone, ...offer! };
}

const profile = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.passcode</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D11</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.passcode.1</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D12</string><key>forcePIN</key><true/></dict></array></dict></plist>`;

for (const [name, options] of Object.entries({
  'as a modern phone': {},
  'as an old client: POST, SHA-1, attached signature, no content type': {
    method: 'POST',
    digest: 'sha1',
    attached: true,
    withoutType: true,
  },
} satisfies Record<string, Partial<PhoneOptions>>)) {
  test(`a phone enrols and carries out what the console ordered, ${name}`, async () => {
    const { phone, device } = await enrolled(options);
    const uuids = [
      await plane.order('DeviceInformation', [device]),
      await plane.order('InstallProfile', [device], { profile }),
      await plane.order('ProfileList', [device]),
    ].map((targets) => targets.get(device)!);
    assert.equal(await phone.poll(), 3);
    const seen = await getDevice(plane.console, device);
    assert.equal(seen.device.state, 'enrolled');
    assert.equal(seen.device.serial, phone.state.serial);
    assert.deepEqual(new Set(seen.commands.map((command) => command.state)), new Set(['acknowledged']));
    assert.deepEqual(
      seen.inventory.map((one) => one.kind),
      ['DeviceInformation', 'ProfileList'],
    );
    assert.ok(phone.state.profiles.some((one) => one.identifier === 'org.example.passcode'));
    for (const uuid of uuids) assert.equal(phone.state.executed[uuid]?.times, 1);
    assert.deepEqual(plane.problems, []);
  });
}

test('a link is spent by one phone', async () => {
  const { link } = await enrolled();
  const second = new Phone(newPhone({ deviceName: 'Second' }), { send: line.send, keyPool: keys });
  await assert.rejects(second.enrol(link), { name: 'PhoneError' });
});

test('a certificate speaks for its own phone only', async () => {
  const [mine, other] = [await enrolled(), await enrolled()];
  const order = (await plane.order('SecurityInfo', [other.device])).get(other.device)!;
  const thief = new Phone({ ...mine.phone.state, udid: other.phone.state.udid }, mine.phone.options);
  await assert.rejects(thief.poll(), { status: 400 });
  assert.equal(await other.phone.poll(), 1);
  assert.equal(other.phone.state.executed[order]?.times, 1);
});

test('NotNow waits for the next Idle, a lost answer is offered again, a repeated one does nothing twice', async () => {
  const { phone, device } = await enrolled();
  const state = async () => (await getDevice(plane.console, device)).commands.map((one) => one.state);
  await plane.order('SecurityInfo', [device]);
  phone.behaviour.notNow = 1;
  assert.equal(await phone.poll(), 1);
  assert.deepEqual(await state(), ['not_now']);
  phone.behaviour.loseResult = 1;
  await phone.poll();
  assert.deepEqual(await state(), ['delivered']);
  phone.behaviour.duplicate = 1;
  await phone.poll();
  assert.deepEqual(await state(), ['acknowledged']);
  const { rows } = await plane.core.query<{ n: number }>(
    `select count(*)::int as n from log.event where kind = 'command.result' and device = $1
     and body->'unmapped'->>'status' = 'Acknowledged'`,
    [device],
  );
  assert.equal(rows[0]!.n, 1);
});

test('errors, garbage and a wrong signature end in refusals, never in a second life of the command', async () => {
  const { phone, device } = await enrolled();
  phone.behaviour.error = { times: 1, code: 12021 };
  await plane.order('SecurityInfo', [device]);
  await phone.poll();
  phone.behaviour.commandFormatError = 1;
  await plane.order('ProfileList', [device]);
  await phone.poll();
  phone.behaviour.garbage = 1;
  await plane.order('DeviceInformation', [device]);
  await assert.rejects(phone.poll(), { status: 400 });
  phone.behaviour.wrongSignature = 1;
  await assert.rejects(phone.poll(), { status: 400 });
  assert.equal(await phone.poll(), 1);
  const states = (await getDevice(plane.console, device)).commands.map((one) => `${one.verb} ${one.state}`);
  assert.deepEqual(states.sort(), [
    'DeviceInformation acknowledged',
    'ProfileList format_error',
    'SecurityInfo unsupported',
  ]);
});

test('a phone whose holder removes management is checked out and gets nothing more', async () => {
  const { phone, device } = await enrolled();
  const copy = new Phone(structuredClone(phone.state), phone.options);
  await plane.order('SecurityInfo', [device]);
  await phone.removeManagement();
  assert.equal((await getDevice(plane.console, device)).device.state, 'checked_out');
  await assert.rejects(copy.poll(), { status: 400 });
});

test('twenty phones answer everything exactly once, and nothing personal of theirs stands in the database', async () => {
  const offers = await plane.offer(20);
  const phones = offers.map(
    (_, i) =>
      new Phone(newPhone({ deviceName: ownersDeviceName(people[i % 8]!), phoneNumber: people[i % 8]!.mobile }), {
        send: line.send,
        keyPool: new KeyPool(keys.saved(), { repeat: true }),
      }),
  );
  const errors: unknown[] = [];
  const fleet = new PhoneFleet(phones, { concurrency: 4, onError: (_, error) => errors.push(error) });
  assert.equal(await fleet.enrol(offers.map((offer) => offer.link)), 20);
  const uuids = await plane.order(
    'DeviceInformation',
    offers.map((offer) => offer.device),
  );
  await Promise.all([fleet.pollAll(), fleet.pollAll()]);
  const { executed, doubles } = fleet.numbers();
  assert.deepEqual(errors, []);
  assert.deepEqual(doubles, []);
  assert.deepEqual(new Set(executed.keys()), new Set(uuids.values()));
  assert.ok((await listDevices(plane.console, { limit: 100 })).total >= 20);
  const hunter = new Hunter([...new Set(phones.flatMap((phone) => [phone.state.deviceName, phone.state.phoneNumber]))]);
  const { rows } = await plane.core.query<{ row: string }>(
    `select row_to_json(e)::text as row from log.event e union all select row_to_json(d)::text from fleet.device d
     union all select row_to_json(i)::text from fleet.inventory i union all select row_to_json(c)::text from fleet.command c`,
  );
  assert.ok(rows.length > 100);
  assert.deepEqual(hunter.search(Buffer.from(rows.map((row) => row.row).join('\n'))), []);
});
