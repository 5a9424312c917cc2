import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { openPool, type Pool, type TestDatabase, testDatabase, tx } from '#store';
import { evaluate } from '../groups/evaluate.ts';
import { type Filter, parseFilter } from '../groups/filter.ts';
import { followFacts } from '../groups/follow.ts';
import { saveGroup } from '../groups/group.ts';
import { judgeSilence, setSilence, silenceRules } from '../silence/silence.ts';
import { explain } from './explain.ts';
import { complianceOf, deleteRule, findingsOf, listRules, saveRule } from './rule.ts';

let database: TestDatabase;
let core: Pool;
let console_: Pool;
before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'));
  console_ = openPool(database.as('console'));
});
after(async () => {
  await core.end();
  await console_.end();
  await database.close();
});

const BY = 'amber-otter-4821';
let next = 1000;
/** A fresh pair of words a test, so that tests do not see each other's devices. */
let words = '';
const WORDS = ['oak', 'elm', 'fir', 'yew', 'ash', 'box', 'bay', 'fig'];
beforeEach(() => {
  next += 1;
  words = `${WORDS[next % WORDS.length]}-test`;
});
const settle = async () => {
  while ((await followFacts(core)) > 0) {
    // until nothing is left
  }
};
const device = async (n: number, os: string | null, extra = '') => {
  const handle = `${words}-${1000 + n}`;
  await core.query(
    `insert into fleet.device (handle, state, os_version, last_seen_at, enrolled_at) values ($1, 'enrolled', $2, now(), now())`,
    [handle, os],
  );
  if (extra !== '') await core.query(extra, [handle]);
  return handle;
};
const report = (handle: string, kind: string, facts: object) =>
  core.query(
    `insert into fleet.inventory (device_id, kind, facts) select id, $2, $3 from fleet.device where handle = $1
     on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = now()`,
    [handle, kind, JSON.stringify(facts)],
  );
const rule = (name: string, condition: Filter, more: { group?: string; graceHours?: number; id?: string } = {}) =>
  tx(console_, (t) =>
    saveRule(t, {
      name,
      condition,
      by: BY,
      group: more.group ?? null,
      graceHours: more.graceHours ?? 0,
      ...(more.id === undefined ? {} : { id: more.id }),
    }),
  );
const statesOf = async (handle: string) =>
  Object.fromEntries((await complianceOf(console_, handle, Date.now())).map(({ name, state }) => [name, state]));
const events = async (kind: string, id: string) =>
  (
    await core.query<{ device: string | null; state: string; count: number }>(
      `select device, body->'unmapped'->>'state' as state, (body->'unmapped'->>'count')::int as count from log.event
       where kind = $1 and body->'unmapped'->>'rule' = $2 order by seq`,
      [kind, id],
    )
  ).rows;

test('a rule says compliant only of what was reported; what is missing is unknown, and why is said in words', async () => {
  const good = await device(1, '18.1');
  const bad = await device(2, '17.4');
  const mute = await device(3, null);
  await report(good, 'SecurityInfo', { PasscodePresent: true, HardwareEncryptionCaps: 3 });
  await report(bad, 'SecurityInfo', { PasscodePresent: false, HardwareEncryptionCaps: 3 });
  const id = await rule('Sound', {
    all: [
      { field: 'os', op: 'at-least', value: '18' },
      { field: 'encrypted', op: 'is', value: true },
    ],
  });
  await settle();
  const [g] = await complianceOf(console_, good, Date.now());
  assert.equal(g?.state, 'compliant');
  assert.deepEqual(g?.why, []);
  const [b] = await complianceOf(console_, bad, Date.now());
  assert.equal(b?.state, 'failing');
  assert.deepEqual(b?.why, [
    'System version is 17.4; the rule asks for: at least 18.',
    'Storage encrypted is no; the rule asks for: yes.',
  ]);
  const [m] = await complianceOf(console_, mute, Date.now());
  assert.equal(m?.state, 'unknown');
  assert.deepEqual(m?.why, [
    'System version is not known: nothing was reported.',
    'Storage encrypted is not known: the device has not said it (SecurityInfo).',
  ]);
  assert.deepEqual(
    await events('compliance.changed', id),
    [
      { device: bad, state: 'failing', count: 1 },
      { device: mute, state: 'unknown', count: 1 },
    ],
    'that a device fits at the first look is no news',
  );
  assert.deepEqual((await listRules(console_)).find((one) => one.id === id)?.counts, {
    compliant: 1,
    grace: 0,
    failing: 1,
    unknown: 1,
  });
  assert.deepEqual(
    (await findingsOf(console_, { rule: id, state: 'unknown', limit: 10 }, Date.now())).map((one) => one.device),
    [mute],
  );

  await core.query(`update fleet.device set os_version = '18.0' where handle = $1`, [bad]);
  await report(bad, 'SecurityInfo', { PasscodePresent: true, HardwareEncryptionCaps: 3 });
  await settle();
  assert.equal((await statesOf(bad))['Sound'], 'compliant');
  assert.deepEqual((await events('compliance.changed', id)).at(-1), { device: bad, state: 'compliant', count: 1 });
  await core.query(`update fleet.device set state = 'checked_out' where handle = $1`, [bad]);
  await settle();
  assert.deepEqual(await statesOf(bad), {}, 'who left is judged no more');
  await tx(console_, (t) => deleteRule(t, { id, by: BY }));
  await settle();
  assert.deepEqual(await statesOf(good), {});
});

