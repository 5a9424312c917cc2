import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { getDevice } from '#fleet';
import { DdmClient, KeyPool, newPhone, openLine, Phone } from '#sim';
import type { Person } from '../../src/run/person.ts';
import { freePorts } from '../flows/product.ts';
import { bodyOf, type ConsolePlane, consolePlane } from './console.ts';
import { startKmfddm } from './ddm-kmfddm.ts';
import { buildGo, goModule } from './go-build.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Declarative management judged by kmfddm, which others wrote: its types and parsers read what we say, the status report of
// a real iPhone that comes with it is taken by us, and its server is synchronised by our simulated client.
const KMFDDM = 'github.com/jessepeterson/kmfddm';
const SUBSCRIPTIONS = 'bartizan.status-subscriptions';
const MATH = 'com.apple.configuration.math.settings';
const line = openLine({ sockets: 2 });
const dirs: string[] = [];
let plane: DevicePlane;
let desk: ConsolePlane;
let admin: Person;
let program: string;
let server: string;
before(async () => {
  program = await buildGo('foreignphone');
  server = await buildGo('foreignphone', `${KMFDDM}/cmd/kmfddm`);
  plane = await devicePlane();
  desk = await consolePlane(plane);
  admin = await desk.person('amber-otter-4821', 'administrator');
});
after(async () => {
  line.close();
  await desk?.close();
  await plane?.close();
  for (const path of [...dirs, program && dirname(program), server && dirname(server)])
    if (path) rmSync(path, { recursive: true, force: true });
});

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), 'btz-ddm-'));
  dirs.push(dir);
  return dir;
};

/** Runs the foreign phone; rejects with its own words. */
function go(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr || error.message)),
    );
    // A command that reads nothing may be gone before it is spoken to.
    child.stdin!.on('error', () => {}).end(input);
  });
}
interface Synced {
  readonly token: string;
  readonly held: number;
  readonly fetched: readonly string[];
  readonly gone: readonly string[];
}
const sync = async (dir: string) => JSON.parse(await go(['sync', dir])) as Synced;
/** Tokens of the DeclarativeManagement commands that waited; no other command may. */
async function told(dir: string): Promise<(string | undefined)[]> {
  const lines = (await go(['poll', dir])).split('\n').filter((one) => one !== '');
  const orders = lines.map((one) => JSON.parse(one) as { verb: string; status: string; token?: string });
  assert.ok(orders.every(({ verb, status }) => verb === 'DeclarativeManagement' && status === 'Acknowledged'));
  return orders.map(({ token }) => token);
}

let phones = 5;
async function enrolled(): Promise<{ device: string; dir: string }> {
  const dir = folder();
  const [offer] = await plane.offer(1);
  phones += 1;
  await go(['enrol', dir, offer!.link, `sha256,rsa,detached,put,n=${phones.toString(16).toUpperCase()}`]);
  return { device: offer!.device, dir };
}

async function declare(identifier: string, type: string, payload: object): Promise<string> {
  const answer = await admin.call('POST', '/api/declarations', { identifier, type, payload });
  return String(bodyOf(answer)['id']);
}
async function putSet(id: string | null, name: string, declarations: readonly string[], devices: readonly string[]) {
  const body = { id, name, predicate: null, everyone: false, groups: [], declarations, devices };
  const answer = await admin.call('POST', '/api/declaration-sets', body);
  await plane.declare();
  return String(bodyOf(answer)['id']);
}
interface Shown {
  readonly token: string;
  readonly upToDate: boolean;
  readonly values: Record<string, unknown>;
  readonly lists: Record<string, Record<string, unknown>>;
  readonly errors: Record<string, unknown>;
  readonly declarations: readonly { identifier: string; state: string; reasons: string[] }[];
  readonly changes: readonly { path: string; before: unknown; after: unknown }[];
}
const shown = async (device: string) =>
  bodyOf(await admin.call('GET', `/api/devices/${device}/declared`))['standing'] as Shown;
const states = async (device: string, but = 'bartizan.set.') =>
  Object.fromEntries(
    (await shown(device)).declarations
      .filter(({ identifier }) => !identifier.startsWith(but))
      .map(({ identifier, state }) => [identifier, state]),
  );

