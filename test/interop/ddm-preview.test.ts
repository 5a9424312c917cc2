import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import {
  askDeclare,
  judgeDeclaration,
  previewDeclaration,
  previewSet,
  proposeDeclaration,
  saveSet,
  takePermit,
} from '#fleet';
import { membersDigest, signDeclarePermit } from '#seal';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Dry runs are exact: what they count is held against how many phones have another list after the change was made.
const AUTHOR = 'amber-otter-4821';
const PASSCODE = 'com.apple.configuration.passcode.settings';
const line = openLine({ sockets: 4 });
const pool = new KeyPool();
let plane: DevicePlane;
const devices: string[] = [];
let group: string;
before(async () => {
  plane = await devicePlane();
  for (const { device, link } of await plane.offer(6)) {
    await new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: pool }).enrol(link);
    devices.push(device);
  }
  // one that never came: it is in no count
  const [offer] = await plane.offer(1);
  devices.push(offer!.device);
  group = uuidv7();
  await plane.asOwner(
    `insert into fleet.device_group (id, name, filter, created_by) values ($1, 'Some', '{"all":[]}', $2)`,
    [group, AUTHOR],
  );
  await plane.asOwner(
    'insert into fleet.group_member (group_id, device_id) select $1, id from fleet.device where handle = any($2)',
    [group, [devices[0], devices[1], devices[6]]],
  );
});
after(async () => {
  line.close();
  await plane.close();
});

type Payload = Parameters<typeof proposeDeclaration>[1]['payload'];
const propose = (identifier: string, type: string, payload: Payload) =>
  tx(plane.console, (t) =>
    proposeDeclaration(t, { identifier, type, payload, unchecked: false, author: AUTHOR, now: Date.now() }),
  );
const check = (identifier: string, type: string, payload: Payload) => {
  const { token, guarded, since } = judgeDeclaration({ identifier, type, payload }, false);
  return previewDeclaration(plane.console, { identifier, token, guarded, since });
};
/** What each device is given now: the token of its list. */
const tokens = async () =>
  new Map(
    (
      await plane.core.query<{ handle: string; token: string }>(
        `select d.handle, l.token from fleet.device d join fleet.declared_device x on x.device_id = d.id
         join fleet.declared_list l on l.id = x.list_id where d.state = 'enrolled'`,
      )
    ).rows.map(({ handle, token }) => [handle, token]),
  );
/** How many devices have another list after this. */
async function changed(act: () => Promise<unknown>): Promise<number> {
  await plane.declare();
  const earlier = await tokens();
  await act();
  await plane.declare();
  const later = await tokens();
  return devices.filter((device) => earlier.get(device) !== later.get(device)).length;
}
interface Wanted {
  readonly id: string | null;
  readonly name: string;
  readonly declarations: readonly string[];
  readonly devices?: readonly string[];
  readonly groups?: readonly string[];
  readonly everyone?: boolean;
  readonly predicate?: string | null;
}
/** Runs dry, then does it, and holds the one against the other. */
async function both(wanted: Wanted) {
  const whole = { everyone: false, groups: [], devices: [], predicate: null, ...wanted };
  const dry = await previewSet(plane.console, whole);
  let id = '';
  const real = await changed(async () => {
    id = (await tx(plane.console, (t) => saveSet(t, { ...whole, by: AUTHOR }))).id;
  });
  assert.equal(dry.devices, real, `${wanted.name}: counted ${dry.devices}, changed ${real}`);
  return { ...dry, id };
}
async function agree(set: string): Promise<void> {
  const document = await tx(plane.console, (t) =>
    askDeclare(t, { set, requester: AUTHOR, purpose: 'a test of counts', days: 30, now: Date.now() }),
  );
  const { id: approval, declarations, until, notAfter } = document;
  const named = membersDigest(document.devices as readonly string[]);
  const permit = signDeclarePermit(plane.ledgerKey, { approval, declarations, devices: named, until, notAfter });
  await tx(plane.core, (t) => takePermit(t, { document, permit }));
  await plane.declare();
}

