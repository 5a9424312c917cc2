import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import { type DdmBehaviour, KeyPool, newPhone, openLine, Phone } from '#sim';
import type { Person } from '../../src/run/person.ts';
import { type Asking, asking, type ConsolePlane, consolePlane, namesNobody } from './console.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// The console's routes of declarations, with phones that have and report something.
const SIRI = 'com.apple.configuration.siri.settings';
const PASSCODE = 'com.apple.configuration.passcode.settings';
const line = openLine({ sockets: 2 });
const keys = new KeyPool([], { repeat: true });
let plane: DevicePlane;
let desk: ConsolePlane;
let admin: Person;
let analyst: Person;
let asked: Asking;
before(async () => {
  plane = await devicePlane();
  desk = await consolePlane(plane);
  admin = await desk.person('amber-otter-4821', 'administrator');
  analyst = await desk.person('azure-heron-1357', 'analyst');
  asked = asking(admin);
});
after(async () => {
  line.close();
  await desk?.close();
  await plane?.close();
});
const ask: Asking['ask'] = (...given) => asked.ask(...given);
const get: Asking['get'] = (path) => asked.get(path);
const post: Asking['post'] = (...given) => asked.post(...given);
const refused: Asking['refused'] = (...given) => asked.refused(...given);

async function enrolled(productName = 'iPhone17,1', ddm: DdmBehaviour = {}): Promise<{ device: string; phone: Phone }> {
  const [offer] = await plane.offer(1);
  const state = { ...newPhone({ deviceName: 'Maja’s iPhone', phoneNumber: '+447700900123' }), productName };
  const phone = new Phone(state, { send: line.send, keyPool: keys, ddm });
  await phone.enrol(offer!.link);
  return { device: offer!.device, phone };
}
const setOf = (declarations: readonly string[], devices: readonly string[], more: object = {}) => ({
  ...{ id: null, name: `Set ${uuidv7()}`, predicate: null, everyone: false, groups: [], declarations, devices },
  ...more,
});
const siri = async (identifier: string) =>
  String((await post('/declarations', { identifier, type: SIRI, payload: { AllowWhileLocked: false } }))['id']);

test('a declaration: check, store, list, detail, versions, and where it is in trouble', async () => {
  const wrong: string[] = [];
  const broken = { identifiers: wrong, code: 'Error.ConfigurationCannotBeApplied' };
  const { device, phone } = await enrolled('iPhone17,1', { invalid: broken });
  const written = { identifier: 'api.passcode', type: PASSCODE, payload: { MinimumLength: 6 } };
  const checked = await post('/declarations/check', written);
  assert.deepEqual(
    [checked['problems'], checked['guarded'], checked['since'], checked['devices'], checked['tooOld']],
    [[], false, '15.0', 0, 0],
  );
  assert.deepEqual(await get('/declarations'), { items: [] }, 'a check stores nothing');

  const { id } = await post('/declarations', written);
  const { id: set } = await post('/declaration-sets', setOf([String(id)], [device], { name: 'Passcode of the API' }));
  await plane.declare();
  await phone.poll();
  const again = await post('/declarations/check', { ...written, payload: { MinimumLength: 8 } });
  assert.deepEqual([again['devices'], again['tooOld']], [1, 0]);

  await post('/declarations', { ...written, payload: { MinimumLength: 8 } });
  await plane.declare();
  const { items } = (await get('/declarations')) as { items: Record<string, unknown>[] };
  const mine = items.filter(({ origin }) => origin === 'administrator');
  assert.equal(mine.length, 1);
  const { identifier, kind, version, state, sets, devices, invalid, inactive } = mine[0]!;
  assert.deepEqual(
    { identifier, kind, version, state, sets, devices, invalid, inactive },
    {
      ...{ identifier: 'api.passcode', kind: 'configuration', version: 2, state: 'current' },
      ...{ sets: ['Passcode of the API'], devices: 1, invalid: 0, inactive: 0 },
    },
  );
  assert.ok(items.some(({ origin }) => origin === 'standard') && items.some(({ origin }) => origin === 'set'));

  wrong.push('api.passcode');
  await phone.poll();
  const detail = await get(`/declarations/${id}`);
  assert.deepEqual(
    (detail['versions'] as Record<string, unknown>[]).map((one) => [one['version'], one['state'], one['payload']]),
    [
      [2, 'current', { MinimumLength: 8 }],
      [1, 'superseded', { MinimumLength: 6 }],
    ],
  );
  assert.deepEqual(
    (detail['trouble'] as Record<string, unknown>[]).map((one) => [one['device'], one['valid'], one['reasons']]),
    [[device, 'invalid', ['Error.ConfigurationCannotBeApplied']]],
  );

  await post(`/declaration-sets/${set}/remove`, {}, 204);
  await post(`/declarations/${id}/remove`, {}, 204);
  await plane.declare();
  await phone.poll();
  assert.equal((await ask(admin, 'GET', `/declarations/${id}`)).status, 404);
  assert.deepEqual(phone.ddm.state.held, []);
});

