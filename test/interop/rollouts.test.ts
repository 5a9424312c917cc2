import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  addWindow,
  advanceRollouts,
  askRollout,
  assignProfile,
  dryRun,
  listIntents,
  listRollouts,
  type RolloutDoors,
  removeWindow,
  settleProfiles,
  startRollout,
  storeProfile,
  unassignProfile,
} from '#fleet';
import type { CommandSet } from '#seal';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Profiles that are assigned to a group, rolled out in rings to simulated phones, with a clock that the test moves.
const ME = 'amber-otter-4821';
const OTHER = 'brisk-heron-1234';
const HOUR = 3_600_000;
const PLAN = [
  // Two devices in the first ring: by chance a share of a fleet so small could hold more.
  { percent: 0.001, atLeast: 2, soakHours: 24 },
  { percent: 100, atLeast: 0, soakHours: 1 },
];
const line = openLine({ sockets: 4 });
let plane: DevicePlane;
const phones = new Map<string, Phone>();
let group = '';
let profile = '';
let clock = Date.now();
const approvals: CommandSet[] = [];
const doors: RolloutDoors = {
  requestApproval: async (_t, document) => void approvals.push(document),
  now: () => clock,
  origin: 'https://edge.example',
};

before(async () => {
  plane = await devicePlane();
  const keys = new KeyPool();
  for (const { device, link } of await plane.offer(8)) {
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
const xml = (identifier: string, note: string, payload = 'com.apple.mobiledevice.passwordpolicy') =>
  Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000001</string>
<key>PayloadDisplayName</key><string>${note}</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>${payload}</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}.a</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000002</string>
</dict></array></dict></plist>`);
const store = (bytes: Buffer) => tx(plane.console, (t) => storeProfile(t, { bytes, by: ME }));
const having = (note: string) =>
  [...phones].filter(([, phone]) => phone.state.profiles.some(({ name }) => name === note)).map(([device]) => device);
const start = (version: string) =>
  tx(plane.console, (t) =>
    startRollout(t, { kind: 'profile', subject: profile, version, plan: PLAN, by: ME, purpose: 'a test of rings' }),
  );
const ask = (rollout: string, act: 'pause' | 'resume' | 'skip' | 'cancel', by = ME) =>
  tx(plane.console, (t) => askRollout(t, { rollout, act, by }));
const rolloutOf = async (id: string) => (await listRollouts(plane.console)).find((one) => one.id === id)!;
/** Core looks, dispatches, phones come by, core looks again. */
async function round(hours = 0): Promise<void> {
  clock += hours * HOUR;
  await advanceRollouts(plane.core, doors);
  await settleProfiles(plane.core, doors);
  while ((await plane.dispatch()) > 0);
  for (const phone of phones.values()) await phone.poll();
  await advanceRollouts(plane.core, doors);
}

test('a version goes to a few, soaks, and then to all; who joins later gets it, who leaves loses it', async () => {
  const stored = await store(xml('org.example.rings', 'one'));
  profile = stored.profile;
  await tx(plane.console, (t) => assignProfile(t, { profile, group, by: ME }));
  await round();
  assert.deepEqual(having('one'), [], 'assigning alone sends nothing');
  const handles = [...phones.keys()];
  await setMembers(handles.slice(1));
  const rollout = await start(stored.version);
  await round();
  const first = having('one');
  assert.equal(first.length, 2);
  await round(23);
  assert.deepEqual(having('one'), first, 'the soak is not over');
  assert.equal((await rolloutOf(rollout)).soakUntil === null, false);
  await round(2);
  await round();
  assert.deepEqual(having('one').sort(), handles.slice(1).sort());
  await round(2);
  assert.equal((await rolloutOf(rollout)).state, 'done');
  await setMembers(handles.slice(0, -1));
  await round();
  await round();
  assert.deepEqual(having('one').sort(), handles.slice(0, -1).sort());
  await setMembers(handles);
  await round();
  await round();
  assert.deepEqual(having('one').sort(), [...handles].sort());
  const sent = [...phones.values()].flatMap((phone) => Object.values(phone.state.executed)).map(({ times }) => times);
  assert.ok(
    sent.every((times) => times === 1),
    'nothing was sent twice',
  );
});

test('errors in the first ring halt the rollout and raise an event; it goes on only when somebody says so', async () => {
  const { version } = await store(xml('org.example.rings', 'two'));
  const rollout = await start(version);
  for (const phone of phones.values()) phone.behaviour.error = { times: 1, code: 1000 };
  await round();
  await round(100);
  const halted = await rolloutOf(rollout);
  assert.deepEqual([halted.state, halted.ring], ['halted', 0]);
  assert.match(halted.why!, /2 of 2 devices failed/);
  assert.equal(halted.failures.length, 2);
  assert.equal(having('two').length, 0);
  const { rows } = await plane.core.query(`select from log.event where kind = 'rollout.halted'`);
  assert.equal(rows.length, 1);
  for (const phone of phones.values()) phone.behaviour.error = { times: 0, code: 0 };
  await ask(rollout, 'resume');
  await round();
  await round(25);
  await round();
  assert.equal(having('two').length, 6, 'those that failed are left as they are');
  await round(2);
  assert.equal((await rolloutOf(rollout)).state, 'done');
});

test('devices that took it and then break a rule or drift halt the rollout, though none answered with an error', async () => {
  const stored = await store(xml('org.example.rings', 'worse'));
  const rollout = await start(stored.version);
  await round();
  const [first, second] = having('worse') as [string, string];
  await round(1);
  assert.equal((await rolloutOf(rollout)).state, 'running', 'what was wrong before it says nothing');
  const [rule] = await plane.owner<{ id: string }>(
    `insert into fleet.compliance_rule (id, name, condition, created_by)
     values (gen_random_uuid(), 'A rule', '{"all":[]}', $1) returning id`,
    [ME],
  );
  await plane.owner(
    `insert into fleet.compliance (rule_id, device_id, state) select $1, id, 'grace' from fleet.device where handle = $2`,
    [rule!.id, first],
  );
  await plane.owner(
    `insert into fleet.drift (device_id, kind, key, state) select id, 'profile', 'org.example.vpn', 'drifted' from fleet.device where handle = $1`,
    [second],
  );
  await round();
  const halted = await rolloutOf(rollout);
  assert.deepEqual([halted.state, halted.ring], ['halted', 0]);
  assert.match(halted.why!, /2 of 2 devices failed.*2 fell out of compliance or drifted/);
  assert.equal(having('worse').length, 2, 'nobody else gets it');
  await ask(rollout, 'cancel');
  await round();
  await plane.owner('delete from fleet.drift', []);
  await plane.owner('delete from fleet.compliance', []);
});

test('pausing stops; a soak is cut short by two people and not by one', async () => {
  const { version } = await store(xml('org.example.rings', 'three'));
  const rollout = await start(version);
  await ask(rollout, 'pause');
  await round();
  assert.equal(having('three').length, 0);
  await ask(rollout, 'resume');
  await round();
  assert.equal(having('three').length, 2);
  await ask(rollout, 'skip');
  await ask(rollout, 'skip');
  await round();
  await round();
  assert.equal(having('three').length, 2, 'one person twice is one person');
  await ask(rollout, 'skip', OTHER);
  await round();
  await round();
  assert.equal(having('three').length, 8);
  await ask(rollout, 'cancel');
  await round();
  assert.equal((await rolloutOf(rollout)).state, 'cancelled');
});

test('a plan that the console should not have written is not carried out', async () => {
  const { version } = await store(xml('org.example.rings', 'four'));
  const { rows } = await plane.console.query<{ id: string }>(
    `insert into fleet.rollout (id, kind, subject_id, version_id, plan, requester, purpose)
     values (gen_random_uuid(), 'profile', $1, $2, '[{"percent":100,"atLeast":0,"soakHours":0}]', $3, 'all at once') returning id`,
    [profile, version, ME],
  );
  await round();
  await round();
  assert.equal((await rolloutOf(rows[0]!.id)).state, 'cancelled');
  assert.equal(having('four').length, 0);
});

test('a change waits for the window of its devices; an emergency does not, nor what waited for one that is gone', async () => {
  const handles = [...phones.keys()];
  await setMembers(handles.slice(0, 4));
  // Opens in two hours for one hour, in a zone of whole hours.
  const opens = new Date(clock + 2 * HOUR);
  const id = await tx(plane.console, (t) =>
    addWindow(t, {
      ...{ group, timeZone: 'UTC', days: [(opens.getUTCDay() + 6) % 7], by: ME },
      ...{ fromMinute: opens.getUTCHours() * 60 + opens.getUTCMinutes(), minutes: 60 },
    }),
  );
  const install = (note: string, extra: object = {}) =>
    plane.state({
      verb: 'InstallProfile',
      devices: handles,
      params: { profile: xml('org.example.night', note).toString() },
      ...extra,
    });
  const go = async () => {
    while ((await plane.dispatch({ now: doors.now })) > 0);
    for (const phone of phones.values()) await phone.poll();
  };
  await install('by day');
  await go();
  assert.deepEqual(having('by day').sort(), handles.slice(4).sort(), 'devices without a window do not wait');
  const waiting = (await listIntents(plane.console, { limit: 1, waiting: true })).find(
    ({ state }) => state === 'ready',
  );
  const until = (await listIntents(plane.console, { limit: 5 })).find(({ notBefore }) => notBefore !== null)!
    .notBefore!;
  assert.ok(Math.abs(until.getTime() - opens.getTime()) < 60_000, 'it says until when');
  assert.ok(waiting === undefined || waiting.verb === 'InstallProfile');
  await plane.state({ verb: 'SecurityInfo', devices: handles });
  await go();
  assert.ok(
    [...phones.values()].every((phone) =>
      Object.values(phone.state.executed).some(({ requestType }) => requestType === 'SecurityInfo'),
    ),
  );
  clock += 2 * HOUR + 60_000;
  await go();
  assert.deepEqual(having('by day').sort(), [...handles].sort());
  clock += 5 * HOUR;
  await install('at once', { emergency: 'a hole that is being used' });
  await go();
  assert.deepEqual(having('at once').sort(), [...handles].sort());
  await install('when it may');
  await go();
  assert.deepEqual(having('when it may').sort(), handles.slice(4).sort());
  await tx(plane.console, (t) => removeWindow(t, { window: id, by: ME }));
  await go();
  assert.deepEqual(having('when it may').sort(), [...handles].sort(), 'what waited for a window that is gone goes');
});

test('a dangerous profile waits for two people over its exact bytes, ring by ring', async () => {
  const root = xml('org.example.root', 'a root', 'com.apple.security.root');
  const before = await dryRun(plane.console, root);
  assert.match(before.dangers[0]!.says, /whoever holds its key/);
  const stored = await store(root);
  await tx(plane.console, (t) => assignProfile(t, { profile: stored.profile, group, by: ME }));
  const asked = approvals.length;
  await tx(plane.console, (t) =>
    startRollout(t, {
      kind: 'profile',
      subject: stored.profile,
      version: stored.version,
      plan: PLAN,
      by: ME,
      purpose: 'an own authority',
    }),
  );
  await round();
  assert.equal(having('a root').length, 0);
  assert.equal(approvals.length, asked + 1);
  assert.deepEqual(approvals.at(-1)!.verb, 'InstallProfile');
  assert.equal(approvals.at(-1)!.commands.length, 2);
  await assert.rejects(plane.state({ verb: 'InstallProfile', devices: 'all', params: { profile: root.toString() } }), {
    code: 'too-many',
  });
  // a row that claims to need nobody
  await plane.console.query(
    `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state, scope)
     values (gen_random_uuid(), 'InstallProfile', 'read', $1, '[]', $2, 'all at once', 'ready', '{"all":true}')`,
    [JSON.stringify({ profile: root.toString() }), ME],
  );
  await round();
  assert.equal(having('a root').length, 0);
});

test('taking an assignment away takes the profile off, unless it is too much for one person', async () => {
  const { rows } = await plane.console.query<{ id: string }>(
    `select id from fleet.profile_assignment where profile_id = $1 and removed_at is null`,
    [profile],
  );
  const before = having('three');
  assert.ok(before.length >= 4);
  await tx(plane.console, (t) => unassignProfile(t, { assignment: rows[0]!.id, by: 'stolen-token-2' }));
  await settleProfiles(plane.core, doors);
  await plane.dispatch({ changePerHour: 3 });
  for (const phone of phones.values()) await phone.poll();
  const removal = (await listIntents(plane.console, { limit: 1, requester: 'stolen-token-2' }))[0]!;
  assert.deepEqual([removal.verb, removal.state, removal.heldBy], ['RemoveProfile', 'held', 'brake']);
  assert.deepEqual(having('three'), before);
});