test('a set: scope, contents, predicate, overlap with another set, all counted as they come out', async () => {
  const one = await propose('count.one', PASSCODE, { MinimumLength: 6 });
  const two = await propose('count.two', 'com.apple.configuration.siri.settings', { Enabled: false });
  await plane.declare();
  const first = await both({ id: null, name: 'First', declarations: [one.id], groups: [group] });
  assert.deepEqual([first.now, first.then, first.joining, first.leaving, first.devices], [0, 2, 2, 0, 2]);
  const set = { id: first.id, name: 'First' };
  assert.equal((await both({ ...set, declarations: [one.id], groups: [group] })).devices, 0, 'nothing is different');
  const more = await both({ ...set, declarations: [one.id], groups: [group], devices: [devices[1]!, devices[2]!] });
  assert.deepEqual([more.now, more.then, more.join, more.devices], [2, 3, [devices[2]], 1]);
  assert.equal((await both({ ...set, declarations: [one.id, two.id], devices: [devices[2]!] })).devices, 3);
  const predicate = "(@status(device.model.family) == 'iPad')";
  assert.equal((await both({ ...set, declarations: [one.id, two.id], devices: [devices[2]!], predicate })).devices, 1);
  // Another set with the same: its activation is another one, so they are given something else all the same.
  const again = await both({ id: null, name: 'Second', declarations: [two.id], everyone: true });
  assert.deepEqual([again.then, again.devices], [6, 6]);
  const empty = await both({ id: null, name: 'Empty', declarations: [], devices: [devices[0]!] });
  assert.deepEqual([empty.then, empty.devices], [1, 0], 'whoever has the standard set already gets nothing new by it');
  const gone = await both({ id: again.id, name: 'Second', declarations: [two.id] });
  assert.deepEqual([gone.leaving, gone.devices], [6, 6]);
});

test('a dangerous set changes nobody but by its harmless part, and says who waits', async () => {
  const plain = await propose('count.plain', PASSCODE, { MinimumLength: 7 });
  const root = await propose('count.root', 'com.apple.configuration.security.certificate', {
    CredentialAssetReference: 'count.asset',
  });
  await plane.declare();
  const only = await both({ id: null, name: 'Danger', declarations: [root.id], devices: [devices[3]!] });
  // The standard set comes with any set.
  assert.deepEqual([only.devices, only.waiting], [1, 1]);
  const set = { id: only.id, name: 'Danger' };
  await agree(only.id);
  const wider = await both({ ...set, declarations: [root.id, plain.id], devices: [devices[3]!, devices[4]!] });
  assert.deepEqual([wider.devices, wider.waiting], [2, 1]);
  assert.equal((await both({ ...set, declarations: [plain.id], devices: [devices[3]!, devices[4]!] })).devices, 1);
});

test('a declaration: how many would change at once, and after two people; none for the same content', async () => {
  const held = [devices[4]!, devices[5]!, devices[6]!];
  const { id } = await propose('count.app', 'com.apple.configuration.app.managed', { AppStoreID: '1' });
  assert.deepEqual(await check('count.app', 'com.apple.configuration.app.managed', { AppStoreID: '2' }), {
    ...{ devices: 0, afterApproval: 0, tooOld: 0, same: false },
  });
  await plane.declare();
  const { id: set } = await both({ id: null, name: 'App', declarations: [id], devices: held });
  const app = (payload: Payload) => check('count.app', 'com.apple.configuration.app.managed', payload);
  const real = (payload: Payload) =>
    changed(() => propose('count.app', 'com.apple.configuration.app.managed', payload));
  assert.deepEqual(await app({ AppStoreID: '1' }), { devices: 0, afterApproval: 0, tooOld: 0, same: true });
  assert.equal(await real({ AppStoreID: '1' }), 0);
  assert.equal((await app({ AppStoreID: '2' })).devices, 2);
  assert.equal(await real({ AppStoreID: '2' }), 2);
  // Dangerous: devices keep the harmless version until two people agree.
  const foreign = { ManifestURL: 'https://apps.example/manifest.plist' };
  assert.deepEqual(await app(foreign), { devices: 0, afterApproval: 2, tooOld: 0, same: false });
  const switched = await changed(() => propose('count.app', 'com.apple.configuration.app.managed', foreign));
  assert.equal(switched, 0, 'they keep what they have');
  const tokensOf = async (device: string) =>
    (
      await plane.core.query<{ token: string }>(
        `select i->>'token' as token from fleet.declared_device x join fleet.declared_list l on l.id = x.list_id
         join fleet.device d on d.id = x.device_id, jsonb_array_elements(l.items) i where d.handle = $1 and i->>'identifier' = 'count.app'`,
        [device],
      )
    ).rows.map(({ token }) => token);
  const token = (payload: Payload) =>
    judgeDeclaration({ identifier: 'count.app', type: 'com.apple.configuration.app.managed', payload }, false).token;
  assert.deepEqual(await tokensOf(held[0]!), [token({ AppStoreID: '2' })]);
  await agree(set);
  assert.deepEqual(await tokensOf(held[0]!), [token(foreign)]);
  assert.equal((await app({ AppStoreID: '2' })).devices, 2);
  await plane.core.query(`update fleet.device set os_version = '16.1' where handle = $1`, [held[0]]);
  assert.equal((await app({ AppStoreID: '3' })).tooOld, 1);
});