test('kmfddm’s types take our tokens, items and declarations; the console shows how its phone stands', async () => {
  const { device, dir } = await enrolled();
  await assert.rejects(sync(dir), /tokens: the server answered 404/, 'nothing was declared yet');
  const passcode = await declare('foreign.passcode', 'com.apple.configuration.passcode.settings', { MinimumLength: 8 });
  const math = await declare('foreign.math', MATH, { SystemBehavior: { MathNotes: true, KeyboardSuggestions: true } });
  const set = await putSet(null, 'Foreign', [passcode, math], [device]);

  const [token, ...more] = await told(dir);
  assert.deepEqual(more, []);
  const first = await sync(dir);
  assert.equal(first.token, token, 'the command brings the token that the list has');
  assert.deepEqual(first.fetched, [
    'bartizan.set.00000000-0000-4000-8000-0000000000dd',
    `bartizan.set.${set}`,
    SUBSCRIPTIONS,
    'foreign.math',
    'foreign.passcode',
  ]);
  const held = JSON.parse(await go(['show', dir, 'foreign.passcode'])) as { Payload: unknown };
  assert.deepEqual(held.Payload, { MinimumLength: 8 });
  assert.deepEqual(await states(device), {
    ...{ [SUBSCRIPTIONS]: 'waiting', 'foreign.math': 'waiting', 'foreign.passcode': 'waiting' },
  });
  assert.equal((await shown(device)).upToDate, true);

  const full = { StatusItems: { device: { 'operating-system': { version: '18.3', family: 'iOS' } } }, Errors: [] };
  await go(['report', dir, 'held'], JSON.stringify({ ...full, FullReport: true }));
  assert.deepEqual([...new Set(Object.values(await states(device, 'no such')))], ['applied']);
  assert.deepEqual(await sync(dir), { token, held: 5, fetched: [], gone: [] });

  // One change: one command, one declaration fetched.
  await declare('foreign.math', MATH, { SystemBehavior: { MathNotes: false, KeyboardSuggestions: true } });
  await plane.declare();
  assert.equal((await states(device))['foreign.math'], 'changed');
  const nudged = await told(dir);
  assert.equal(nudged.length, 1);
  const second = await sync(dir);
  assert.deepEqual([second.token, second.fetched], [nudged[0], ['foreign.math']]);
  assert.notEqual(second.token, token);

  // The first content again: the first token again, and nothing but that declaration.
  await declare('foreign.math', MATH, { SystemBehavior: { KeyboardSuggestions: true, MathNotes: true } });
  await plane.declare();
  assert.deepEqual(await told(dir), [token]);
  assert.deepEqual((await sync(dir)).fetched, ['foreign.math']);

  await putSet(set, 'Foreign', [passcode], [device]);
  await told(dir);
  const last = await sync(dir);
  // what switches the set on names one configuration less
  assert.deepEqual([last.fetched, last.gone], [[`bartizan.set.${set}`], ['foreign.math']]);
  assert.equal((await states(device))['foreign.math'], 'left-over', 'until the phone says that it is gone');
  await go(['report', dir, 'held'], JSON.stringify({ StatusItems: {}, Errors: [] }));
  assert.equal((await states(device))['foreign.math'], undefined);
  assert.deepEqual(plane.problems, []);
});

