import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  cancelAll,
  cancelIntent,
  expireIntents,
  holdIntent,
  holdLane,
  listIntents,
  READING,
  recoverDevice,
  releaseIntent,
} from '#fleet';
import { newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const ME = 'amber-otter-4821';
const OTHER = 'brisk-heron-1234';
let plane: DevicePlane;
let line: ReturnType<typeof openLine>;
const phones: Phone[] = [];
const devices: string[] = [];

before(async () => {
  plane = await devicePlane();
  line = openLine();
  for (const { device, link } of await plane.offer(3)) {
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send });
    await phone.enrol(link);
    phones.push(phone);
    devices.push(device);
  }
});
after(async () => {
  line.close();
  await plane.close();
});

const profile = (identifier: string, note: string) => `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000001</string>
<key>PayloadDisplayName</key><string>${note}</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}.a</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000002</string>
</dict></array></dict></plist>`;

/** States of a device's commands, oldest first, as `verb state`. */
const queueOf = async (device: string, verbs: readonly string[]) =>
  (
    await plane.core.query<{ line: string }>(
      `select c.request_type || ' ' || c.state as line from fleet.command c join fleet.device d on d.id = c.device_id
       left join fleet.intent i on i.id = coalesce(c.intent_id, c.fan_out_id)
       where d.handle = $1 and c.request_type = any($2) order by i.created_at, i.id`,
      [device, verbs],
    )
  ).rows.map(({ line: text }) => text);
const did = (phone: Phone, verb: string) =>
  Object.values(phone.state.executed).filter(({ requestType }) => requestType === verb).length;
/** Waits as long as a test may, by moving what was stated into the past. */
const age = (intent: string, interval: string) =>
  plane.core.query(
    `update fleet.intent set created_at = created_at - $2::interval, not_after = not_after - $2::interval where id = $1`,
    [intent, interval],
  );

test('a newer profile takes the place of one that was not fetched; one that was fetched stays', async () => {
  const [device, phone] = [devices[0]!, phones[0]!];
  await plane.order('InstallProfile', [device], { profile: profile('org.example.a', 'one') });
  await phone.poll();
  await plane.order('InstallProfile', [device], { profile: profile('org.example.a', 'two') });
  await plane.order('InstallProfile', [device], { profile: profile('org.example.b', 'other') });
  await plane.order('InstallProfile', [device], { profile: profile('org.example.a', 'three') });
  assert.deepEqual(await queueOf(device, ['InstallProfile']), [
    'InstallProfile acknowledged',
    'InstallProfile superseded',
    'InstallProfile queued',
    'InstallProfile queued',
  ]);
  const { rows } = await plane.core.query<{ ok: boolean }>(
    `select n.key = o.key and n.queued_at > o.queued_at as ok from fleet.command o join fleet.command n on n.uuid = o.superseded_by`,
  );
  assert.deepEqual(rows, [{ ok: true }], 'and says by what');
  await phone.poll();
  assert.deepEqual(
    phone.state.profiles.filter(({ identifier }) => identifier === 'org.example.a').map(({ name }) => name),
    ['three'],
  );
  assert.equal(did(phone, 'InstallProfile'), 3);
});

test('asked twice while it waits is asked once, for one device and for many', async () => {
  const [device, phone] = [devices[1]!, phones[1]!];
  for (let times = 0; times < 3; times += 1) await plane.order('SecurityInfo', [device]);
  await plane.order('SecurityInfo', 'all');
  assert.deepEqual(await queueOf(device, ['SecurityInfo']), [
    ...['SecurityInfo superseded', 'SecurityInfo superseded', 'SecurityInfo superseded', 'SecurityInfo queued'],
  ]);
  await phone.poll();
  assert.equal(did(phone, 'SecurityInfo'), 1);
  for (const other of phones) await other.poll();
});

test('a wish that waited does not undo a newer one about the same thing', async () => {
  const [device, phone] = [devices[1]!, phones[1]!];
  const old = await plane.state({
    verb: 'RemoveProfile',
    devices: [device],
    params: { identifier: 'org.example.late' },
  });
  await tx(plane.console, (t) => holdIntent(t, { intent: old.id, by: ME, why: 'not before Monday' }));
  await age(old.id, '1 minute');
  await plane.order('InstallProfile', [device], { profile: profile('org.example.late', 'new') });
  await phone.poll();
  await tx(plane.console, (t) => releaseIntent(t, { intent: old.id, by: ME }));
  await plane.dispatch();
  await phone.poll();
  assert.deepEqual(await queueOf(device, ['RemoveProfile']), ['RemoveProfile superseded']);
  assert.ok(phone.state.profiles.some(({ identifier }) => identifier === 'org.example.late'));
});

