import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  advanceRollouts,
  assignApp,
  Licences,
  listApps,
  listRollouts,
  listVersions,
  saveApp,
  sendApps,
  startRollout,
  unassignApp,
} from '#fleet';
import { KeyPool, newPhone, openLine, Phone, VppService } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Store apps with licences for devices from a local licence service, installed on simulated phones and taken off again.
const ME = 'amber-otter-4821';
const ADAM = 361309726;
const line = openLine({ sockets: 4 });
const vpp = new VppService();
const state = mkdtempSync(join(tmpdir(), 'btz-apps-'));
const phones = new Map<string, Phone>();
let plane: DevicePlane;
let licences: Licences;
let group = '';
let assignment = '';

before(async () => {
  plane = await devicePlane();
  const keys = new KeyPool();
  for (const { device, link } of await plane.offer(6)) {
    const phone = new Phone(newPhone({ deviceName: 'Pool phone' }), { send: line.send, keyPool: keys });
    await phone.enrol(link);
    phones.set(device, phone);
  }
  const { rows } = await plane.console.query<{ id: string }>(
    `insert into fleet.device_group (id, name, filter, created_by) values (gen_random_uuid(), 'Pool', '{"all":[]}', $1) returning id`,
    [ME],
  );
  group = rows[0]!.id;
  await setMembers([...phones.keys()]);
  // More assets than one page holds.
  for (const adam of [ADAM, 1, 2, 3, 4]) vpp.stock.set(String(adam), { total: 5, holders: new Set() });
  writeFileSync(join(state, 'apps-endpoint'), await vpp.listen());
  licences = new Licences({ pool: plane.core, state, now: Date.now });
});
after(async () => {
  line.close();
  await vpp.close();
  await plane.close();
  rmSync(state, { recursive: true, force: true });
});

const setMembers = (handles: readonly string[]) =>
  plane.core.query(
    `select fleet.set_group_members($1, 1, array(select id from fleet.device where handle = any($2)), null)`,
    [group, handles],
  );
const did = (verb: string) =>
  [...phones.values()]
    .flatMap((phone) => Object.values(phone.state.executed))
    .filter(({ requestType }) => requestType === verb).length;
const holders = () => vpp.stock.get(String(ADAM))!.holders;
const app = async () => (await listApps(plane.console)).apps[0]!;
async function settle(): Promise<void> {
  for (let times = 0; times < 5; times += 1) await licences.step();
  await sendApps(plane.core, { requestApproval: async () => {}, now: Date.now, origin: plane.url });
  while ((await plane.dispatch()) > 0);
  for (const phone of phones.values()) await phone.poll();
}

test('without a token nothing is asked and nothing is sent', async () => {
  const id = await tx(plane.console, (t) =>
    saveApp(t, {
      identifier: 'com.example.reader',
      name: 'Reader',
      adamId: ADAM,
      configuration: { server: 'https://read.example' },
      by: ME,
    }),
  );
  assignment = await tx(plane.console, (t) => assignApp(t, { app: id, group, by: ME }));
  await settle();
  assert.deepEqual([vpp.asked.length, did('InstallApplication')], [0, 0]);
});

test('licences are got for serial numbers, in portions, and only what is licensed is installed', async () => {
  writeFileSync(join(state, 'apps-token'), vpp.token);
  const refused = [...phones.values()][0]!.state.serial;
  vpp.unknownSerials.add(refused);
  await settle();
  assert.equal(holders().size, 5);
  assert.ok(!holders().has(refused));
  assert.equal(did('InstallApplication'), 5);
  const shown = await app();
  assert.deepEqual(shown.licences, { failed: 1, held: 5 });
  assert.deepEqual(shown.states, { unknown: 5 }, 'none has listed its apps yet');
  await plane.owner(
    `insert into fleet.inventory (device_id, kind, taken_at, facts)
     select device_id, 'ManagedApplicationList', now(), jsonb_build_object('apps', jsonb_build_array(
       jsonb_build_object('Identifier', 'com.example.other', 'Status', 'Failed'), jsonb_build_object('Identifier', $1::text, 'Status',
         case when row_number() over (order by device_id) = 1 then 'UserRejected' else 'Managed' end)))
     from (select device_id from fleet.app_on where sent is not null order by device_id limit 3) o`,
    ['com.example.reader'],
  );
  assert.deepEqual((await app()).states, { Managed: 2, UserRejected: 1, unknown: 2 });
  const { service } = await listApps(plane.console);
  assert.deepEqual([service!.organisation, service!.problem], ['Example Agency', null]);
  assert.ok(vpp.asked.filter((one) => one === 'POST /assets/associate').length >= 2, 'at most four serials at a time');
  assert.ok(!vpp.sawPerson);
  const { rows } = await plane.core.query(`select from log.event where kind = 'app.licence_failed'`);
  assert.ok(rows.length >= 1);
});

