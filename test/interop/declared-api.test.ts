import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import { followUpdates } from '#fleet';
import { type DdmBehaviour, followUpdate, KeyPool, newPhone, openLine, Phone } from '#sim';
import type { Answered, Person } from '../../src/run/person.ts';
import { bodyOf, type ConsolePlane, consolePlane } from './console.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// The console's routes of declarations and software updates, with phones that have and report something.
const SIRI = 'com.apple.configuration.siri.settings';
const PASSCODE = 'com.apple.configuration.passcode.settings';
const line = openLine({ sockets: 2 });
const keys = new KeyPool([], { repeat: true });
/** Every answer of the console, to look through at the end. */
const said: string[] = [];
let plane: DevicePlane;
let desk: ConsolePlane;
let admin: Person;
let analyst: Person;
before(async () => {
  plane = await devicePlane();
  desk = await consolePlane(plane);
  admin = await desk.person('amber-otter-4821', 'administrator');
  analyst = await desk.person('azure-heron-1357', 'analyst');
});
after(async () => {
  line.close();
  await desk?.close();
  await plane?.close();
});

async function ask(who: Person, method: string, path: string, body?: unknown): Promise<Answered> {
  const answer = await who.call(method, `/api${path}`, body);
  said.push(JSON.stringify(answer.body));
  return answer;
}
const get = async (path: string) => bodyOf(await ask(admin, 'GET', path));
const post = async (path: string, body: unknown, status = 200) => bodyOf(await ask(admin, 'POST', path, body), status);
/** The code of a refusal; its title must say what to do and name nothing of ours. */
async function refused(path: string, body: unknown, status: number, who = admin): Promise<string> {
  const answer = await ask(who, 'POST', path, body);
  assert.equal(answer.status, status, `${path} ${JSON.stringify(body)} answered ${JSON.stringify(answer.body)}`);
  assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
  assert.doesNotMatch(String(answer.body['title']), /\bsql|constraint|relation|syntax|undefined/i);
  return String(answer.body['code']);
}

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
  assert.equal((await get('/devices/amber-nobody-1000/declared'))['standing'], null);
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
    ['/software-updates', plan({ name: 'Not mine' })],
    ['/software-updates/feed', { feed: {} }],
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

const plan = (more: object) => ({
  ...{ name: 'A plan', group: null, version: null, deadline: '2099-01-01T18:00:00', detailsUrl: null },
  ...more,
});
const release = (ProductVersion: string, Build: string, SupportedDevices: readonly string[]) => ({
  ...{ ProductVersion, Build, SupportedDevices, PostingDate: '2026-09-01', ExpirationDate: '2099-01-01' },
});
const FEED = {
  PublicAssetSets: {
    iOS: [
      release('26.2', '23C55', ['iPhone16,1', 'iPhone15,2']),
      release('26.1', '23B85', ['iPhone16,1', 'iPhone12,1']),
    ],
    macOS: [],
  },
};

test('a software update: feed, dry run by model, plan, how far each device is, end', async () => {
  const { device, phone } = await enrolled('iPhone16,1');
  const { device: older } = await enrolled('iPhone12,1');
  assert.equal(await refused('/software-updates/preview', { group: null, version: null }, 409), 'no-feed');
  for (const feed of [{}, { PublicAssetSets: { iOS: 1 } }, { PublicAssetSets: { iOS: [], macOS: [] } }])
    await refused('/software-updates/feed', { feed }, 400);
  assert.deepEqual(await post('/software-updates/feed', { feed: FEED }), { releases: 2 });

  const group = uuidv7();
  await plane.asOwner(
    `insert into fleet.device_group (id, name, filter, created_by) values ($1, 'Two', '{"all":[]}', 'x')`,
    [group],
  );
  await plane.asOwner(
    'insert into fleet.group_member (group_id, device_id) select $1, id from fleet.device where handle = any($2)',
    [group, [device, older]],
  );
  const { models } = (await post('/software-updates/preview', { group, version: null })) as { models: object[] };
  assert.deepEqual(models, [
    { model: 'iPhone12,1', devices: 1, version: '26.1', build: '23B85', behind: 1, why: null },
    { model: 'iPhone16,1', devices: 1, version: '26.2', build: '23C55', behind: 1, why: null },
  ]);
  const empty = (await get('/software-updates')) as Record<string, unknown>;
  assert.deepEqual([empty['plans'], empty['devices']], [[], []], 'a dry run plans nothing');
  assert.deepEqual(
    (empty['releases'] as Record<string, unknown>[]).map(({ version, build, models: count }) => [
      version,
      build,
      count,
    ]),
    [
      ['26.2', '23C55', 2],
      ['26.1', '23B85', 2],
    ],
  );

  const nobody = '00000000-0000-4000-8000-000000000000';
  for (const [body, status] of [
    [plan({ group, version: '26.2' }), 409],
    [plan({ group: nobody }), 404],
    [plan({ deadline: '2099-02-30T18:00:00' }), 400],
    [plan({ deadline: '2099-13-01T18:00:00' }), 400],
    [plan({ deadline: 'tomorrow' }), 400],
    [plan({ detailsUrl: 'http://example.org' }), 400],
    [plan({ version: '26' }), 400],
    [plan({ name: ' ' }), 400],
  ] as const)
    await refused('/software-updates', body, status);
  assert.deepEqual((await get('/software-updates'))['plans'], []);

  const { id } = await post(
    '/software-updates',
    plan({ name: 'Autumn', group, detailsUrl: 'https://example.org/why' }),
  );
  assert.equal(await refused('/software-updates', plan({ name: 'Autumn', group }), 409), 'name-taken');
  await followUpdates(plane.core, plane.signKey);
  await plane.declare();
  await phone.poll();
  await followUpdate(phone, 'failed');
  const now = (await get('/software-updates')) as Record<string, Record<string, unknown>[]>;
  const [listed] = now['plans']!;
  assert.deepEqual(
    [
      listed!['id'],
      listed!['wanted'],
      listed!['failed'],
      listed!['overdue'],
      listed!['versions'],
      listed!['groupName'],
    ],
    [id, 2, 1, 0, ['26.1', '26.2'], 'Two'],
  );
  assert.deepEqual(
    now['devices']!.map((row) => [row['device'], row['wanted'], row['state'], row['fetched']]).sort(),
    [
      [device, '26.2', 'failed', true],
      [older, '26.1', null, false],
    ].sort(),
  );
  assert.equal((await standing(device)).declarations[`bartizan.update.${id}.26.2`], 'applied');

  await post(`/software-updates/${id}/end`, {}, 204);
  await refused(`/software-updates/${id}/end`, {}, 409);
  await plane.declare();
  const ended = (await get('/software-updates')) as Record<string, Record<string, unknown>[]>;
  assert.notEqual(ended['plans']![0]!['endedAt'], null);
  assert.deepEqual(ended['devices'], []);
  // The name is free again.
  await post('/software-updates', plan({ name: 'Autumn', group }));
});

test('no answer of all these named a person, a number or a serial, and nothing broke', async () => {
  const { rows } = await plane.core.query<{ serial: string; udid: string }>(
    'select serial, udid from fleet.device where udid is not null',
  );
  assert.ok(rows.length >= 5 && said.length > 80, `${said.length} answers`);
  for (const text of said) {
    assert.doesNotMatch(text, /Maja|7700/);
    for (const { serial, udid } of rows) assert.ok(!text.includes(serial) && !text.includes(udid), text.slice(0, 200));
  }
  assert.deepEqual(desk.broken, []);
});
