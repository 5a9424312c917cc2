import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// What an enrolled phone, one that left, and whoever holds a link can make the log grow by.
const line = openLine({ sockets: 4 });
const keys = new KeyPool();
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
});
after(async () => {
  line.close();
  await plane.close();
});

async function enrolled() {
  const [{ device, link } = assert.fail()] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: keys });
  await phone.enrol(link);
  return { device, phone };
}
const events = async (device: string | null, kind = '%') =>
  (
    await plane.core.query<{ n: number }>(
      'select count(*)::int as n from log.event where device is not distinct from $1 and kind like $2',
      [device, kind],
    )
  ).rows[0]!.n;
const leftOut = async (device: string) =>
  (
    await plane.owner<{ left_out: Record<string, number> }>(
      'select left_out from fleet.told t join fleet.device d on d.id = t.device_id where d.handle = $1',
      [device],
    )
  )[0]?.left_out ?? {};
const many = async (times: number, act: (n: number) => Promise<unknown>) => {
  for (let n = 0; n < times; n += 1) await act(n).catch(() => undefined);
};

test('a phone that does what phones do is told of whole', async () => {
  const { device, phone } = await enrolled();
  await plane.order('SecurityInfo', [device]);
  await plane.order('DeviceInformation', [device]);
  await phone.poll();
  for (let n = 0; n < 5; n += 1) {
    await phone.updateToken();
    await phone.poll();
  }
  await phone.checkInWith({ MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.from('abc') });
  assert.deepEqual(await leftOut(device), {});
  assert.equal(await events(device, 'device.noisy'), 0);
});

test('a phone that enrols for ever does so 20 times an hour, and the rest is one event and a number', async () => {
  const { device, phone } = await enrolled();
  const statuses: number[] = [];
  await many(100, async () => {
    statuses.push((await phone.checkInWith({ MessageType: 'Authenticate', Topic: 'x', SerialNumber: 'X' })).status);
    await phone.updateToken();
  });
  assert.equal(statuses.filter((status) => status === 200).length, 19);
  assert.ok(!statuses.includes(401), 'a phone that reads 401 leaves');
  assert.equal(await events(device, 'device.authenticated'), 20);
  assert.equal(await events(device, 'device.noisy'), 1);
  assert.ok((await events(device)) < 120, `${await events(device)} events`);
  assert.deepEqual(await leftOut(device), { 'device.authenticated': 81 });
  await plane.asOwner(`update fleet.told set since = now() - interval '61 minutes'`, []);
  await plane.core.query('select fleet.tell_rest()');
  const { rows } = await plane.core.query(
    `select body->'unmapped'->'left_out' as n from log.event where kind = 'device.events_left_out' and device = $1`,
    [device],
  );
  assert.deepEqual(rows, [{ n: { 'device.authenticated': 81 } }]);
  assert.deepEqual(await leftOut(device), {});
  await phone.checkInWith({ MessageType: 'Authenticate', Topic: 'x' });
  assert.equal(await events(device, 'device.authenticated'), 21, 'in the next hour it is heard again');
});

test('findings, questions, refusals, channels and sealed values are bounded as well', async () => {
  const { device, phone } = await enrolled();
  const [{ udid, certificate } = assert.fail()] = await plane.owner<{ udid: string; certificate: Buffer }>(
    'select udid, certificate_sha256 as certificate from fleet.device where handle = $1',
    [device],
  );
  const identify = (who: string) =>
    plane.owner('select * from edge.identify($1, $2, $3)', [certificate, who, ['unknown-key']]);
  await many(150, () => identify(udid));
  await many(150, () => identify('another'));
  await many(150, () => plane.owner('select edge.asked($1, $2, $3)', [device, 'x', 'y']));
  await many(80, async () => {
    await plane.owner('select * from edge.token_update($1, $2, $3, $4, $5, $6, $7, false, $8)', [
      ...[certificate, udid, Buffer.alloc(32, 1), 'user', 'x', Buffer.alloc(32), 'm', []],
    ]);
    await plane.owner('select * from edge.check_out($1, $2, $3)', [certificate, udid, Buffer.alloc(32, 1)]);
  });
  assert.ok((await events(device)) < 90, `${await events(device)} events`);
  const out = await leftOut(device);
  assert.ok(out['device.finding']! > 0 && out['device.refused']! > 0 && out['device.asked']! > 0, JSON.stringify(out));
  const arrivals = async () =>
    (
      await plane.owner<{ n: number }>('select count(*)::int as n from people.arriving where subject = $1', [device])
    )[0]!.n;
  await many(200, () => phone.checkInWith({ MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.from('abc') }));
  assert.equal(await arrivals(), 120);
});

test('a phone that left, and whoever opens a link again and again, are bounded too', async () => {
  const { phone } = await enrolled();
  const { identity, enrolment } = phone.state;
  await phone.removeManagement();
  Object.assign(phone.state, { identity, enrolment });
  await many(400, () => phone.poll());
  assert.equal(await events(null, 'device.refused'), 300);
  const [{ device, link } = assert.fail()] = await plane.offer(1);
  await many(100, () => line.send('GET', link));
  assert.equal(await events(device, 'device.profile_fetched'), 60);
  await plane.asOwner(`update fleet.told_strangers set since = now() - interval '61 minutes'`, []);
  await plane.core.query('select fleet.tell_rest()');
  assert.equal(await events(null, 'edge.events_left_out'), 1);
});
