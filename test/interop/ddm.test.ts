import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import { InvalidDeclaration, proposeDeclaration } from '#fleet';
import { type DdmBehaviour, KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Declarative management over the whole line: declared in the console, checked and signed by core, nudged, fetched from edge,
// switched on by a simulated phone, reported back.
const AUTHOR = 'amber-otter-4821';
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

async function phoneOf(ddm: DdmBehaviour = {}): Promise<{ device: string; phone: Phone }> {
  const [offer] = await plane.offer(1);
  const state = newPhone({ deviceName: 'Anna’s iPhone', phoneNumber: '+447700900123' });
  const phone = new Phone(state, { send: line.send, keyPool: keys, ddm });
  await phone.enrol(offer!.link);
  return { device: offer!.device, phone };
}

const declare = (identifier: string, type: string, payload: object, unchecked = false) =>
  tx(plane.console, (t) =>
    proposeDeclaration(t, {
      ...{ identifier, type, unchecked, author: AUTHOR, now: Date.now() },
      payload: payload as Parameters<typeof proposeDeclaration>[1]['payload'],
    }),
  );
const put = async (
  set: string,
  name: string,
  declarations: readonly string[],
  devices: readonly string[],
  more: { predicate?: string; groups?: readonly string[] } = {},
) =>
  plane.console.query(
    `select fleet.change_set($1, $2, $3, false, $4, $5, array(select id from fleet.device where handle = any($6)), 'administrator', $7)`,
    [set, name, more.predicate ?? null, declarations, more.groups ?? [], devices, AUTHOR],
  );
const statesOf = async (device: string) =>
  (
    await plane.core.query<{ identifier: string; active: boolean; valid: string; reasons: string[] }>(
      `select s.identifier, s.active, s.valid, s.reasons from fleet.declared_state s join fleet.device d on d.id = s.device_id
       where d.handle = $1 order by s.identifier`,
      [device],
    )
  ).rows;
const statusOf = async (device: string) =>
  (
    await plane.console.query<{ values: Record<string, unknown>; lists: Record<string, unknown>; errors: object }>(
      `select s."values", s.lists, s.errors from fleet.declared_status s join fleet.device d on d.id = s.device_id where d.handle = $1`,
      [device],
    )
  ).rows[0];
const nudges = async (device: string) =>
  (
    await plane.core.query<{ state: string }>(
      `select c.state from fleet.command c join fleet.device d on d.id = c.device_id
       where d.handle = $1 and c.request_type = 'DeclarativeManagement' order by c.queued_at, c.uuid`,
      [device],
    )
  ).rows.map(({ state }) => state);

test('a declaration travels from the console to a phone, and its state back', async () => {
  const { device, phone } = await phoneOf();
  const { phone: apart } = await phoneOf();
  const declared = await declare('example.passcode', 'com.apple.configuration.passcode.settings', { MinimumLength: 8 });
  assert.equal(declared.state, 'proposed');
  const set = uuidv7();
  await put(set, 'Passcode', [declared.id], [device]);
  await plane.declare();
  assert.equal(await phone.poll(), 1);
  assert.equal(await apart.poll(), 0, 'only the device whose declarations changed is told');
  assert.deepEqual(
    phone.ddm.active().map(({ identifier, payload }) => [identifier, Object.keys(payload)]),
    [
      ['bartizan.status-subscriptions', ['StatusItems']],
      ['example.passcode', ['MinimumLength']],
    ],
  );
  assert.deepEqual(
    (await statesOf(device)).map(({ identifier, active, valid }) => [identifier.replace(set, 'SET'), active, valid]),
    [
      ['bartizan.set.00000000-0000-4000-8000-0000000000dd', true, 'valid'],
      ['bartizan.set.SET', true, 'valid'],
      ['bartizan.status-subscriptions', true, 'valid'],
      ['example.passcode', true, 'valid'],
    ],
  );
  const status = (await statusOf(device))!;
  assert.equal(status.values['device.operating-system.version'], '18.1');
  assert.doesNotMatch(JSON.stringify(status), /Anna|7700|account/, 'no name, number or account is kept');
  assert.deepEqual(await nudges(device), ['acknowledged']);
});

test('a change is fetched alone; the same content again nudges nobody; an undelivered nudge is superseded', async () => {
  const { device, phone } = await phoneOf();
  const { id } = await declare('example.math', 'com.apple.configuration.math.settings', {
    SystemBehavior: { KeyboardSuggestions: true, MathNotes: true },
  });
  const set = uuidv7();
  await put(set, 'Math', [id], [device]);
  await plane.declare();
  await phone.poll();
  const asked = phone.ddm.asked.get('declaration')!;
  await declare('example.math', 'com.apple.configuration.math.settings', {
    SystemBehavior: { MathNotes: true, KeyboardSuggestions: true },
  });
  await plane.declare();
  assert.deepEqual(await nudges(device), ['acknowledged'], 'keys in another order are the same declaration');
  await declare('example.math', 'com.apple.configuration.math.settings', {
    SystemBehavior: { KeyboardSuggestions: false, MathNotes: true },
  });
  await plane.declare();
  await declare('example.math', 'com.apple.configuration.math.settings', {
    SystemBehavior: { KeyboardSuggestions: false, MathNotes: false },
  });
  await plane.declare();
  assert.deepEqual(await nudges(device), ['acknowledged', 'cancelled', 'queued']);
  await phone.poll();
  assert.equal(phone.ddm.asked.get('declaration')! - asked, 1);
  await put(set, 'Math', [], [device]);
  await plane.declare();
  await phone.poll();
  assert.equal(
    phone.ddm.active().some(({ identifier }) => identifier === 'example.math'),
    false,
  );
  assert.equal(
    (await statesOf(device)).some(({ identifier }) => identifier === 'example.math'),
    false,
  );
});

test('what nobody can check is refused, and stored only as what two people must agree to', async () => {
  await assert.rejects(declare('example.odd', 'com.apple.configuration.odd.thing', { A: 1 }), InvalidDeclaration);
  const odd = await declare('example.odd', 'com.apple.configuration.odd.thing', { A: 1 }, true);
  assert.deepEqual([odd.state, odd.guarded], ['proposed', true]);
  const plain = await declare('example.plain', 'com.apple.configuration.passcode.settings', {}, true);
  assert.equal(plain.guarded, false, 'nothing in it is unknown');
});

test('whoever owns the database sends a device no declaration, no list and no other device’s list', async () => {
  const { device, phone } = await phoneOf();
  const { device: victim, phone: other } = await phoneOf();
  const { id } = await declare('example.siri', 'com.apple.configuration.siri.settings', { Enabled: false });
  await put(uuidv7(), 'Siri', [id], [device]);
  await plane.declare();
  await phone.poll();
  const ask = (who: Phone) => who.ddm.synchronise();
  // a list that the device was not given
  await plane.core.query(
    `insert into fleet.declared_device (device_id, list_id, signature)
     select (select id from fleet.device where handle = $2), list_id, signature from fleet.declared_device
     where device_id = (select id from fleet.device where handle = $1)`,
    [device, victim],
  );
  assert.equal(await ask(other), -1);
  // another body under the same token
  phone.ddm.state.held = [];
  phone.ddm.state.token = null;
  await plane.core.query(
    `update fleet.declaration_version set body = convert_to(replace(convert_from(body, 'UTF8'), 'false', 'true'), 'UTF8')
     where declaration_id = $1`,
    [id],
  );
  // Edges that have not seen the true bytes yet.
  const answerOf = async (endpoint: string) => {
    const fresh = await plane.anotherEdge();
    try {
      return (await fresh.ask(phone, endpoint)).status;
    } finally {
      await fresh.close();
    }
  };
  assert.equal(await answerOf('declaration/configuration/example.siri'), 404);
  // a list with something added
  await plane.core.query(
    `update fleet.declared_list set items = items || '[{"kind":"configuration","identifier":"example.odd","token":"x"}]'
     where id = (select list_id from fleet.declared_device where device_id = (select id from fleet.device where handle = $1))`,
    [device],
  );
  assert.equal(await answerOf('tokens'), 404);
  const { rows } = await plane.core.query<{ what: string }>(
    `select body->'unmapped'->>'what' as what from log.event where kind = 'declaration.unsigned' order by time`,
  );
  assert.deepEqual(
    rows.map(({ what }) => what),
    ['device-not-signed', 'declaration-not-signed configuration/example.siri', 'list-not-signed'],
  );
});

test('an unknown declaration is 404, and so is everything where nothing was declared', async () => {
  const { phone } = await phoneOf();
  assert.equal(await phone.ddm.synchronise(), -1);
});

test('a phone that calls a declaration invalid says why, garbage is refused and mends itself', async () => {
  const { device, phone } = await phoneOf({
    invalid: { identifiers: ['example.safari'], code: 'Error.ConfigurationCannotBeApplied' },
    garbage: 1,
  });
  const { id } = await declare('example.safari', 'com.apple.configuration.safari.settings', { AllowPopups: false });
  await put(uuidv7(), 'Safari', [id], [device]);
  await plane.declare();
  await phone.poll();
  assert.deepEqual(await statesOf(device), [], 'garbage changes nothing');
  await phone.ddm.report({ full: true });
  const state = (await statesOf(device)).find(({ identifier }) => identifier === 'example.safari');
  assert.deepEqual(state, {
    ...{ identifier: 'example.safari', active: false, valid: 'invalid' },
    reasons: ['Error.ConfigurationCannotBeApplied'],
  });
  const { rows } = await plane.core.query(
    `select 1 from log.event where kind = 'declaration.invalid' and device = $1`,
    [device],
  );
  assert.equal(rows.length, 1);
});

test('group members get what the group gets, and lose it when they leave', async () => {
  const { device, phone } = await phoneOf();
  const group = uuidv7();
  await plane.console.query(
    `insert into fleet.device_group (id, name, filter, created_by) values ($1, 'Pool', '{"all":[]}', $2)`,
    [group, AUTHOR],
  );
  const { id } = await declare('example.audio', 'com.apple.configuration.audio-accessory.settings', {
    TemporaryPairing: { Disabled: true },
  });
  await put(uuidv7(), 'Audio', [id], [], { groups: [group] });
  await plane.declare();
  assert.equal(await phone.poll(), 0);
  await plane.asOwner(
    `insert into fleet.group_member (group_id, device_id) select $1, id from fleet.device where handle = $2`,
    [group, device],
  );
  await plane.declare();
  await phone.poll();
  assert.ok(phone.ddm.active().some(({ identifier }) => identifier === 'example.audio'));
  await plane.asOwner('delete from fleet.group_member where group_id = $1', [group]);
  await plane.declare();
  await phone.poll();
  assert.deepEqual(phone.ddm.state.held, []);
});

test('a predicate decides on the phone, and a phone that enrols anew starts anew', async () => {
  const { device, phone } = await phoneOf();
  const { id } = await declare('example.intelligence', 'com.apple.configuration.intelligence.settings', {
    AllowGenmoji: false,
  });
  await put(uuidv7(), 'iPads', [id], [device], { predicate: "(@status(device.model.family) == 'iPad')" });
  await plane.declare();
  await phone.poll();
  const found = (await statesOf(device)).find(({ identifier }) => identifier === 'example.intelligence');
  assert.deepEqual([found?.active, found?.valid], [false, 'unknown']);
  const drift = async () =>
    (await plane.core.query(`select 1 from log.event where kind = 'declaration.drift' and device = $1`, [device])).rows
      .length;
  phone.facts['device.model.family'] = 'iPad';
  await phone.ddm.report({ full: false });
  assert.equal((await statesOf(device)).find(({ identifier }) => identifier === 'example.intelligence')?.active, true);
  assert.equal(await drift(), 0);
  phone.facts['device.model.family'] = 'iPhone';
  await phone.ddm.report({ full: false });
  assert.equal(await drift(), 1);
});
