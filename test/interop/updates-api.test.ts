import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import { followUpdates } from '#fleet';
import { followUpdate, KeyPool, newPhone, openLine, Phone } from '#sim';
import type { Person } from '../../src/run/person.ts';
import { type Asking, asking, type ConsolePlane, consolePlane, namesNobody } from './console.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// The console's routes of software updates, with phones that have and report something.
const line = openLine({ sockets: 2 });
const keys = new KeyPool([], { repeat: true });
let plane: DevicePlane;
let desk: ConsolePlane;
let analyst: Person;
let asked: Asking;
before(async () => {
  plane = await devicePlane();
  desk = await consolePlane(plane);
  analyst = await desk.person('azure-heron-1357', 'analyst');
  asked = asking(await desk.person('amber-otter-4821', 'administrator'));
});
after(async () => {
  line.close();
  await desk?.close();
  await plane?.close();
});
const get: Asking['get'] = (path) => asked.get(path);
const post: Asking['post'] = (...given) => asked.post(...given);
const refused: Asking['refused'] = (...given) => asked.refused(...given);

async function enrolled(productName: string): Promise<{ device: string; phone: Phone }> {
  const [offer] = await plane.offer(1);
  const state = { ...newPhone({ deviceName: 'Maja’s iPhone', phoneNumber: '+447700900123' }), productName };
  const phone = new Phone(state, { send: line.send, keyPool: keys });
  await phone.enrol(offer!.link);
  return { device: offer!.device, phone };
}
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
  const { standing } = (await get(`/devices/${device}/declared`)) as Record<
    string,
    { declarations: Record<string, unknown>[] }
  >;
  const target = standing!.declarations.find(({ identifier }) => identifier === `bartizan.update.${id}.26.2`);
  assert.equal(target?.['state'], 'applied');

  await post(`/software-updates/${id}/end`, {}, 204);
  await refused(`/software-updates/${id}/end`, {}, 409);
  assert.equal(await refused(`/software-updates/${uuidv7()}/end`, {}, 404), 'unknown-plan');
  await plane.declare();
  const ended = (await get('/software-updates')) as Record<string, Record<string, unknown>[]>;
  assert.notEqual(ended['plans']![0]!['endedAt'], null);
  assert.deepEqual(ended['devices'], []);
  // The name is free again.
  await post('/software-updates', plan({ name: 'Autumn', group }));
});

test('whoever only looks plans nothing', async () => {
  for (const [path, body] of [
    ['/software-updates', plan({ name: 'Not mine' })],
    ['/software-updates/feed', { feed: FEED }],
    [`/software-updates/${uuidv7()}/end`, {}],
  ] as const)
    assert.equal(await refused(path, body, 403, analyst), 'not-allowed');
});

test('no answer of all these named a person, a number or a serial, and nothing broke', () =>
  namesNobody(plane, desk, asked));