test('a set: dry run, members, what it lacks, and what its devices show', async () => {
  const [one, two] = [await enrolled(), await enrolled()];
  const id = await siri('api.siri');
  const before = await post('/declaration-sets/preview', setless(null, [one.device]));
  assert.deepEqual([before['now'], before['join'], before['leave']], [0, [one.device], []]);
  const saved = await post('/declaration-sets', setOf([id], [one.device], { name: 'Siri of the API' }));
  assert.equal(saved['changed'], true);
  const same = setOf([id], [one.device], { name: 'Siri of the API', id: saved['id'] });
  assert.equal((await post('/declaration-sets', same))['changed'], false);
  const moved = await post('/declaration-sets/preview', setless(saved['id'], [two.device]));
  assert.deepEqual([moved['now'], moved['join'], moved['leave']], [1, [two.device], [one.device]]);
  assert.equal((await get(`/devices/${one.device}/declared`))['standing'], null, 'nothing was changed by asking');

  await plane.declare();
  const waiting = await standing(one.device);
  assert.deepEqual([waiting.upToDate, waiting.declarations['api.siri']], [false, 'waiting']);
  await one.phone.poll();
  const applied = await standing(one.device);
  assert.deepEqual([applied.upToDate, applied.declarations['api.siri']], [true, 'applied']);
  assert.equal((await get(`/devices/${two.device}/declared`))['standing'], null);
  const list = (await get('/declaration-sets'))['items'] as Record<string, unknown>[];
  const set = list.find((row) => row['id'] === saved['id'])!;
  assert.deepEqual(
    [set['name'], set['devices'], set['reached'], set['missing']],
    ['Siri of the API', [one.device], 1, []],
  );

  // An activation of one's own names what is not in the set.
  const activation = { StandardConfigurations: ['api.siri', 'api.not-there'] };
  const own = await post('/declarations', {
    identifier: 'api.on',
    type: 'com.apple.activation.simple',
    payload: activation,
  });
  await post('/declaration-sets', { ...same, declarations: [id, own['id']] });
  await plane.declare();
  const lacking = (await get('/declaration-sets'))['items'] as Record<string, unknown>[];
  assert.deepEqual(lacking.find((row) => row['id'] === saved['id'])!['missing'], ['api.not-there']);

  await post(`/declaration-sets/${saved['id']}/remove`, {}, 204);
  await plane.declare();
  await one.phone.poll();
  assert.deepEqual((await standing(one.device)).declarations, {});
});

const setless = (id: unknown, devices: readonly string[]) => ({ id, everyone: false, groups: [], devices });
async function standing(device: string) {
  const { standing: row } = await get(`/devices/${device}/declared`);
  const { upToDate, declarations } = row as {
    upToDate: boolean;
    declarations: { identifier: string; state: string }[];
  };
  return {
    upToDate,
    declarations: Object.fromEntries(declarations.map(({ identifier, state }) => [identifier, state])),
  };
}