test('what is held reaches no phone; released it does, in its old place', async () => {
  const [device, phone] = [devices[1]!, phones[1]!];
  const before = did(phone, 'ProfileList');
  const held = await plane.state({ verb: 'ProfileList', devices: [device] });
  await plane.dispatch();
  assert.equal(
    await tx(plane.console, (t) => holdIntent(t, { intent: held.id, by: OTHER, why: 'looks odd to me' })),
    1,
  );
  await phone.poll();
  assert.equal(did(phone, 'ProfileList'), before);
  const shown = (await listIntents(plane.console, { limit: 1 }))[0]!;
  assert.deepEqual([shown.heldBy, shown.heldWhy, shown.commands], [OTHER, 'looks odd to me', { held: 1 }]);
  await tx(plane.console, (t) => releaseIntent(t, { intent: held.id, by: ME }));
  await phone.poll();
  assert.equal(did(phone, 'ProfileList'), before + 1);
  await assert.rejects(
    tx(plane.console, (t) => releaseIntent(t, { intent: held.id, by: ME })),
    { code: 'unknown-intent' },
  );
});

test('a delivery that the database forgot, and that was held meanwhile, is done by the device’s answer and not sent again', async () => {
  const [device, phone] = [devices[1]!, phones[1]!];
  const before = did(phone, 'CertificateList');
  const intent = await plane.state({ verb: 'CertificateList', devices: [device] });
  await plane.dispatch();
  const row = async () =>
    (
      await plane.owner<{ state: string; held_by: string | null; delivered: boolean }>(
        'select state, held_by, delivered_at is not null as delivered from fleet.command where intent_id = $1',
        [intent.id],
      )
    )[0]!;
  phone.behaviour.slowMs = 400;
  const talk = phone.poll();
  while (!(await row()).delivered) await new Promise((resolve) => setTimeout(resolve, 10));
  // As after the death of PostgreSQL in the moment of the delivery.
  await plane.owner(
    `update fleet.command set state = 'queued', delivered_at = null, deliveries = 0 where intent_id = $1 returning 1`,
    [intent.id],
  );
  await tx(plane.console, (t) => holdIntent(t, { intent: intent.id, by: OTHER, why: 'looks odd to me' }));
  await talk;
  phone.behaviour.slowMs = 0;
  assert.deepEqual(await row(), { state: 'acknowledged', held_by: null, delivered: false });
  await tx(plane.console, (t) => releaseIntent(t, { intent: intent.id, by: ME }));
  await phone.poll();
  assert.equal(did(phone, 'CertificateList'), before + 1, 'once');
});

test('while the lane is locked only reading goes out; afterwards the rest follows', async () => {
  const [device, phone] = [devices[1]!, phones[1]!];
  await plane.order('InstallProfile', [device], { profile: profile('org.example.lane', 'x') });
  await plane.order('SecurityInfo', [device]);
  assert.equal(await holdLane(plane.core, { open: false, reading: READING }), 1);
  const [profiles, reads] = [did(phone, 'InstallProfile'), did(phone, 'SecurityInfo')];
  await phone.poll();
  assert.deepEqual([did(phone, 'InstallProfile'), did(phone, 'SecurityInfo')], [profiles, reads + 1]);
  assert.equal(await holdLane(plane.core, { open: true, reading: READING }), 1);
  await phone.poll();
  assert.equal(did(phone, 'InstallProfile'), profiles + 1);
});

test('one person’s changes beyond the budget wait for another person, whatever the row claims', async () => {
  const options = { changePerHour: 2 };
  const text = profile('org.example.mass', 'x');
  const thief = 'stolen-token-1';
  const ask = (verb: 'InstallProfile' | 'SecurityInfo', names: readonly string[]) =>
    plane.state({ verb, devices: names, requester: thief, params: verb === 'InstallProfile' ? { profile: text } : {} });
  await ask('InstallProfile', devices.slice(0, 2));
  const third = await ask('InstallProfile', devices.slice(2));
  assert.equal(third.state, 'ready', 'the console of this test does not count; core does');
  await ask('SecurityInfo', devices);
  while ((await plane.dispatch(options)) > 0);
  const held = (await listIntents(plane.console, { requester: thief, limit: 9 })).filter((one) => one.state === 'held');
  assert.deepEqual(
    held.map(({ id, heldBy }) => [id, heldBy]),
    [[third.id, 'brake']],
  );
  await assert.rejects(
    tx(plane.console, (t) => releaseIntent(t, { intent: third.id, by: thief })),
    { code: 'two-people' },
  );
  await tx(plane.console, (t) => releaseIntent(t, { intent: third.id, by: OTHER }));
  await plane.dispatch(options);
  assert.equal(
    (await listIntents(plane.console, { requester: thief, limit: 9 })).find(({ id }) => id === third.id)!.state,
    'dispatched',
  );
  // and the whole of it is taken back in one step
  const gone = await tx(plane.console, (t) => cancelAll(t, { requester: thief, by: OTHER }));
  assert.deepEqual(gone, { intents: 3, commands: 6 });
  const before = phones.map((phone) => did(phone, 'InstallProfile'));
  for (const phone of phones) await phone.poll();
  assert.deepEqual(
    phones.map((phone) => did(phone, 'InstallProfile')),
    before,
  );
});