test('incremental reports change what they name; a declaration that is invalid shows its reason', async () => {
  const { device, dir } = await enrolled();
  const safari = await declare('foreign.safari', 'com.apple.configuration.safari.settings', { AllowPopups: false });
  const type = 'com.apple.management.organization-info';
  const info = await declare('foreign.organisation', type, { Name: 'Example Agency' });
  await putSet(null, 'Foreign Safari', [safari, info], [device]);
  await told(dir);
  await sync(dir);
  const say = (words: readonly string[], items: object, errors: readonly object[] = [], full = false) =>
    go(
      ['report', dir, ...words],
      JSON.stringify({ StatusItems: items, Errors: errors, ...(full ? { FullReport: true } : {}) }),
    );
  const app = (identifier: string, state: string) => ({ identifier, name: 'Maps of Maja', state });
  const passcode = { 'is-present': true, 'is-compliant': true };
  const list = [app('com.example.maps', 'installing'), app('com.example.mail', 'managed')];
  await say(['held'], { passcode, app: { managed: { list } } }, [], true);

  await say(['held', 'foreign.safari=Error.ConfigurationCannotBeApplied'], {});
  const invalid = (await shown(device)).declarations.find(({ identifier }) => identifier === 'foreign.safari')!;
  assert.deepEqual([invalid.state, invalid.reasons], ['invalid', ['Error.ConfigurationCannotBeApplied']]);
  assert.equal((await states(device))['foreign.organisation'], 'applied', 'though nothing activates it');

  await say([], {
    passcode: { 'is-compliant': false },
    app: {
      managed: { list: [app('com.example.maps', 'managed'), { identifier: 'com.example.mail', _removed: true }] },
    },
  });
  const now = await shown(device);
  assert.deepEqual(now.values, { 'passcode.is-present': true, 'passcode.is-compliant': false });
  assert.deepEqual(now.lists, { 'app.managed.list': { 'com.example.maps': { state: 'managed' } } });
  assert.equal(now.declarations.find(({ identifier }) => identifier === 'foreign.safari')?.state, 'invalid');
  assert.deepEqual(
    now.changes.map(({ path, before, after }) => [path, before, after]),
    [
      ['app.managed.list/com.example.maps', { state: 'installing' }, { state: 'managed' }],
      ['app.managed.list/com.example.mail', { state: 'managed' }, null],
      ['passcode.is-compliant', true, false],
    ],
  );
  assert.doesNotMatch(JSON.stringify(now), /Maja/, 'an app’s name is not kept');

  const reasons = [{ Code: 'Error.NotSupported', Description: 'Maja’s phone has none' }];
  await say([], {}, [{ StatusItem: 'passcode.is-compliant', Reasons: reasons }]);
  const failed = await shown(device);
  assert.deepEqual(failed.errors, { 'passcode.is-compliant': ['Error.NotSupported'] });
  assert.deepEqual(failed.values, { 'passcode.is-present': true }, 'what cannot be read any more is not known');
  await say([], { passcode: { 'is-compliant': true } });
  assert.deepEqual((await shown(device)).errors, {});

  await say(['held'], { passcode: { 'is-present': true } }, [], true);
  const whole = await shown(device);
  assert.deepEqual([whole.values, whole.lists, whole.errors], [{ 'passcode.is-present': true }, {}, {}]);
  assert.equal(whole.declarations.find(({ identifier }) => identifier === 'foreign.safari')?.state, 'applied');
});

test('tokens are the same after a restart, and nobody is nudged by one', async () => {
  const { device, dir } = await enrolled();
  const id = await declare('foreign.siri', 'com.apple.configuration.siri.settings', { AllowWhileLocked: false });
  await putSet(null, 'Foreign Siri', [id], [device]);
  await told(dir);
  const before = await sync(dir);
  // Core begins with what it does at every start; edge has nothing in memory.
  await plane.declare();
  assert.deepEqual(await told(dir), []);
  const edge = await plane.anotherEdge();
  try {
    const file = join(dir, 'state.json');
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(plane.url, edge.url));
    assert.deepEqual(await sync(dir), { ...before, fetched: [], gone: [] });
  } finally {
    await edge.close();
  }
});

test('the status report of a real iPhone, which comes with kmfddm, is taken and shown without its push token', async () => {
  const { device, dir } = await enrolled();
  const id = await declare('foreign.access', 'com.apple.configuration.math.settings', { Calculator: {} });
  await putSet(null, 'Foreign access', [id], [device]);
  const data = join(await goModule('foreignphone', KMFDDM), 'ddm', 'testdata');
  const report = readFileSync(
    join(data, 'A047820F-FC6B-4104-BED0-466876D82BB8.20220628-103225.001918.status.json'),
    'utf8',
  );
  await go(['report', dir], report);
  const now = await shown(device);
  assert.equal(now.values['device.model.marketing-name'], 'iPhone 8 Plus');
  assert.equal(now.values['device.operating-system.version'], '16.0');
  const { device: row } = await getDevice(plane.console, device);
  assert.equal(row.osVersion, '16.0');
  const theirs = now.declarations.filter(({ identifier }) => /^[0-9A-F-]{36}$/.test(identifier));
  assert.equal(theirs.length, 5);
  assert.deepEqual([...new Set(theirs.map(({ state }) => state))], ['left-over'], 'another server had declared them');
  assert.deepEqual(
    theirs.filter(({ reasons }) => reasons.length > 0).map(({ reasons }) => reasons),
    [['Error.ConfigurationCannotBeApplied'], ['Error.ConfigurationCannotBeApplied']],
  );
  assert.doesNotMatch(JSON.stringify(now), /bwyw7bcw/, 'a push token is no status');
  assert.doesNotMatch(JSON.stringify(now), /Profile Installation Failed/);
  const stored = await plane.owner<{ text: string }>(
    `select s::text as text from fleet.declared_status s join fleet.device d on d.id = s.device_id where d.handle = $1`,
    [device],
  );
  assert.doesNotMatch(stored[0]!.text, /bwyw7bcw/);
});

