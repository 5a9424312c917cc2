import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listen, MIGRATIONS, migrate, openPool, type TestDatabase, testDatabase, tx } from './index.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.close());

test('a transaction that throws leaves nothing behind', async () => {
  const pool = openPool(database.admin);
  await pool.query('create table public.scratch (n int)');
  await assert.rejects(
    tx(pool, async (t) => {
      await t.query('insert into public.scratch values (1)');
      throw new Error('no');
    }),
  );
  assert.equal((await pool.query('select * from public.scratch')).rows.length, 0);
  await pool.end();
});

test('a serialisation failure is tried again', async () => {
  const pool = openPool(database.admin);
  let runs = 0;
  await tx(pool, async (t) => {
    runs += 1;
    if (runs < 3) await t.query("do $$ begin raise exception 'again' using errcode = '40001'; end $$");
  });
  assert.equal(runs, 3);
  await pool.end();
});

test('migrations that are applied already are left alone', async () => {
  assert.deepEqual(await migrate(database.admin, MIGRATIONS), []);
});

test('a role logs in with its own password only', async () => {
  const pool = openPool(database.as('edge'), { max: 1 });
  assert.equal((await pool.query<{ u: string }>('select current_user as u')).rows[0]?.u, 'bartizan_edge');
  await pool.end();
  const wrong = openPool({ ...database.as('edge'), password: 'guess' }, { max: 1 });
  await assert.rejects(wrong.query('select 1'), /password authentication failed/);
  await wrong.end();
});

test('an event is built by the database with its OCSF class, and is announced', async () => {
  const core = openPool(database.as('core'));
  const hint = Promise.withResolvers<void>();
  let hints = 0;
  const listener = listen(database.as('core'), 'bartizan_event', () => {
    hints += 1;
    if (hints === 2) hint.resolve();
  });
  while (hints === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await core.query("select log.emit('auth.sign_in', 'amber-otter-4821', null, null, '{\"a\":1}')");
  await hint.promise;
  const { rows } = await core.query<{ body: Record<string, unknown>; class_uid: number }>('select * from log.event');
  assert.equal(rows[0]?.class_uid, 3002);
  assert.deepEqual(rows[0]?.body['unmapped'], { a: 1, kind: 'auth.sign_in', source: 'bartizan_core' });
  await assert.rejects(core.query("select log.emit('no.such', null, null, null)"), /unknown event kind/);
  await listener.close();
  await core.end();
});