test('no condition is ever compliant over facts that are all missing, unless it asks for what is unknown', () => {
  const leaf: fc.Arbitrary<Filter> = fc.constantFrom(
    { field: 'os', op: 'at-least', value: '18' },
    { field: 'os', op: 'below', value: '18' },
    { field: 'passcode', op: 'is', value: true },
    { field: 'passcode', op: 'is', value: false },
    { field: 'profile', op: 'lacks', value: 'x' },
    { field: 'seen', op: 'older', value: '1d' },
    { field: 'model', op: 'is-not', value: 'x' },
  );
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('filter') }),
    ),
  }));
  fc.assert(
    fc.property(filter, (given) => {
      assert.equal(evaluate(given, {}, Date.now()), null);
      assert.notDeepEqual(explain(given, {}, Date.now()), [], 'and it says why');
    }),
  );
});

test('whatever is not met has a reason, and what is met has none', () => {
  const leaf: fc.Arbitrary<Filter> = fc
    .constantFrom('os', 'passcode', 'model')
    .map((field) =>
      field === 'os'
        ? { field, op: 'at-least', value: '18' }
        : field === 'model'
          ? { field, op: 'is', value: 'A' }
          : { field, op: 'is', value: true },
    );
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('filter') }),
    ),
  }));
  const facts = fc.record({
    os: fc.constantFrom(null, '17', '18'),
    passcode: fc.constantFrom(null, true, false),
    model: fc.constantFrom(null, 'A', 'B'),
  });
  fc.assert(
    fc.property(filter, facts, (given, known) => {
      const met = evaluate(given, known, 0) === true;
      assert.equal(explain(given, known, 0).length === 0, met);
    }),
    { numRuns: 500 },
  );
});

test('grace runs from the first failure, is not renewed by another report, and ends by itself', async () => {
  const handle = await device(1, '17.4');
  const id = await rule('Update in a day', { field: 'os', op: 'at-least', value: '18' }, { graceHours: 24 });
  await settle();
  assert.equal((await statesOf(handle))['Update in a day'], 'grace');
  const until = (await complianceOf(console_, handle, Date.now()))[0]!.graceUntil!;
  assert.ok(Math.abs(until.getTime() - Date.now() - 24 * 3_600_000) < 60_000);
  await core.query(`update fleet.device set os_version = '17.5' where handle = $1`, [handle]);
  await settle();
  assert.deepEqual((await complianceOf(console_, handle, Date.now()))[0]!.graceUntil, until);
  const owner = openPool(database.admin, { max: 1 });
  await owner.query(`update fleet.compliance set grace_until = now() - interval '1 minute' where rule_id = $1`, [id]);
  await owner.end();
  await settle();
  assert.equal((await statesOf(handle))['Update in a day'], 'failing');
  await core.query('update fleet.device set os_version = null where handle = $1', [handle]);
  await settle();
  assert.equal((await statesOf(handle))['Update in a day'], 'unknown');
  await core.query(`update fleet.device set os_version = '17.5' where handle = $1`, [handle]);
  await settle();
  const seen = (await events('compliance.changed', id)).filter((one) => one.device === handle);
  assert.deepEqual(
    seen.map(({ state }) => state),
    ['grace', 'failing', 'unknown', 'failing'],
    'being unknown for a while buys no second grace',
  );
});