test('the other reports that kmfddm is tested with: the first of a device, and one about a declaration that is not switched on', async () => {
  const { device, dir } = await enrolled();
  const id = await declare('foreign.access', MATH, { Calculator: {} });
  await putSet(null, 'Foreign first', [id], [device]);
  const data = join(await goModule('foreignphone', KMFDDM), 'test', 'e2e', 'testdata');
  await go(['report', dir], readFileSync(join(data, 'status.1st.json'), 'utf8'));
  const first = await shown(device);
  assert.deepEqual(
    [first.values['device.model.family'], first.values['device.operating-system.supplemental.extra-version']],
    ['Mac', '(a)'],
  );
  const able = first.values['management.client-capabilities'] as { 'supported-payloads': { 'status-items': string[] } };
  assert.ok(able['supported-payloads']['status-items'].includes('test.array-value'));
  assert.doesNotMatch(JSON.stringify(first), /ZRMXJQTTFX|5FADE97DCBBBEDA5/, 'we know serial and UDID already');
  assert.deepEqual([...new Set(first.declarations.map(({ state }) => state))], ['waiting']);

  await go(['report', dir], readFileSync(join(data, 'status.D0.error.json'), 'utf8'));
  const found = (await shown(device)).declarations.find(({ identifier }) => identifier === 'com.example.test')!;
  assert.deepEqual([found.state, found.reasons], ['left-over', ['Info.NotReferencedByActivation']]);
});

test('kmfddm reads the reports of our simulated phone as we do', async () => {
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'Maja’s iPhone', phoneNumber: '+447700900123' }), {
    ...{ send: line.send, keyPool: new KeyPool() },
  });
  await phone.enrol(offer!.link);
  const good = await declare('foreign.audio', 'com.apple.configuration.audio-accessory.settings', {
    TemporaryPairing: { Disabled: true },
  });
  const wrong = await declare('foreign.wrong', 'com.apple.configuration.intelligence.settings', {
    AllowGenmoji: false,
  });
  await putSet(null, 'Simulated', [good, wrong], [offer!.device]);
  const reports: string[] = [];
  const client = new DdmClient(
    (endpoint, data) => {
      if (data !== undefined) reports.push(Buffer.from(data).toString('utf8'));
      return phone.sayDeclarative(endpoint, undefined, data);
    },
    {
      facts: () => ({
        'device.model.family': 'iPhone',
        'passcode.is-present': true,
        'device.operating-system.version': '18.1',
      }),
      behaviour: { invalid: { identifiers: ['foreign.wrong'], code: 'Error.ConfigurationCannotBeApplied' } },
    },
  );
  assert.equal(await client.synchronise(), 5);
  assert.equal(reports.length, 1);
  const read = JSON.parse(await go(['judge'], reports[0])) as {
    declarations: { identifier: string; active: boolean; valid: string; 'server-token': string }[];
    values: Record<string, string[]>;
    errors: { identifier?: string; StatusItem?: string }[];
    unhandled: string[] | null;
  };
  const ours = (
    await plane.core.query<{ identifier: string; active: boolean; valid: string; token: string }>(
      `select s.identifier, s.active, s.valid, s.token from fleet.declared_state s join fleet.device d on d.id = s.device_id
       where d.handle = $1 order by s.kind, s.identifier`,
      [offer!.device],
    )
  ).rows;
  const sorted = (rows: readonly { identifier: string }[]) =>
    [...rows].sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  assert.deepEqual(
    sorted(
      read.declarations.map((one) => ({
        identifier: one.identifier,
        active: one.active,
        valid: one.valid,
        token: one['server-token'],
      })),
    ),
    sorted(ours),
  );
  assert.equal(ours.length, 5);
  const now = await shown(offer!.device);
  assert.deepEqual(read.values['.StatusItems.device.model.family'], ['iPhone']);
  assert.equal(now.values['device.model.family'], 'iPhone');
  // kmfddm calls the invalid declaration an error too; the others are status items that the device cannot report
  const items = read.errors.flatMap(({ StatusItem }) => StatusItem ?? []).sort();
  assert.deepEqual(items, Object.keys(now.errors).sort());
  assert.ok(items.length > 0);
  assert.deepEqual(
    read.errors.flatMap(({ identifier }) => identifier ?? []),
    ['foreign.wrong'],
  );
});

