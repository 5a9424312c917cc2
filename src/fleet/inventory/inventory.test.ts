import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { openPool, type Pool, type TestDatabase, testDatabase, tx } from '#store';
import { commandWays } from '../way.ts';
import { inventoryHistory, inventoryPlans, setInventoryPlan } from './history.ts';
import { askInventory, pruneHistory } from './refresh.ts';

let database: TestDatabase;
let core: Pool;
let console_: Pool;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'));
  console_ = openPool(database.as('console'));
  owner = openPool(database.admin, { max: 2 });
});
after(async () => {
  for (const pool of [core, console_, owner]) await pool.end();
  await database.close();
});
beforeEach(async () => {
  await owner.query("update fleet.inventory_turn set next_at = now() + interval '10 days'");
});

let count = 1000;
/** A device that has just enrolled. */
async function enrol(ownership = 'organisation'): Promise<string> {
  count += 1;
  const handle = `oak-lantern-${count}`;
  await core.query(`insert into fleet.device (handle, state, ownership) values ($1, 'authenticated', $2)`, [
    handle,
    ownership,
  ]);
  await core.query(`update fleet.device set state = 'enrolled', enrolled_at = now() where handle = $1`, [handle]);
  return handle;
}
const report = (handle: string, kind: string, facts: object) =>
  core.query(
    `insert into fleet.inventory (device_id, kind, facts) select id, $2, $3 from fleet.device where handle = $1
     on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = now()`,
    [handle, kind, JSON.stringify(facts)],
  );
const due = (handle: string) =>
  owner.query(
    'update fleet.inventory_turn t set next_at = now() from fleet.device d where d.id = t.device_id and d.handle = $1',
    [handle],
  );
const askedOf = async (handle: string) =>
  (
    await core.query<{ verb: string }>(
      `select verb from fleet.intent where targets @> jsonb_build_array(jsonb_build_object('device', $1::text)) order by verb`,
      [handle],
    )
  ).rows.map(({ verb }) => verb);

test('only what changed is kept, item by item for lists, and what changes by itself is not', async () => {
  const handle = await enrol();
  const profile = (id: string, uuid: string) => ({
    PayloadIdentifier: id,
    PayloadUUID: uuid,
    PayloadContent: [{ PayloadType: 'x' }],
  });
  await report(handle, 'DeviceInformation', { OSVersion: '18.0', BatteryLevel: 0.8, IsSupervised: false });
  await report(handle, 'ProfileList', { profiles: [profile('a', '1'), profile('b', '1')] });
  assert.deepEqual(await inventoryHistory(console_, handle, { limit: 10 }), [], 'the first answer changes nothing');
  await report(handle, 'DeviceInformation', { OSVersion: '18.0', BatteryLevel: 0.3, IsSupervised: false });
  assert.deepEqual(await inventoryHistory(console_, handle, { limit: 10 }), []);
  await report(handle, 'DeviceInformation', { OSVersion: '18.1', BatteryLevel: 0.2, IsSupervised: false });
  await report(handle, 'ProfileList', { profiles: [profile('c', '1'), profile('b', '2')] });
  await report(handle, 'ProfileList', { profiles: [profile('b', '2'), profile('c', '1')] });
  const found = await inventoryHistory(console_, handle, { limit: 10 });
  assert.deepEqual(
    found.map(({ kind, key, before: was, after: is }) => [kind, key, was, is]),
    [
      ['ProfileList', 'profiles:c', null, { PayloadIdentifier: 'c', PayloadUUID: '1' }],
      [
        'ProfileList',
        'profiles:b',
        { PayloadIdentifier: 'b', PayloadUUID: '1' },
        { PayloadIdentifier: 'b', PayloadUUID: '2' },
      ],
      ['ProfileList', 'profiles:a', { PayloadIdentifier: 'a', PayloadUUID: '1' }, null],
      ['DeviceInformation', 'OSVersion', '18.0', '18.1'],
    ],
  );
  assert.deepEqual(
    (await inventoryHistory(console_, handle, { limit: 10, before: found[2]!.id })).map(({ key }) => key),
    ['OSVersion'],
  );
});

test('history is bounded by number, whatever a device reports, and by age', async () => {
  const handle = await enrol();
  for (let round = 0; round < 6; round += 1)
    await report(handle, 'ProfileList', {
      profiles: Array.from({ length: 100 }, (_, n) => ({ PayloadIdentifier: `p${n}`, PayloadUUID: String(round) })),
    });
  await report(handle, 'ProfileList', {
    profiles: Array.from({ length: 40 }, (_, n) => ({ PayloadIdentifier: `q${n}` })),
  });
  assert.equal((await inventoryHistory(console_, handle, { limit: 2000 })).length, 500);
  await owner.query(
    `update fleet.inventory_change set at = now() - interval '401 days' where id in (select id from fleet.inventory_change limit 450)`,
  );
  assert.equal(await pruneHistory(core), 450);
});

test('a device that enrols is asked for everything once, by one batch of ordinary intents', async () => {
  const handle = await enrol();
  assert.equal(await askInventory(core, Date.now()), 0, 'not in the same second');
  await due(handle);
  const asked = await askInventory(core, Date.now());
  assert.ok(asked >= 3);
  const verbs = await askedOf(handle);
  assert.ok(['DeviceInformation', 'ProfileList', 'SecurityInfo'].every((verb) => verbs.includes(verb)));
  assert.equal(await askInventory(core, Date.now()), 0);
  const { rows } = await core.query<{ requester: string; risk: string; state: string }>(
    `select distinct requester, risk, state from fleet.intent where requester = 'core'`,
  );
  assert.deepEqual(rows, [{ requester: 'core', risk: 'read', state: 'ready' }]);
});

