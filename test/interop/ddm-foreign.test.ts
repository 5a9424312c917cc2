import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { getDevice } from '#fleet';
import { type DdmStage, ddmStage } from './ddm-stage.ts';

// Declarative management judged by kmfddm, which others wrote: its types and parsers read what we say, and the status
// reports that it is tested with, one of them a real iPhone's, are taken by us.
const SUBSCRIPTIONS = 'bartizan.status-subscriptions';
const MATH = 'com.apple.configuration.math.settings';
let stage: DdmStage;
let plane: DdmStage['plane'];
before(async () => {
  stage = await ddmStage();
  plane = stage.plane;
});
after(() => stage?.close());

test('kmfddm’s types take our tokens, items and declarations; the console shows how its phone stands', async () => {
  const { device, dir } = await stage.enrolled();
  await assert.rejects(stage.sync(dir), /tokens: the server answered 404/, 'nothing was declared yet');
  const passcode = await stage.declare('foreign.passcode', 'com.apple.configuration.passcode.settings', {
    MinimumLength: 8,
  });
  const math = await stage.declare('foreign.math', MATH, {
    SystemBehavior: { MathNotes: true, KeyboardSuggestions: true },
  });
  const set = await stage.putSet(null, 'Foreign', [passcode, math], [device]);

  const [token, ...more] = await stage.told(dir);
  assert.deepEqual(more, []);
  const first = await stage.sync(dir);
  assert.equal(first.token, token, 'the command brings the token that the list has');
  assert.deepEqual(first.fetched, [
    'bartizan.set.00000000-0000-4000-8000-0000000000dd',
    `bartizan.set.${set}`,
    SUBSCRIPTIONS,
    'foreign.math',
    'foreign.passcode',
  ]);
  const held = JSON.parse(await stage.go(['show', dir, 'foreign.passcode'])) as { Payload: unknown };
  assert.deepEqual(held.Payload, { MinimumLength: 8 });
  assert.deepEqual(await stage.states(device), {
    ...{ [SUBSCRIPTIONS]: 'waiting', 'foreign.math': 'waiting', 'foreign.passcode': 'waiting' },
  });
  assert.equal((await stage.shown(device)).upToDate, true);

  const full = { StatusItems: { device: { 'operating-system': { version: '18.3', family: 'iOS' } } }, Errors: [] };
  await stage.go(['report', dir, 'held'], JSON.stringify({ ...full, FullReport: true }));
  assert.deepEqual([...new Set(Object.values(await stage.states(device, 'no such')))], ['applied']);
  assert.deepEqual(await stage.sync(dir), { token, held: 5, fetched: [], gone: [] });

  // One change: one command, one declaration fetched.
  await stage.declare('foreign.math', MATH, { SystemBehavior: { MathNotes: false, KeyboardSuggestions: true } });
  await plane.declare();
  assert.equal((await stage.states(device))['foreign.math'], 'changed');
  const nudged = await stage.told(dir);
  assert.equal(nudged.length, 1);
  const second = await stage.sync(dir);
  assert.deepEqual([second.token, second.fetched], [nudged[0], ['foreign.math']]);
  assert.notEqual(second.token, token);

  // The first content again: the first token again, and nothing but that declaration.
  await stage.declare('foreign.math', MATH, { SystemBehavior: { KeyboardSuggestions: true, MathNotes: true } });
  await plane.declare();
  assert.deepEqual(await stage.told(dir), [token]);
  assert.deepEqual((await stage.sync(dir)).fetched, ['foreign.math']);

  await stage.putSet(set, 'Foreign', [passcode], [device]);
  await stage.told(dir);
  const last = await stage.sync(dir);
  // what switches the set on names one configuration less
  assert.deepEqual([last.fetched, last.gone], [[`bartizan.set.${set}`], ['foreign.math']]);
  assert.equal((await stage.states(device))['foreign.math'], 'left-over', 'until the phone says that it is gone');
  await stage.go(['report', dir, 'held'], JSON.stringify({ StatusItems: {}, Errors: [] }));
  assert.equal((await stage.states(device))['foreign.math'], undefined);
  assert.deepEqual(plane.problems, []);
});