test('our simulated client synchronises with kmfddm’s server, fetches what changed alone, and survives its restart', async () => {
  const kmfddm = await startKmfddm(server, folder(), (await freePorts()) + 2);
  try {
    // The declarations that go in are ours, byte for byte.
    const { device, dir } = await enrolled();
    const id = await declare('foreign.notes', MATH, {
      SystemBehavior: { MathNotes: false, KeyboardSuggestions: true },
    });
    const set = await putSet(null, 'For kmfddm', [id], [device]);
    await sync(dir);
    const identifiers = [
      `bartizan.set.${set}`,
      SUBSCRIPTIONS,
      'foreign.notes',
      'bartizan.set.00000000-0000-4000-8000-0000000000dd',
    ];
    for (const identifier of identifiers) {
      const body = await go(['show', dir, identifier]);
      assert.equal((await kmfddm.api('PUT', '/declarations', body)).status, 204, identifier);
      await kmfddm.api('PUT', `/set-declarations/ours?declaration=${identifier}`);
    }
    await kmfddm.api('PUT', '/enrollment-sets/PHONE?set=ours');

    const facts = { 'device.model.family': 'iPhone', 'passcode.is-present': true };
    const wrong = { identifiers: [] as string[], code: 'Error.ConfigurationCannotBeApplied' };
    const client = new DdmClient(kmfddm.as('PHONE'), { facts: () => facts, behaviour: { invalid: wrong } });
    assert.equal(await client.synchronise(), 4);
    assert.deepEqual(
      client
        .active()
        .map(({ identifier }) => identifier)
        .sort(),
      [SUBSCRIPTIONS, 'foreign.notes'],
    );
    type Status = { identifier: string; active: boolean; valid: string; current: boolean; reasons?: unknown[] };
    const status = async () =>
      ((await kmfddm.api('GET', '/declaration-status/PHONE')).body as { PHONE: Status[] }).PHONE;
    assert.deepEqual(
      (await status()).map(({ identifier, active, valid, current }) => [identifier, active, valid, current]).sort(),
      identifiers.map((identifier) => [identifier, true, 'valid', true]).sort(),
    );
    const values = (await kmfddm.api('GET', '/status-values/PHONE')).body as {
      PHONE: { path: string; value: string }[];
    };
    assert.deepEqual(
      values.PHONE.filter(({ path }) => path.startsWith('.StatusItems.device.')).map(({ path, value }) => [
        path,
        value,
      ]),
      [['.StatusItems.device.model.family', 'iPhone']],
    );

    const changed = JSON.parse(await go(['show', dir, 'foreign.notes'])) as { Payload: object };
    const payload = { SystemBehavior: { MathNotes: true, KeyboardSuggestions: true } };
    await kmfddm.api('PUT', '/declarations', JSON.stringify({ ...changed, Payload: payload }));
    wrong.identifiers.push('foreign.notes');
    const asked = client.asked.get('declaration')!;
    assert.equal(await client.synchronise(), 1);
    assert.equal(client.asked.get('declaration')! - asked, 1);
    const bad = (await status()).find(({ identifier }) => identifier === 'foreign.notes')!;
    assert.deepEqual([bad.valid, bad.current, bad.reasons?.length], ['invalid', true, 1]);
    const errors = (await kmfddm.api('GET', '/status-errors/PHONE')).body as { PHONE: { path: string }[] };
    assert.ok(errors.PHONE.length > 0);

    await kmfddm.restart();
    assert.equal(await client.synchronise(), 0, 'the same token, from its files');
    await kmfddm.api('DELETE', '/enrollment-sets/PHONE?set=ours');
    assert.equal(await client.synchronise(), 0);
    assert.deepEqual(client.state.held, []);
  } finally {
    await kmfddm.stop();
  }
});
