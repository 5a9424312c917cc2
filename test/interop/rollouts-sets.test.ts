import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  advanceRollouts,
  askRollout,
  listRollouts,
  listSets,
  listSubjects,
  proposeDeclaration,
  type RolloutDoors,
  saveSet,
  startRollout,
} from '#fleet';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Sets of declarations that go out in rings: devices are let in, and what they report moves or halts the rollout.
const ME = 'amber-otter-4821';
const HOUR = 3_600_000;
const PLAN = [
  // A share of next to nothing: with 10 % of six devices by chance three stood in it, one time in sixty.
  { percent: 0.001, atLeast: 2, soakHours: 24 },
  { percent: 100, atLeast: 0, soakHours: 1 },
];
const line = openLine({ sockets: 4 });
const phones = new Map<string, Phone>();
let plane: DevicePlane;
let group = '';
let clock = Date.now();
const doors: RolloutDoors = { requestApproval: async () => {}, now: () => clock, origin: 'https://edge.example' };

before(async () => {
  plane = await devicePlane();
  const keys = new KeyPool();
  for (const { device, link } of await plane.offer(6)) {
    const invalid = { identifiers: ['example.passcode.bad'], code: 'Error.ConfigurationCannotBeApplied' };
    const options = { send: line.send, keyPool: keys, ddm: { invalid } };
    const phone = new Phone(newPhone({ deviceName: 'Pool phone' }), options);
    await phone.enrol(link);
    phones.set(device, phone);
  }
  const { rows } = await plane.console.query<{ id: string }>(
    `insert into fleet.device_group (id, name, filter, created_by) values (gen_random_uuid(), 'Pool', '{"all":[]}', $1) returning id`,
    [ME],
  );
  group = rows[0]!.id;
  await setMembers([...phones.keys()].slice(0, 5));
});
after(async () => {
  line.close();
  await plane.close();
});

const setMembers = (handles: readonly string[]) =>
  plane.core.query(
    `select fleet.set_group_members($1, 1, array(select id from fleet.device where handle = any($2)), null)`,
    [group, handles],
  );
const declare = async (identifier: string, length: number) => {
  const { id } = await tx(plane.console, (t) =>
    proposeDeclaration(t, {
      ...{
        identifier,
        type: 'com.apple.configuration.passcode.settings',
        unchecked: false,
        author: ME,
        now: Date.now(),
      },
      payload: { MinimumLength: length },
    }),
  );
  return id;
};
const save = (name: string, declarations: readonly string[], rings?: { replaces: string | null }) =>
  tx(plane.console, (t) =>
    saveSet(t, {
      ...{ id: null, name, predicate: null, everyone: false, declarations, groups: [group], devices: [], by: ME },
      ...(rings === undefined ? {} : { rings }),
    }),
  );
const having = (identifier: string) =>
  [...phones.values()].filter(({ ddm }) => ddm.active().some((one) => one.identifier === identifier)).length;
const start = (subject: string) =>
  tx(plane.console, (t) => startRollout(t, { kind: 'set', subject, plan: PLAN, by: ME, purpose: 'a test of rings' }));
const rolloutOf = async (id: string) => (await listRollouts(plane.console)).find((one) => one.id === id)!;
async function round(hours = 0): Promise<void> {
  clock += hours * HOUR;
  for (let times = 0; times < 2; times += 1) {
    await advanceRollouts(plane.core, doors);
    await plane.declare();
    for (const phone of phones.values()) await phone.poll();
    await advanceRollouts(plane.core, doors);
  }
}
let first = '';

test('a set in rings reaches nobody before its rollout, then a few, then all, and who joins later', async () => {
  ({ id: first } = await save('Passcode', [await declare('example.passcode', 8)], { replaces: null }));
  await round();
  assert.equal(having('example.passcode'), 0);
  assert.deepEqual(
    (await listSubjects(plane.console)).filter(({ kind }) => kind === 'set').map(({ name, groups }) => [name, groups]),
    [['Passcode', ['Pool']]],
  );
  const rollout = await start(first);
  await round();
  assert.equal(having('example.passcode'), 2);
  const now = await rolloutOf(rollout);
  assert.deepEqual([now.kind, now.name, now.version, now.facts.ok], ['set', 'Passcode', null, 2]);
  assert.ok(now.soakUntil !== null, 'both reported it');
  await round(23);
  assert.equal(having('example.passcode'), 2, 'the soak is not over');
  await round(2);
  await round();
  assert.equal(having('example.passcode'), 5);
  await round(2);
  assert.equal((await rolloutOf(rollout)).state, 'done');
  await setMembers([...phones.keys()]);
  await round();
  assert.equal(having('example.passcode'), 6, 'it is for its whole scope now');
  const set = (await listSets(plane.console)).find(({ id }) => id === first)!;
  assert.equal((set as { rings?: unknown }).rings, null);
});

test('a set goes out in place of another: nobody has both, and the old one goes when all have the new', async () => {
  const { id } = await save('Passcode, longer', [await declare('example.passcode.longer', 10)], { replaces: first });
  const rollout = await start(id);
  await round();
  assert.deepEqual([having('example.passcode.longer'), having('example.passcode')], [2, 4]);
  await round(25);
  await round();
  assert.deepEqual([having('example.passcode.longer'), having('example.passcode')], [6, 0]);
  await round(2);
  assert.equal((await rolloutOf(rollout)).state, 'done');
  assert.deepEqual(
    (await listSets(plane.console)).filter(({ id: one }) => one === first || one === id).map(({ id: one }) => one),
    [id],
  );
  await round();
  assert.deepEqual([having('example.passcode.longer'), having('example.passcode')], [6, 0]);
});

test('devices that find a declaration invalid halt it; given up, those that have it keep it and nobody else gets it', async () => {
  const { id } = await save('Passcode, bad', [await declare('example.passcode.bad', 12)], { replaces: null });
  const rollout = await start(id);
  await round();
  const halted = await rolloutOf(rollout);
  assert.deepEqual([halted.state, halted.facts.failed, halted.failures.length], ['halted', 2, 2]);
  await round(100);
  const held = () =>
    [...phones.values()].filter(({ ddm }) => ddm.state.held.some((one) => one.identifier === 'example.passcode.bad'))
      .length;
  assert.equal(held(), 2);
  await tx(plane.console, (t) => askRollout(t, { rollout, act: 'cancel', by: ME }));
  await round();
  assert.deepEqual([(await rolloutOf(rollout)).state, held()], ['cancelled', 2]);
});

test('a set that devices have already does not go in rings, nor does one that is not shut', async () => {
  const { id } = await save('At once', [await declare('example.once', 6)]);
  await round();
  await assert.rejects(start(id), { code: 'unknown-set' });
  const again = tx(plane.console, (t) =>
    saveSet(t, {
      ...{
        id,
        name: 'At once',
        predicate: null,
        everyone: false,
        declarations: [],
        groups: [group],
        devices: [],
        by: ME,
      },
      rings: { replaces: null },
    }),
  );
  await assert.rejects(again, { code: 'bad-request' });
  await plane.console.query(
    `insert into fleet.rollout (id, kind, subject_id, plan, requester, purpose) values (gen_random_uuid(), 'set', $1, $2, $3, 'planted here')`,
    [id, JSON.stringify(PLAN), ME],
  );
  await round();
  const planted = (await listRollouts(plane.console, id))[0]!;
  assert.equal(planted.state, 'cancelled');
  assert.match(planted.why!, /not there/);
});
