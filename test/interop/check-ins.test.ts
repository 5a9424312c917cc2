import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PushClient, readPushCertificate, sendChannelPushes } from '#fleet';
import { Hunter, KeyPool, newPhone, openLine, Phone, PushService } from '#sim';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

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
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'Shared iPad', kind: 'iPad' }), { send: line.send, keyPool: keys });
  await phone.enrol(offer!.link);
  return { phone, device: offer!.device };
}
const events = async (device: string) =>
  (
    await plane.core.query<{ kind: string; body: { unmapped: Record<string, unknown> } }>(
      'select kind, body from log.event where device = $1 order by seq',
      [device],
    )
  ).rows;

test('a user’s channel has its own token and queue, and the user’s name is nowhere in the database', async () => {
  const { phone, device } = await enrolled();
  const users = ['annabel.kettleworth@example.org', 'benedict.kettleworth@example.org'];
  for (const user of users) await phone.updateUserToken({ shared: user });
  await phone.updateUserToken({ shared: users[0]! });
  const { rows } = await plane.core.query<{ id: string; kind: string; key: Buffer; token: number }>(
    'select c.id, c.kind, c.key, octet_length(c.push_token) as token from fleet.channel c join fleet.device d on d.id = c.device_id where d.handle = $1 order by c.id',
    [device],
  );
  assert.deepEqual(
    rows.map(({ kind, token }) => [kind, token]),
    [
      ['shared', 32],
      ['shared', 32],
    ],
  );

  // One command for the device, one for the first user: each channel is given its own and no other.
  const [uuid] = [...(await plane.order('ProfileList', [device])).values()];
  const [mine] = [...(await plane.order('SecurityInfo', [device])).values()];
  await plane.core.query('update fleet.command set channel_id = $2 where uuid = $1', [mine, rows[0]!.id]);
  assert.equal(await phone.pollUser({ shared: users[1]! }), 0);
  assert.equal(await phone.pollUser({ shared: users[0]! }), 1);
  assert.equal(await phone.poll(), 1);
  assert.deepEqual(Object.keys(phone.state.executed).sort(), [uuid!, mine!].sort());
  const { rows: kept } = await plane.core.query(
    'select i.kind from fleet.inventory i join fleet.device d on d.id = i.device_id where d.handle = $1',
    [device],
  );
  assert.deepEqual(kept, [{ kind: 'ProfileList' }], 'what a user’s channel says is not the device’s inventory');

  // The channel is woken by its own token, once for what waits.
  const apns = new PushService();
  const endpoint = { url: await apns.listen(), ca: apns.ca, timeoutMs: 2_000 };
  const client = new PushClient(
    endpoint,
    readPushCertificate(apns.issue('com.apple.mgmt.External.example'), Date.now()),
  );
  const tokens = await plane.core.query<{ id: string; push_token: Buffer; push_magic: string }>(
    'select id, push_token, push_magic from fleet.channel where push_token is not null order by id',
  );
  for (const { push_token: token } of tokens.rows) apns.knows(token);
  assert.equal(await sendChannelPushes(plane.core, client, Date.now), 0, 'nothing waits for a user');
  const [later] = [...(await plane.order('SecurityInfo', [device])).values()];
  await plane.core.query('update fleet.command set channel_id = $2 where uuid = $1', [later, rows[1]!.id]);
  assert.equal(await sendChannelPushes(plane.core, client, Date.now), 1);
  assert.equal(await sendChannelPushes(plane.core, client, Date.now), 0);
  assert.deepEqual(
    apns.pushed.map(({ magic }) => magic),
    [tokens.rows.find(({ id }) => id === rows[1]!.id)!.push_magic],
  );
  client.close();
  await apns.close();
  assert.equal(await phone.pollUser({ shared: users[1]! }), 1);

  await phone.checkOutUser({ shared: users[0]! });
  assert.equal((await events(device)).filter(({ kind }) => kind.startsWith('channel.')).length, 3);
  assert.equal(phone.enrolled && (await phone.poll()), 0, 'the device itself stays');
  const hunter = new Hunter(users);
  const dump = JSON.stringify([
    (await plane.core.query('select * from fleet.channel')).rows,
    (await plane.core.query('select * from fleet.command')).rows,
    (await plane.core.query('select body from log.event')).rows,
  ]);
  assert.deepEqual(hunter.search(Buffer.from(dump)), []);
});

test('what policy decides: users decline with 410, tokens are refused, a bootstrap token is sealed and not given back unasked', async () => {
  const { phone, device } = await enrolled();
  const say = (message: Record<string, string | Buffer>) => phone.checkInWith(message);
  assert.equal((await say({ MessageType: 'UserAuthenticate', UserID: 'anna' })).status, 410);
  assert.equal((await say({ MessageType: 'GetToken', TokenServiceType: 'com.apple.maid' })).status, 400);
  const token = Buffer.alloc(300, 5);
  assert.equal((await say({ MessageType: 'SetBootstrapToken', BootstrapToken: token })).status, 200);
  const sealed = async () =>
    (
      await plane.owner<{ n: number }>(
        `select octet_length(outer_layer) as n from people.arriving where subject = $1 and field = 'bootstrap-token'`,
        [device],
      )
    ).map(({ n }) => n);
  assert.deepEqual(await sealed(), [6305]);
  const got = await say({ MessageType: 'GetBootstrapToken' });
  assert.deepEqual([got.status, got.body.length], [200, 0]);
  assert.equal((await say({ MessageType: 'ReturnToService' })).status, 200);
  // The device withdraws it.
  assert.equal((await say({ MessageType: 'SetBootstrapToken' })).status, 200);
  assert.deepEqual(await sealed(), []);
  const asked = (await events(device))
    .filter(({ kind }) => kind === 'device.asked')
    .map(({ body }) => body.unmapped['answer']);
  assert.deepEqual(asked, ['declined', 'refused', 'sealed', 'nothing', 'noted', 'withdrawn']);
  assert.equal(phone.enrolled, true, 'nothing of that made the phone leave');
});

test('a new Authenticate ends the queue, the channels and the bootstrap token of the enrolment before', async () => {
  const { phone, device } = await enrolled();
  await phone.updateUserToken({ shared: 'anna' });
  await phone.checkInWith({ MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.alloc(64, 3) });
  const [uuid] = [...(await plane.order('SecurityInfo', [device])).values()];
  await phone.checkInWith({ MessageType: 'Authenticate', Topic: 't' });
  const state = await plane.core.query('select state from fleet.command where uuid = $1', [uuid]);
  assert.equal(state.rows[0]?.state, 'cancelled');
  const channels = await plane.core.query(
    'select c.state, c.push_token from fleet.channel c join fleet.device d on d.id = c.device_id where d.handle = $1 order by c.id',
    [device],
  );
  assert.deepEqual(channels.rows, [{ state: 'left', push_token: null }]);
  const left = await plane.owner(`select 1 from people.arriving where subject = $1 and field = 'bootstrap-token'`, [
    device,
  ]);
  assert.equal(left.length, 0);
});