test('a rule scoped by a group follows who is in it, and many devices make one event', async () => {
  await core.query(
    `insert into fleet.device (handle, state, os_version, model) select $1 || '-' || n, 'enrolled', '17.0', 'GROUPED' from generate_series(2000, 2039) n`,
    [words],
  );
  const group = await tx(console_, (t) =>
    saveGroup(t, { name: 'Grouped', filter: { field: 'model', op: 'is', value: 'GROUPED' }, by: BY }),
  );
  const id = await rule('In the group', parseFilter({ field: 'os', op: 'at-least', value: '18' }), { group: group.id });
  await settle();
  assert.deepEqual(await events('compliance.changed', id), [{ device: null, state: 'failing', count: 40 }]);
  await core.query(`update fleet.device set model = 'OTHER' where handle = $1`, [`${words}-2000`]);
  await settle();
  assert.equal((await statesOf(`${words}-2000`))['In the group'], undefined);
  assert.equal((await statesOf(`${words}-2001`))['In the group'], 'failing');
  await tx(console_, (t) =>
    saveGroup(t, { id: group.id, name: 'Grouped', filter: { field: 'model', op: 'is', value: 'OTHER' }, by: BY }),
  );
  await settle();
  assert.equal((await statesOf(`${words}-2000`))['In the group'], 'failing');
  assert.deepEqual((await listRules(console_)).find((one) => one.id === id)?.counts.failing, 1);
});

test('silence climbs in steps, the strictest rule counts, and a device that comes back is told of once', async () => {
  const handle = await device(1, '18.1');
  const age = (days: number) =>
    core.query(`update fleet.device set last_seen_at = now() - make_interval(hours => $2) where handle = $1`, [
      handle,
      days * 24 + 1,
    ]);
  const said = async () =>
    (
      await core.query<{ kind: string; step: number | null; suggest: string | null }>(
        `select kind, (body->'unmapped'->>'step')::int as step, body->'unmapped'->>'suggest' as suggest from log.event where device = $1 and kind ~ '^device[.](silent|heard)' order by seq`,
        [handle],
      )
    ).rows.map(({ kind, step, suggest }) => [kind, step, suggest].filter((part) => part !== null).join(' '));
  await age(13);
  await judgeSilence(core);
  assert.deepEqual(await said(), []);
  await age(14);
  await judgeSilence(core);
  await judgeSilence(core);
  assert.deepEqual(await said(), ['device.silent 1']);
  const group = await tx(console_, (t) =>
    saveGroup(t, { name: 'Strict', filter: { field: 'os', op: 'is', value: '18.1' }, by: BY }),
  );
  await settle();
  await tx(console_, (t) => setSilence(t, { group: group.id, days: 7, by: BY }));
  assert.deepEqual(
    (await silenceRules(console_)).map(({ groupName, days }) => [groupName, days]),
    [
      [null, 14],
      ['Strict', 7],
    ],
  );
  await judgeSilence(core);
  assert.deepEqual(await said(), ['device.silent 1', 'device.silent 2'], '14 days are twice seven');
  await age(22);
  await judgeSilence(core);
  assert.equal((await said()).at(-1), 'device.silent 3 retire');
  await age(0);
  await judgeSilence(core);
  await judgeSilence(core);
  assert.deepEqual((await said()).slice(3), ['device.heard_again']);
  await tx(console_, (t) => setSilence(t, { group: group.id, days: null, by: BY }));
  assert.equal((await silenceRules(console_)).length, 1);
  await assert.rejects(
    tx(console_, (t) => setSilence(t, { group: null, days: null, by: BY })),
    { code: 'bad-request' },
  );
});
