import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { openPool, type Pool, type TestDatabase, testDatabase, tx } from '#store';
import { listDevices } from '../devices.ts';
import { followFacts } from './follow.ts';
import { deleteGroup, getGroup, groupsOf, listGroups, previewFilter, saveGroup } from './group.ts';

let database: TestDatabase;
let core: Pool;
let console_: Pool;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'));
  console_ = openPool(database.as('console'));
  owner = openPool(database.admin, { max: 1 });
});
after(async () => {
  await core.end();
  await console_.end();
  await owner.end();
  await database.close();
});

const BY = 'amber-otter-4821';
const texts = ['iPhone16,1', 'iphone16,2', 'iPad13,18', 'A', '%_\\', "o'clock; --", 'Ä'];
const triple = fc.constantFrom(null, true, false);

const settle = async () => {
  while ((await followFacts(core)) > 0) {
    // until nothing is left
  }
};
const save = (name: string, given: unknown, id?: string) =>
  tx(console_, (t) => saveGroup(t, { name, filter: given, by: BY, ...(id === undefined ? {} : { id }) }));
const membersOf = async (id: string) =>
  (
    await core.query<{ handle: string }>(
      'select d.handle from fleet.group_member m join fleet.device d on d.id = m.device_id where m.group_id = $1 order by 1',
      [id],
    )
  ).rows.map(({ handle }) => handle);
const changes = async (id: string) =>
  (
    await core.query<{ joined: number; gone: number; devices: string[] }>(
      `select (body->'unmapped'->>'joined')::int as joined, (body->'unmapped'->>'left')::int as gone, body->'unmapped'->'devices' as devices
       from log.event where kind = 'group.changed' and body->'unmapped'->>'group' = $1 order by seq`,
      [id],
    )
  ).rows;

test('a group is filled when it is saved, follows each change of a fact, and is emptied when it is deleted', async () => {
  await core.query(
    `insert into fleet.device (handle, state, os_version) select 'oak-lantern-' || n, 'enrolled', case when n < 2005 then '17.4' else '18.1' end
     from generate_series(2000, 2009) n`,
  );
  const old = {
    all: [
      { field: 'state', op: 'is', value: 'enrolled' },
      { field: 'os', op: 'below', value: '18' },
    ],
  };
  assert.deepEqual(await previewFilter(console_, old), {
    count: 5,
    sample: Array.from({ length: 5 }, (_, n) => `oak-lantern-${2000 + n}`),
  });
  const group = await save('Old systems', old);
  assert.equal(group.inStep, false);
  await settle();
  assert.equal((await getGroup(console_, group.id)).members, 5);
  assert.equal((await getGroup(console_, group.id)).inStep, true);
  assert.deepEqual(
    await changes(group.id),
    [{ joined: 5, gone: 0, devices: await membersOf(group.id) }],
    'one event for all',
  );

  await core.query(`update fleet.device set os_version = '18.2' where handle = 'oak-lantern-2000'`);
  await core.query(`update fleet.device set os_version = '17.7' where handle = 'oak-lantern-2009'`);
  await settle();
  assert.deepEqual((await changes(group.id)).at(-1), {
    joined: 1,
    gone: 1,
    devices: ['oak-lantern-2000', 'oak-lantern-2009'],
  });
  assert.deepEqual(
    (await groupsOf(console_, 'oak-lantern-2009')).map(({ name }) => name),
    ['Old systems'],
  );
  await core.query(`update fleet.device set last_seen_at = now() where handle like 'oak-lantern-%'`);
  assert.equal((await owner.query('select from fleet.touched')).rows.length, 0, 'being seen marks nobody');

  await save('Older systems', { field: 'os', op: 'below', value: '17.5' }, group.id);
  await settle();
  assert.deepEqual(await membersOf(group.id), [
    'oak-lantern-2001',
    'oak-lantern-2002',
    'oak-lantern-2003',
    'oak-lantern-2004',
  ]);
  await assert.rejects(save('older SYSTEMS', old), { code: 'name-taken' });
  await tx(console_, (t) => deleteGroup(t, { id: group.id, by: BY }));
  await settle();
  assert.deepEqual(await membersOf(group.id), []);
  assert.deepEqual(await listGroups(console_), []);
  await save('Older systems', old);
});

test('a group that asks about ages is looked at again when time passes', async () => {
  const group = await save('Silent', { field: 'seen', op: 'older', value: '7d' });
  await settle();
  assert.deepEqual(await membersOf(group.id), []);
  await core.query(
    `update fleet.device set last_seen_at = now() - interval '8 days' where handle = 'oak-lantern-2003'`,
  );
  await settle();
  assert.deepEqual(await membersOf(group.id), [], 'nothing was marked');
  await core.query(`update fleet.device_group set refreshed_at = now() - interval '2 minutes' where id = $1`, [
    group.id,
  ]);
  await settle();
  assert.deepEqual(await membersOf(group.id), ['oak-lantern-2003']);
});

test('random changes of facts, taken step by step, end in the same members as one look at everything', async () => {
  const group = await save('Model', {
    any: [
      { field: 'model', op: 'starts', value: 'ip' },
      { field: 'supervised', op: 'is', value: true },
    ],
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          n: fc.integer({ min: 2000, max: 2009 }),
          model: fc.constantFrom(null, ...texts),
          supervised: triple,
          step: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
      async (acts) => {
        for (const { n, model, supervised, step } of acts) {
          await core.query('update fleet.device set model = $2, supervised = $3 where handle = $1', [
            `oak-lantern-${n}`,
            model,
            supervised,
          ]);
          if (step) await followFacts(core);
        }
        await settle();
        const { rows } = await core.query<{ handle: string }>(
          `select handle from fleet.device where model ilike 'ip%' or supervised order by 1`,
        );
        assert.deepEqual(
          await membersOf(group.id),
          rows.map(({ handle }) => handle),
        );
        assert.equal((await getGroup(core, group.id)).members, rows.length);
      },
    ),
    { numRuns: 25 },
  );
});

test('the list of devices takes the same filters, groups and silence, page by page', async () => {
  await core.query(
    `insert into fleet.device (handle, state, model) select 'yew-lever-' || n, 'enrolled', 'LISTED' from generate_series(1000, 1029) n`,
  );
  const filter_ = { field: 'model', op: 'is', value: 'LISTED' };
  const seen: string[] = [];
  for (let after = ''; ; ) {
    const { devices, total } = await listDevices(console_, { filter: filter_, after, limit: 7, text: 'yew' });
    assert.equal(total, 30);
    if (devices.length === 0) break;
    seen.push(...devices.map(({ handle }) => handle));
    after = seen.at(-1)!;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 30 }, (_, n) => `yew-lever-${1000 + n}`),
  );
  const group = await save('Listed', filter_);
  await settle();
  assert.equal((await listDevices(console_, { group: group.id, limit: 100 })).devices.length, 30);
  assert.deepEqual((await listDevices(console_, { group: group.id, silent: true, limit: 100 })).devices, []);
  await assert.rejects(listDevices(console_, { filter: { field: 'x', op: 'is', value: 'y' }, limit: 1 }), {
    code: 'bad-filter',
  });
});