test('never a second of the same kind while one is pending, nor for what was answered lately', async () => {
  const handle = await enrol();
  await core.query(
    `insert into fleet.command (uuid, device_id, request_type, body, signature) select gen_random_uuid(), id, 'SecurityInfo', 'x', 'x' from fleet.device where handle = $1`,
    [handle],
  );
  await report(handle, 'ProfileList', { profiles: [] });
  await due(handle);
  await askInventory(core, Date.now());
  const verbs = await askedOf(handle);
  assert.ok(verbs.includes('DeviceInformation'));
  assert.ok(!verbs.includes('SecurityInfo') && !verbs.includes('ProfileList'));
});

test('who left is not asked, and a holder’s own phone is not asked which apps it has', async () => {
  const gone = await enrol();
  await core.query(`update fleet.device set state = 'checked_out' where handle = $1`, [gone]);
  const own = await enrol('personal');
  await due(gone);
  await due(own);
  await askInventory(core, Date.now());
  assert.deepEqual(await askedOf(gone), []);
  assert.ok(!(await askedOf(own)).includes('InstalledApplicationList'));
  assert.ok((await askedOf(own)).includes('SecurityInfo'));
});

test('turns keep their place in the day, are spread, and a shorter period holds at once', async () => {
  const { rows } = await owner.query<{ first: Date; second: Date; long: Date }>(
    `select fleet.inventory_next(n, 24, now()) as first, fleet.inventory_next(n, 24, fleet.inventory_next(n, 24, now()) + interval '1 second') as second,
       fleet.inventory_next(n, 72, now()) as long from generate_series(1, 400) n`,
  );
  const day = 86_400_000;
  const slots = new Set<number>();
  for (const { first, second, long } of rows) {
    assert.ok(first.getTime() >= Date.now() - 5_000 && first.getTime() <= Date.now() + day);
    assert.equal(second.getTime() - first.getTime(), day);
    assert.equal((long.getTime() - first.getTime()) % day, 0, 'the rarer visit falls together with a daily one');
    slots.add(Math.floor((first.getTime() % day) / (day / 24)));
  }
  assert.equal(slots.size, 24);
  const handle = await enrol();
  await owner.query(`update fleet.inventory_turn set next_at = now() + interval '20 days'`);
  await tx(console_, (t) => setInventoryPlan(t, { kind: 'SecurityInfo', hours: 1, by: 'amber-otter-4821' }));
  const next = await owner.query<{ soon: boolean; kind: string }>(
    `select t.kind, t.next_at <= now() + interval '1 hour' as soon from fleet.inventory_turn t join fleet.device d on d.id = t.device_id where d.handle = $1`,
    [handle],
  );
  assert.deepEqual(
    next.rows.filter(({ soon }) => soon).map(({ kind }) => kind),
    ['SecurityInfo'],
  );
  assert.equal((await inventoryPlans(console_)).find(({ kind }) => kind === 'SecurityInfo')?.hours, 1);
  await assert.rejects(
    tx(console_, (t) => setInventoryPlan(t, { kind: 'Contacts', hours: 24, by: 'amber-otter-4821' })),
    { code: 'unknown-kind' },
  );
});

test('a command’s way is one list with its waits in words', async () => {
  const handle = await enrol();
  const uuid = '01941234-1234-7234-8234-123412341234';
  const start = Date.now() - 600 * 60_000;
  const at = (minutes: number) => `'${new Date(start + minutes * 60_000).toISOString()}'::timestamptz`;
  await core.query(
    `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state, approval_id, created_at, dispatched_at)
     values ('01941234-1234-7234-8234-000000000001', 'EraseDevice', 'destroy', '{}', '[]', 'amber-otter-4821', 'stolen', 'dispatched',
       '01941234-1234-7234-8234-000000000002', ${at(0)}, ${at(30)})`,
  );
  await core.query(
    `insert into fleet.command (uuid, device_id, intent_id, request_type, body, signature, state, queued_at, delivered_at, deliveries, done_at, errors)
     select $1, id, '01941234-1234-7234-8234-000000000001', 'EraseDevice', 'x', 'x', 'error', ${at(30)}, ${at(270)}, 2, ${at(400)},
       '[{"code": 12021, "domain": "MCMDMErrorDomain"}]' from fleet.device where handle = $2`,
    [uuid, handle],
  );
  await core.query(
    `insert into fleet.push (device_id, state, wanted_at) select id, 'due', ${at(30)} from fleet.device where handle = $1`,
    [handle],
  );
  await core.query(
    `update fleet.push p set state = 'sent', sent_at = ${at(210)}, apns_id = 'A-1' from fleet.device d where d.id = p.device_id and d.handle = $1`,
    [handle],
  );
  await owner.query(
    `insert into log.event (time, uid, kind, class_uid, type_uid, severity_id, source, device, body, salt)
     values (${at(271)}, gen_random_uuid(), 'command.result', 6003, 600303, 1, 'edge', $1, $2, sha256('x'))`,
    [handle, JSON.stringify({ unmapped: { command: uuid, status: 'NotNow' } })],
  );
  const [way] = await commandWays(console_, handle, 10);
  assert.deepEqual(
    way?.steps.map(({ step, detail, gap }) => [step, detail, gap]),
    [
      ['wanted', 'by amber-otter-4821: stolen', null],
      ['approved', 'two people signed', 'waited 30 min for two people'],
      ['queued', null, null],
      ['pushed', 'APNs A-1', 'waited 3 h for push'],
      ['delivered', 'handed out 2 times', 'waited 60 min for the device to check in'],
      ['not-now', 'the device said NotNow (usually: it is locked)', 'waited 1 min for the device to check in again'],
      ['done', 'error: MCMDMErrorDomain 12021', 'waited 2 h after NotNow'],
    ],
  );
});