test('repeating changes nothing; a new configuration is sent once', async () => {
  await settle();
  assert.equal(did('InstallApplication'), 5);
  await tx(plane.console, (t) =>
    saveApp(t, {
      identifier: 'com.example.reader',
      name: 'Reader',
      adamId: ADAM,
      configuration: { server: 'https://two.example' },
      by: ME,
    }),
  );
  await settle();
  await settle();
  assert.equal(did('InstallApplication'), 10);
});

test('a configuration with a person’s address in it is refused', async () => {
  for (const configuration of [
    { user: 'mara@example.org' },
    { phone: '+44 7700 900123' },
    { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } },
    ['x'],
  ]) {
    const save = tx(plane.console, (t) =>
      saveApp(t, { identifier: 'com.example.x', name: 'X', adamId: 9, configuration, by: ME }),
    );
    await assert.rejects(save, { code: 'bad-request' });
  }
});

test('a service that is throttled is left alone for as long as it asks, and then asked again', async () => {
  vpp.throttle = { times: 1, retryAfter: 3600 };
  await plane.core.query(`update fleet.app_service set checked_at = null`);
  await licences.step();
  const asked = vpp.asked.length;
  await licences.step();
  assert.equal(vpp.asked.length, asked);
  assert.equal((await listApps(plane.console)).service!.problem, 'throttled');
  await plane.core.query(`update fleet.app_service set next_at = now()`);
  await licences.step();
  assert.equal((await listApps(plane.console)).service!.problem, null);
});

test('who leaves the group loses the app, and the licence comes back', async () => {
  const stays = [...phones]
    .filter(([, phone]) => holders().has(phone.state.serial))
    .map(([device]) => device)
    .slice(0, 2);
  await setMembers(stays);
  await settle();
  assert.equal(did('RemoveApplication'), 3);
  await settle();
  await settle();
  assert.equal(holders().size, 2);
  await tx(plane.console, (t) => unassignApp(t, { assignment, by: ME }));
  await settle();
  await settle();
  await settle();
  assert.equal(holders().size, 0);
  assert.equal(did('RemoveApplication'), 5);
});

test('a store app that goes in rings reaches who has a licence, ring by ring, and from then on by rollouts alone', async () => {
  const adam = 7_654_321;
  vpp.stock.set(String(adam), { total: 6, holders: new Set() });
  vpp.unknownSerials.clear();
  await setMembers([...phones.keys()]);
  const id = await tx(plane.console, (t) =>
    saveApp(t, { identifier: 'com.example.rings', name: 'Rings', adamId: adam, by: ME }),
  );
  let clock = Date.now();
  const doors = { requestApproval: async () => {}, now: () => clock, origin: plane.url };
  const [version] = await listVersions(plane.console, id);
  const plan = [
    { percent: 0.001, atLeast: 2, soakHours: 24 },
    { percent: 100, atLeast: 0, soakHours: 1 },
  ];
  const rollout = await tx(plane.console, (t) =>
    startRollout(t, { kind: 'app', subject: id, version: version!.id, plan, by: ME, purpose: 'a test of rings' }),
  );
  await tx(plane.console, (t) => assignApp(t, { app: id, group, by: ME }));
  const having = () =>
    [...phones.values()].filter(({ state: { extras } }) =>
      extras?.apps.some(({ identifier }) => identifier === 'com.example.rings'),
    ).length;
  const round = async (hours = 0) => {
    clock += hours * 3_600_000;
    for (let times = 0; times < 3; times += 1) {
      await advanceRollouts(plane.core, doors);
      await settle();
      await advanceRollouts(plane.core, doors);
    }
  };
  await round();
  assert.equal(having(), 2);
  await round(25);
  await round();
  assert.equal(having(), 6);
  await round(2);
  const [done] = await listRollouts(plane.console, id);
  assert.deepEqual([done!.id, done!.state, done!.facts.ok], [rollout, 'done', 6]);
  const sent = did('InstallApplication');
  await tx(plane.console, (t) =>
    saveApp(t, { identifier: 'com.example.rings', name: 'Rings', configuration: { a: 1 }, by: ME }),
  );
  await round();
  assert.equal(did('InstallApplication'), sent, 'a new configuration waits for its own rollout');
});

test('a token that runs out is said so in time, once', async () => {
  const old = new VppService(10);
  writeFileSync(join(state, 'apps-token'), old.token);
  await licences.step();
  await licences.step();
  const { rows } = await plane.core.query<{ days: number }>(
    `select (body->'unmapped'->>'days')::int as days from log.event where kind = 'app.token_expiring'`,
  );
  assert.deepEqual(rows, [{ days: 9 }]);
  assert.equal(
    (await listApps(plane.console)).service!.problem,
    'unauthorized',
    'this service does not know that token',
  );
});
