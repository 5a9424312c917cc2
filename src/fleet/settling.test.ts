import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { Settling } from './settling.ts';

let database: TestDatabase;
let core: Pool;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'), { max: 2 });
  owner = openPool(database.admin, { max: 2 });
});
after(async () => {
  await Promise.all([core.end(), owner.end()]);
  await database.close();
});

/** Looks until it says no; how often it said yes. */
async function looks(settling: Settling, now: number): Promise<number> {
  for (let times = 0; times < 20; times += 1) if (!(await settling.due(core, now))) return times;
  return Number.POSITIVE_INFINITY;
}

test('it is looked at when something changed, a few times, and then only at long intervals', async () => {
  const settling = new Settling(300_000);
  assert.ok((await looks(settling, 1_000_000)) >= 1, 'after a start');
  assert.equal(await settling.due(core, 1_000_000), false);
  assert.equal(await settling.due(core, 1_299_999), false);
  assert.equal(await settling.due(core, 1_300_000), true, 'in between, in case a change was missed');
  assert.equal(await settling.due(core, 1_300_001), false);
  const { rows } = await owner.query<{ id: string }>(
    `insert into fleet.device_group (id, name, filter, created_by) values (gen_random_uuid(), 'Pool', '{"all":[]}', 'x') returning id`,
  );
  assert.ok((await looks(settling, 1_300_002)) > 1, 'a new group');
  await owner.query(
    `with d as (insert into fleet.device (handle, state, udid) values ('amber-otter-4821', 'authenticated', 'U') returning id)
     insert into fleet.group_member (group_id, device_id) select $1, id from d`,
    [rows[0]!.id],
  );
  assert.ok((await looks(settling, 1_300_003)) > 1, 'a member');
  await owner.query(`update fleet.device set last_seen_at = now()`);
  assert.equal(await settling.due(core, 1_300_004), false, 'being heard of changes nothing');
  await owner.query(`update fleet.device set state = 'enrolled'`);
  assert.ok((await looks(settling, 1_300_005)) > 1, 'a device that enrolled');
});

test('a change that is committed long after it was counted is still seen', async () => {
  const settling = new Settling(300_000);
  await looks(settling, 1);
  const client = await owner.connect();
  try {
    await client.query('begin');
    await client.query(`update fleet.device_group set name = 'Other'`);
    assert.equal(await settling.due(core, 2), true);
    assert.equal(await settling.due(core, 3), true, 'and again, because it may not be committed yet');
    await client.query('commit');
    assert.equal(await settling.due(core, 4), true);
  } finally {
    client.release();
  }
});