test('what contains a loss goes before everything that waits', async () => {
  const [device, phone] = [devices[2]!, phones[2]!];
  await plane.order('InstallProfile', [device], { profile: profile('org.example.c', 'x') });
  await plane.order('ProfileList', [device]);
  await plane.order('DeviceLock', [device]);
  await phone.poll();
  assert.deepEqual(
    Object.values(phone.state.executed)
      .slice(-3)
      .map(({ requestType }) => requestType),
    ['DeviceLock', 'InstallProfile', 'ProfileList'],
  );
});

test('D4: locked, then erased while offline, then found again: nothing stale is delivered', async () => {
  const [device, phone] = [devices[2]!, phones[2]!];
  const locks = phone.state.lockedTimes;
  await plane.order('DeviceLock', [device]);
  const erase = await plane.state({ verb: 'EraseDevice', devices: [device] });
  assert.equal(erase.state, 'awaiting-approval');
  // As the ledger's permit would: the row is there, unfetched.
  await plane.core.query(
    `insert into fleet.command (uuid, device_id, intent_id, request_type, body, signature)
     select $1, id, $2, 'EraseDevice', 'x', 'x' from fleet.device where handle = $3`,
    [erase.targets[0]!.uuid, erase.id, device],
  );
  const second = await plane.state({ verb: 'DeviceLock', devices: [device] });
  await age(second.id, '1 minute');
  assert.equal(await tx(plane.console, (t) => recoverDevice(t, { device, by: ME })), 2);
  await plane.dispatch();
  await phone.poll();
  assert.deepEqual(await queueOf(device, ['EraseDevice']), ['EraseDevice cancelled']);
  const taken = (await queueOf(device, ['DeviceLock'])).filter((one) => one === 'DeviceLock cancelled');
  assert.equal(taken.length, 2);
  assert.equal(phone.state.lockedTimes, locks);
  assert.ok(phone.enrolled);
  // a loss after that is another one
  await plane.order('DeviceLock', [device]);
  await phone.poll();
  assert.equal(phone.state.lockedTimes, locks + 1);
});

test('what nobody fetched in time, or whose permit ran out, is not sent any more', async () => {
  const [device, phone] = [devices[0]!, phones[0]!];
  const late = await plane.state({ verb: 'RemoveProfile', devices: [device], params: { identifier: 'org.example.b' } });
  await plane.dispatch();
  await age(late.id, '31 days');
  await plane.order('DeviceLock', [device]);
  await plane.core.query(
    `update fleet.command set permit = jsonb_build_object('notAfter', 1) where request_type = 'DeviceLock' and done_at is null`,
  );
  await expireIntents(plane.core);
  const locks = phone.state.lockedTimes;
  await phone.poll();
  assert.deepEqual(await queueOf(device, ['RemoveProfile', 'DeviceLock']), [
    'RemoveProfile expired',
    'DeviceLock expired',
  ]);
  assert.equal(phone.state.lockedTimes, locks);
  assert.equal(await tx(plane.console, (t) => cancelIntent(t, { intent: late.id, by: ME })), 0);
});

test('a phone that enrols anew does not get what was held for it', async () => {
  const [device, phone] = [devices[0]!, phones[0]!];
  const held = await plane.state({ verb: 'ProfileList', devices: [device] });
  await plane.dispatch();
  await tx(plane.console, (t) => holdIntent(t, { intent: held.id, by: ME, why: 'wait for a moment' }));
  await plane.core.query(`update fleet.device set state = 'authenticated' where handle = $1`, [device]);
  await plane.core.query(`update fleet.device set state = 'enrolled' where handle = $1`, [device]);
  await tx(plane.console, (t) => releaseIntent(t, { intent: held.id, by: ME }));
  const before = did(phone, 'ProfileList');
  await phone.poll();
  assert.equal(did(phone, 'ProfileList'), before);
});
