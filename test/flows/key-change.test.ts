import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPool } from '#store';
import { allOf } from '../../src/run/person.ts';
import { importPeople, until } from '../../src/run/stage.ts';
import { living } from './product.ts';

interface Keys {
  readonly state: string;
  readonly current: { readonly number: number; readonly grade: string };
  readonly old: { readonly number: number } | null;
  readonly left: number | null;
}

test('the organisation’s key is changed in the running product: asked, signed by two, sealed anew, still readable', async (t) => {
  const { product, stage } = await living(t, { phones: 2, admins: 2, people: 12 });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  const [ada, bo] = stage.admins;
  const keys = async () => (await ada!.call('GET', '/api/keys')).body as unknown as Keys;
  const people = (await allOf<{ handle: string }>(ada!, '/api/people')).map(({ handle }) => handle).sort();
  const some = people.slice(0, 5);
  assert.ok(await until(async () => (await pool.query('select 1 from people.arriving')).rowCount === 0, 15_000));
  const first = await ada!.reveal('name', some, 'before the change of the key');
  const before = first.values;
  assert.ok(Object.keys(before).length >= 4, JSON.stringify([some, first.answer.body]));
  assert.deepEqual([(await keys()).current.number, (await keys()).current.grade], [1, 'D']);

  const rows = async () =>
    (await pool.query<{ row: string }>(`select encode(row, 'hex') as row from people.sealed where row is not null`))
      .rows;
  const stored = new Set((await rows()).map(({ row }) => row));
  const asked = await ada!.call('POST', '/api/keys/rotations', { purpose: 'a yearly change' });
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const approval = String(asked.body['approval']);
  await ada!.approve(approval);
  assert.equal((await keys()).current.number, 1, 'one signature puts nothing in force');
  await bo!.approve(approval);
  assert.ok(await until(async () => (await keys()).current.number === 2, 15_000));
  const state = async () =>
    (await allOf<{ id: string; state: string }>(ada!, '/api/approvals')).find(({ id }) => id === approval)?.state;
  assert.ok(await until(async () => (await state()) === 'executed', 15_000));

  assert.ok(await until(async () => (await keys()).left === 0, 30_000), 'every row comes under the new key');
  assert.ok(
    (await rows()).every(({ row }) => !stored.has(row)),
    'no row is what it was',
  );
  assert.equal((await keys()).old?.number, 1, 'writers have ten minutes before the old key goes');
  const after = await bo!.reveal('name', some, 'after the change of the key');
  assert.deepEqual(after.values, before);

  // Writers follow: what comes in now is sealed to the new key at once.
  const followed = (name: string) => {
    const file = join(product.home.state(name as 'edge'), 'organisation-notice.json');
    return existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { number: number }).number === 2;
  };
  assert.ok(await until(async () => ['edge', 'intake', 'glass'].every(followed), 15_000));
  const csv =
    'given_name,family_name,email,mobile,unit,member_state\nZoë,Example,zoe@example.org,+447700900999,Unit 9,IE\n';
  const [added] = (await importPeople(product, csv)).filter((handle) => !people.includes(handle));
  assert.ok(added !== undefined);
  const settled = async () =>
    (await pool.query('select 1 from people.sealed where subject = $1 and row is not null', [added])).rowCount === 3;
  assert.ok(await until(settled, 15_000));
  assert.ok(await until(async () => (await keys()).left === 0, 15_000), 'and counted as such');
  const { rows: unaccounted } = await pool.query(`select 1 from log.event where kind = 'directory.rows_unaccounted'`);
  assert.equal(unaccounted.length, 0, 'rows that the guards seal anew are accounted for');
});
