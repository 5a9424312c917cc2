import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fromBase64url, sha256, toBase64url, uuidv7 } from '#base';
import { getDevice } from '#fleet';
import { signDelivery } from '#seal';
import {
  Hunter,
  inventPeople,
  KeyPool,
  newExtras,
  newPhone,
  openLine,
  ownersDeviceName,
  Phone,
  plantedValues,
} from '#sim';
import { type PlistInput, writePlist } from '#wire';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const line = openLine({ sockets: 4 });
const keys = new KeyPool();
const people = inventPeople(3);
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
});
after(async () => {
  line.close();
  await plane.close();
});

async function enrolled(extras = newExtras()) {
  const [offer] = await plane.offer(1);
  const state = newPhone({ deviceName: ownersDeviceName(people[0]!), phoneNumber: people[0]!.mobile });
  state.extras = extras;
  const phone = new Phone(state, { send: line.send, keyPool: keys });
  await phone.enrol(offer!.link);
  return { phone, device: offer!.device };
}
/** What an owner of core can write: any command, signed with core's key, without a permit. */
async function forge(device: string, command: { RequestType: string; [key: string]: PlistInput }): Promise<string> {
  const uuid = uuidv7();
  const body = writePlist({ Command: command, CommandUUID: uuid });
  const delivery = { device, uuid, verb: command.RequestType, body: toBase64url(sha256(body)) };
  await plane.core.query(
    `insert into fleet.command (uuid, device_id, request_type, body, signature)
     select $1, id, $2, $3, $4 from fleet.device where handle = $5`,
    [uuid, command.RequestType, body, Buffer.from(fromBase64url(signDelivery(plane.signKey, delivery))), device],
  );
  return uuid;
}

type Order = readonly [Parameters<DevicePlane['order']>[0], Parameters<DevicePlane['order']>[2]?];
async function carryOut(phone: Phone, device: string, orders: readonly Order[]): Promise<string[]> {
  for (const [verb, params] of orders) {
    await plane.order(verb, [device], params);
    await phone.poll();
  }
  const { commands } = await getDevice(plane.core, device);
  return orders.map(([verb]) => `${verb} ${commands.find((one) => one.verb === verb)?.state}`);
}

const ORDERS: readonly Order[] = [
  ['InstallApplication', { args: { Identifier: 'org.example.mail', Configuration: { server: 'mail.example.org' } } }],
  ['InstalledApplicationList'],
  ['ManagedApplicationList'],
  ['ManagedApplicationConfiguration', { args: { Identifiers: ['org.example.mail'] } }],
  ['ValidateApplications'],
  ['CertificateList'],
  ['ProvisioningProfileList'],
  ['Settings', { args: { Settings: [{ Item: 'Bluetooth', Enabled: false }] } }],
  ['EnableLostMode', { args: { Message: 'This phone is lost.' } }],
  ['PlayLostModeSound'],
  ['DisableLostMode'],
  ['RemoveApplication', { args: { Identifier: 'org.example.mail' } }],
];

test('a supervised phone carries out the set, and nothing personal of its answers reaches the database', async () => {
  const { phone, device } = await enrolled();
  const states = await carryOut(phone, device, ORDERS);
  assert.deepEqual(
    states,
    ORDERS.map(([verb]) => `${verb} acknowledged`),
  );
  assert.equal(phone.state.extras?.lostMode, null);
  assert.deepEqual(phone.state.extras?.settings['Bluetooth'], { Enabled: false });
  assert.equal(phone.state.extras?.sounds, 1);
  const { inventory } = await getDevice(plane.core, device);
  const facts = Object.fromEntries(inventory.map((one) => [one.kind, one.facts]));
  assert.deepEqual(Object.keys(facts).sort(), [
    ...['CertificateList', 'InstalledApplicationList', 'ManagedApplicationConfiguration', 'ManagedApplicationList'],
    'ProvisioningProfileList',
  ]);
  assert.deepEqual(facts['InstalledApplicationList'], {
    apps: [{ Identifier: 'org.example.mail', Version: '1.0', BundleSize: 4096 }],
  });
  const dump = JSON.stringify([
    (await plane.core.query('select * from fleet.inventory')).rows,
    (await plane.core.query('select body from log.event')).rows,
    (await plane.core.query('select * from fleet.command')).rows,
  ]);
  const hunter = new Hunter([...plantedValues(people, [phone.state]), 'secret diary', 'com.example.diary']);
  assert.deepEqual(hunter.search(Buffer.from(dump)), []);
});

test('what a phone does not know ends as unsupported, what it may not as an error, and neither is tried again', async () => {
  const { phone, device } = await enrolled(newExtras({ supervised: false }));
  // What it reported of itself would have refused the first of these when it was stated.
  await plane.core.query('update fleet.device set product_name = null where handle = $1', [device]);
  const states = await carryOut(phone, device, [
    ['UserList'],
    ['LogOutUser'],
    ['EnableLostMode', { args: { Message: 'This phone is lost.' } }],
  ]);
  assert.deepEqual(states, ['UserList unsupported', 'LogOutUser unsupported', 'EnableLostMode error']);
  assert.equal(await phone.poll(), 0);
});

test('what locks goes first, whatever waited before it; NotNow keeps a command for the next Idle', async () => {
  const { phone, device } = await enrolled();
  await plane.order('SecurityInfo', [device]);
  await plane.order('DeviceLock', [device], { args: { Message: 'Please wait for the service desk.' } });
  phone.behaviour.notNow = 1;
  await phone.poll();
  const kinds = Object.values(phone.state.executed).map(({ requestType }) => requestType);
  assert.deepEqual(kinds, ['SecurityInfo'], 'the lock came first and was put off, the other went on');
  await phone.poll();
  assert.equal(phone.state.lockedTimes, 1);
  assert.equal(phone.state.lockMessage, 'Please wait for the service desk.');
});

test('a row that core’s own key signs still needs a permit for what locates, is raw or is a dangerous profile', async () => {
  const { phone, device } = await enrolled();
  for (const command of [
    { RequestType: 'DeviceLocation' },
    { RequestType: 'RequestRebootstrap' },
    { RequestType: 'Settings', Settings: [{ Item: 'DeviceName', DeviceName: 'x' }] },
    { RequestType: 'ClearPasscode', UnlockToken: Buffer.from('guessed') },
    {
      RequestType: 'InstallProfile',
      Payload: Buffer.from(
        '<plist><dict><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.vpn.managed</string></dict></array></dict></plist>',
      ),
    },
  ]) {
    const uuid = await forge(device, command);
    await phone.poll();
    const { rows } = await plane.core.query<{ state: string }>('select state from fleet.command where uuid = $1', [
      uuid,
    ]);
    assert.equal(rows[0]!.state, command.RequestType === 'ClearPasscode' ? 'queued' : 'refused', command.RequestType);
    assert.equal(phone.state.executed[uuid], undefined);
  }
  assert.ok(plane.problems.some((line) => line.includes('permit-missing')));
});