test('bad input is refused with a reason and changes nothing; who only looks stores nothing', async () => {
  const { device } = await enrolled();
  const id = await siri('api.bad');
  const declaration = { identifier: 'api.worse', type: SIRI, payload: {} };
  const before = JSON.stringify([await get('/declarations'), await get('/declaration-sets')]);
  const answer = await ask(admin, 'POST', '/declarations', {
    ...declaration,
    payload: { AllowWhileLocked: 'no', Odd: 1 },
  });
  assert.equal(answer.status, 422);
  assert.deepEqual(
    (answer.body['problems'] as { path: string }[]).map(({ path }) => path),
    ['AllowWhileLocked', 'Odd'],
  );
  for (const [body, status] of [
    [{ ...declaration, identifier: '../etc' }, 422],
    [{ ...declaration, identifier: 'a'.repeat(129) }, 400],
    [{ ...declaration, type: 'com.apple.nothing' }, 422],
    [{ ...declaration, payload: 'text' }, 400],
    [{ ...declaration, payload: { Reference: 'a\0b' } }, 400],
    [{ ...declaration, more: 1 }, 400],
    [{ ...declaration, identifier: 'bartizan.status-subscriptions' }, 400],
    [{ ...declaration, identifier: 'api.bad', type: PASSCODE }, 409],
  ] as const)
    await refused('/declarations', body, status);
  const nobody = '00000000-0000-4000-8000-000000000000';
  for (const [body, status] of [
    [setOf([id], ['amber-nobody-1000']), 400],
    [setOf([nobody], [device]), 400],
    [setOf([id], [device], { groups: [nobody] }), 409],
    [setOf([id], [device], { name: '' }), 400],
    [setOf([id], [device], { name: 'x'.repeat(81) }), 400],
    [setOf([id], ["'; drop table"]), 400],
    [setOf(['not-an-id'], [device]), 400],
  ] as const)
    await refused('/declaration-sets', body, status);
  await refused(`/declarations/${nobody}/remove`, {}, 409);
  await refused(`/declaration-sets/${nobody}/remove`, {}, 409);
  assert.equal((await ask(admin, 'GET', `/declarations/${nobody}`)).status, 404);
  assert.equal((await ask(admin, 'GET', '/declarations/what')).status, 404);
  assert.equal((await ask(admin, 'GET', '/devices/amber-nobody-1000/declared')).status, 404);
  const data = { name: 'x', contentType: 'text/plain', content: 'QQ==' };
  for (const body of [
    { ...data, content: 'no base64!' },
    { ...data, content: '' },
    { ...data, contentType: 'text/html; a=b' },
  ])
    await refused('/declared-data', body, 400);

  for (const [path, body] of [
    ['/declarations', declaration],
    ['/declaration-sets', setOf([id], [device])],
    [`/declarations/${id}/remove`, {}],
    ['/declared-data', data],
  ] as const)
    assert.equal(await refused(path, body, 403, analyst), 'not-allowed');
  assert.equal((await ask(analyst, 'POST', '/declarations/check', declaration)).status, 200);
  assert.equal((await ask(analyst, 'GET', `/declarations/${id}`)).status, 200);
  assert.equal(JSON.stringify([await get('/declarations'), await get('/declaration-sets')]), before);
});

test('data for declarations gets an address with its size and hash; edge gives the bytes', async () => {
  const stored = await post('/declared-data', { name: 'A text', contentType: 'text/plain', content: 'aGVsbG8=' });
  assert.equal(stored['size'], 5);
  assert.equal(stored['sha256'], '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  const answer = await fetch(String(stored['url']));
  assert.deepEqual(
    [answer.status, answer.headers.get('content-type'), await answer.text()],
    [200, 'text/plain', 'hello'],
  );
});

test('no answer of all these named a person, a number or a serial, and nothing broke', () =>
  namesNobody(plane, desk, asked));