test('incremental reports change what they name; a declaration that is invalid shows its reason', async () => {
  const { device, dir } = await stage.enrolled();
  const safari = await stage.declare('foreign.safari', 'com.apple.configuration.safari.settings', {
    AllowPopups: false,
  });
  const type = 'com.apple.management.organization-info';
  const info = await stage.declare('foreign.organisation', type, { Name: 'Example Agency' });
  await stage.putSet(null, 'Foreign Safari', [safari, info], [device]);
  await stage.told(dir);
  await stage.sync(dir);
  const say = (words: readonly string[], items: object, errors: readonly object[] = [], full = false) =>
    stage.go(
      ['report', dir, ...words],
      JSON.stringify({ StatusItems: items, Errors: errors, ...(full ? { FullReport: true } : {}) }),
    );
  const app = (identifier: string, state: string) => ({ identifier, name: 'Maps of Maja', state });
  const passcode = { 'is-present': true, 'is-compliant': true };
  const list = [app('com.example.maps', 'installing'), app('com.example.mail', 'managed')];
  await say(['held'], { passcode, app: { managed: { list } } }, [], true);

  await say(['held', 'foreign.safari=Error.ConfigurationCannotBeApplied'], {});
  const invalid = (await stage.shown(device)).declarations.find(({ identifier }) => identifier === 'foreign.safari')!;
  assert.deepEqual([invalid.state, invalid.reasons], ['invalid', ['Error.ConfigurationCannotBeApplied']]);
  assert.equal((await stage.states(device))['foreign.organisation'], 'applied', 'though nothing activates it');

  await say([], {
    passcode: { 'is-compliant': false },
    app: {
      managed: { list: [app('com.example.maps', 'managed'), { identifier: 'com.example.mail', _removed: true }] },
    },
  });
  const now = await stage.shown(device);
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
  const failed = await stage.shown(device);
  assert.deepEqual(failed.errors, { 'passcode.is-compliant': ['Error.NotSupported'] });
  assert.deepEqual(failed.values, { 'passcode.is-present': true }, 'what cannot be read any more is not known');
  await say([], { passcode: { 'is-compliant': true } });
  assert.deepEqual((await stage.shown(device)).errors, {});

  await say(['held'], { passcode: { 'is-present': true } }, [], true);
  const whole = await stage.shown(device);
  assert.deepEqual([whole.values, whole.lists, whole.errors], [{ 'passcode.is-present': true }, {}, {}]);
  assert.equal(whole.declarations.find(({ identifier }) => identifier === 'foreign.safari')?.state, 'applied');
});

test('tokens are the same after a restart, and nobody is nudged by one', async () => {
  const { device, dir } = await stage.enrolled();
  const id = await stage.declare('foreign.siri', 'com.apple.configuration.siri.settings', { AllowWhileLocked: false });
  await stage.putSet(null, 'Foreign Siri', [id], [device]);
  await stage.told(dir);
  const before = await stage.sync(dir);
  // Core begins with what it does at every start; edge has nothing in memory.
  await plane.declare();
  assert.deepEqual(await stage.told(dir), []);
  const edge = await plane.anotherEdge();
  try {
    const file = join(dir, 'state.json');
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(plane.url, edge.url));
    assert.deepEqual(await stage.sync(dir), { ...before, fetched: [], gone: [] });
  } finally {
    await edge.close();
  }
});

test('the status report of a real iPhone, which comes with kmfddm, is taken and shown without its push token', async () => {
  const { device, dir } = await stage.enrolled();
  const id = await stage.declare('foreign.access', 'com.apple.configuration.math.settings', { Calculator: {} });
  await stage.putSet(null, 'Foreign access', [id], [device]);
  const data = join(await stage.kmfddm(), 'ddm', 'testdata');
  const report = readFileSync(
    join(data, 'A047820F-FC6B-4104-BED0-466876D82BB8.20220628-103225.001918.status.json'),
    'utf8',
  );
  await stage.go(['report', dir], report);
  const now = await stage.shown(device);
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
  const { device, dir } = await stage.enrolled();
  const id = await stage.declare('foreign.access', MATH, { Calculator: {} });
  await stage.putSet(null, 'Foreign first', [id], [device]);
  const data = join(await stage.kmfddm(), 'test', 'e2e', 'testdata');
  await stage.go(['report', dir], readFileSync(join(data, 'status.1st.json'), 'utf8'));
  const first = await stage.shown(device);
  assert.deepEqual(
    [first.values['device.model.family'], first.values['device.operating-system.supplemental.extra-version']],
    ['Mac', '(a)'],
  );
  const able = first.values['management.client-capabilities'] as { 'supported-payloads': { 'status-items': string[] } };
  assert.ok(able['supported-payloads']['status-items'].includes('test.array-value'));
  assert.doesNotMatch(JSON.stringify(first), /ZRMXJQTTFX|5FADE97DCBBBEDA5/, 'we know serial and UDID already');
  assert.deepEqual([...new Set(first.declarations.map(({ state }) => state))], ['waiting']);

  await stage.go(['report', dir], readFileSync(join(data, 'status.D0.error.json'), 'utf8'));
  const found = (await stage.shown(device)).declarations.find(({ identifier }) => identifier === 'com.example.test')!;
  assert.deepEqual([found.state, found.reasons], ['left-over', ['Info.NotReferencedByActivation']]);
});
