import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Sealed, toBase64url } from '#base';
import { settleArriving } from '#people';
import { type Field, type SealedRow, sealWrite, signWrite } from '#seal';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { Guards, ORG, person } from '../spec/guards/fixture.ts';

// Core's step between a real database and a real ledger, with the database in an attacker's hands or put back from a backup.
let database: TestDatabase;
let guards: Guards;
let core: Pool;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  guards = await Guards.start({}, 86_400_000);
  core = openPool(database.as('core'), { max: 1 });
  owner = openPool(database.admin, { max: 1 });
});
after(async () => {
  await core.end();
  await owner.end();
  await guards.close();
  await database.close();
});

const next = async (subject: string, field: Field) =>
  (await owner.query<{ v: number }>('select people.next_version($1, $2)::float8 as v', [subject, field])).rows[0]!.v;
async function write(subject: string, value: string, field: Field = 'name', version?: number): Promise<number> {
  const own = version ?? (await next(subject, field));
  const { keys } = guards;
  const pen = guards.pens.intake;
  await put(subject, field, own, sealWrite({ keys, pen, subject, field, version: own, value: new Sealed(value) }));
  return own;
}
const put = (subject: string, field: Field, version: number, bytes: Buffer) =>
  owner.query('insert into people.arriving (subject, field, version, outer_layer) values ($1, $2, $3, $4)', [
    ...[subject, field, version, bytes],
  ]);
const settle = async () => {
  for (let n = 0; n < 10 && (await settleArriving(core, guards.client('ledger', 'core'))) > 0; n++);
};
const stored = async (subject: string, field: Field = 'name'): Promise<SealedRow> => {
  const { rows } = await owner.query<{ version: number; row: Buffer }>(
    'select version::int as version, row from people.sealed where subject = $1 and field = $2',
    [subject, field],
  );
  return { subject, field, version: rows[0]!.version, row: toBase64url(rows[0]!.row) };
};
const read = async (subject: string, field: Field = 'name') =>
  (await guards.reveal([await stored(subject, field)], { field }))[subject];
const setAside = async (subject: string) =>
  (
    await owner.query<{ code: string }>(
      `select body->'unmapped'->>'code' as code from log.event where kind = 'directory.refused' and subject = $1 order by time`,
      [subject],
    )
  ).rows.map(({ code }) => code);

test('a database that went back in time opens nothing of what it had, and takes what is written anew', async () => {
  const who = person(1);
  await write(who, 'Ada Old');
  await settle();
  const backup = await owner.query('select * from people.sealed where subject = $1', [who]);
  for (const value of ['Ada Newer', 'Ada Newest']) {
    await write(who, value);
    await settle();
  }
  assert.equal(await read(who), 'Ada Newest');
  const [old] = backup.rows as { version: number; row: Buffer }[];
  await owner.query('update people.sealed set version = $2, row = $3 where subject = $1', [
    who,
    old!.version,
    old!.row,
  ]);
  await owner.query('update people.version set version = 1 where subject = $1', [who]);
  assert.equal(await read(who), undefined, 'the row of the backup');
  const stale = await write(who, 'Ada Late');
  assert.ok(stale <= 3);
  await settle();
  assert.deepEqual((await setAside(who)).slice(-1), [stale === 3 ? 'version-taken' : 'stale']);
  await write(who, 'Ada Anew');
  await settle();
  assert.equal(await read(who), 'Ada Anew', 'the count goes on where the ledger is');
});

test('versions that ran away are put aside, and the next write is numbered right', async () => {
  const who = person(2);
  await write(who, 'Ben One');
  await owner.query(`update people.version set version = 9007199254740000 where subject = $1`, [who]);
  await write(who, 'Ben Far');
  await settle();
  assert.deepEqual(await setAside(who), ['version-gap']);
  await write(who, 'Ben Two');
  await settle();
  assert.equal(await read(who), 'Ben Two');
});

test('what nobody signed, of any form, is put aside without holding up the others', async () => {
  const who = person(3);
  await put(who, 'name', 1, Buffer.alloc(289));
  await put(who, 'name', 1, Buffer.concat([Buffer.alloc(288, 7), Buffer.from([2])]));
  const label = { org: ORG, subject: who, field: 'name', version: 1 } as const;
  await put(who, 'name', 1, signWrite(guards.pens.edge, label, Buffer.alloc(224, 1)));
  await write(who, 'Cleo', 'name', 1);
  await write(person(4), 'Dora');
  await settle();
  assert.deepEqual(await setAside(who), ['malformed', 'signature', 'writer']);
  assert.equal(await read(who), 'Cleo');
  assert.equal(await read(person(4)), 'Dora');
});

test('a change waits in the database; hurried, copied or put back it still waits in the ledger', async () => {
  const who = person(5);
  await write(who, '+447700900005', 'number');
  await settle();
  await write(who, '+447700900666', 'number');
  await settle();
  const held = () =>
    owner.query<{ until: Date | null; outer_layer: Buffer; version: number }>(
      'select held_until as until, outer_layer, version::int as version from people.arriving where subject = $1',
      [who],
    );
  const [waits] = (await held()).rows;
  assert.ok(waits!.until!.getTime() > Date.now() + 86_000_000);
  await owner.query(`update people.arriving set held_until = null where subject = $1`, [who]);
  await put(who, 'number', waits!.version, waits!.outer_layer);
  await settle();
  assert.ok((await held()).rows.every(({ until }) => until!.getTime() > Date.now() + 86_000_000));
  assert.equal(await read(who, 'number'), '+447700900005');
});
