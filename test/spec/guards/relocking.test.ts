import assert from 'node:assert/strict';
import { linkSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256, uuidv7 } from '#base';
import type { RotateLocks, SealedRow } from '#seal';
import { ADMINS, Guards, person, touch } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());
guards.now = Date.now();

const order = (): RotateLocks => ({
  ...{ v: 1, op: 'rotate-locks', id: uuidv7(), requester: ADMINS[0], purpose: 'a copy of the locks is missing' },
  notAfter: guards.clock() + 60_000,
});
const start = (document: RotateLocks, ...signers: number[]) =>
  guards.client('ledger', 'glass').call<{ generation: number }>('rotate-locks', {
    document,
    assertions: signers.map((n) => touch(guards.passkey(n), document)),
  });
interface Carried {
  readonly rows: readonly SealedRow[];
  readonly done: readonly string[];
}
const relock = (generation: number, rows: readonly SealedRow[], withdrawn: object[] = []) =>
  guards.client('ledger', 'core').call<Carried>('relock', { generation, rows, withdrawn });
const lockFile = (subject: string) =>
  join(guards.folder, 'ledger', 'locks', sha256(subject).toString('hex').slice(0, 2), subject);
const lockOf = (subject: string) =>
  JSON.parse(readFileSync(lockFile(subject), 'utf8')) as { lock: string; next?: string };

test('rows go under new locks without being opened; the old lock is destroyed when the database has them, not before', async () => {
  const values = { [person(1)]: '+447700900001', [person(2)]: '+447700900002' };
  const numbers = await guards.settle(values);
  const [name] = await guards.settle({ [person(1)]: 'Ada Example' }, 'name');
  const before = lockOf(person(1)).lock;
  await assert.rejects(relock(1, numbers), { code: 'refused' }, 'nobody started it');
  await assert.rejects(start(order(), 0, 0), { code: 'two-people' });
  const { generation } = await start(order(), 0, 1);
  const first = await relock(generation, [numbers[0]!, numbers[1]!]);
  assert.equal(first.rows.length, 2);
  assert.deepEqual(first.done, []);
  assert.deepEqual(await guards.reveal(numbers), values, 'what the database still has opens');
  assert.deepEqual(await guards.reveal(first.rows), values, 'and so does what it is about to have');
  const second = await relock(generation, first.rows);
  assert.deepEqual(second.done, [person(2)], 'one of the first person’s rows was not shown');
  assert.equal(lockOf(person(1)).lock, before);
  const third = await relock(generation, [first.rows[0]!, name!]);
  const last = await relock(generation, [first.rows[0]!, ...third.rows]);
  assert.deepEqual(last.done, [person(1)]);
  assert.notEqual(lockOf(person(1)).lock, before);
  assert.equal(lockOf(person(1)).next, undefined);
  assert.deepEqual(await guards.reveal(numbers, {}, 1), {}, 'rows of before open no more');
  assert.deepEqual(await guards.reveal(first.rows, {}, 1), values);
  const again = await relock(generation, first.rows);
  assert.deepEqual([again.rows.length, again.done.length], [0, 2], 'brought again, nothing happens');
});

test('a value that is on its way keeps the old lock alive; a withdrawn one does not; a new one takes the new lock', async () => {
  const [old] = await guards.settle({ [person(10)]: '+447700900010' });
  const { generation } = await start(order(), 0, 1);
  const [fresh] = (await relock(generation, [old!])).rows;
  // settled by the ledger, not stored yet
  const [later] = await guards.settle({ [person(10)]: '+447700900011' }, 'number', 2);
  assert.deepEqual((await relock(generation, [fresh!])).done, []);
  assert.deepEqual((await relock(generation, [later!])).done, [person(10)]);
  assert.deepEqual(await guards.reveal([later!], {}, 2), { [person(10)]: '+447700900011' });
  const token = await guards.settle({ 'oak-lantern-1010': 'AAAA' }, 'bootstrap-token');
  assert.equal(token.length, 1);
  const label = { subject: 'oak-lantern-1010', field: 'bootstrap-token' };
  const next = (await start(order(), 1, 0)).generation;
  assert.deepEqual((await relock(next, [], [{ ...label, version: 2 }])).done, []);
  assert.deepEqual((await relock(next, [], [{ ...label, version: 1 }])).done, ['oak-lantern-1010']);
  await guards.settle({ [person(11)]: '+447700900012' });
  const rows = await guards.settle({ [person(11)]: '+447700900013' }, 'number', 2);
  assert.deepEqual((await relock(next, rows)).done, [person(11)], 'made after the start: nothing to do');
});

test('killed at each step, no row of the database is lost and no old lock survives', async () => {
  const [row] = await guards.settle({ [person(20)]: '+447700900020' });
  const file = lockFile(person(20));
  const before = lockOf(person(20)).lock;
  const { generation } = await start(order(), 0, 1);
  const [fresh] = (await relock(generation, [row!])).rows;
  const restart = async () => {
    await guards.stopLedger();
    await guards.startLedger();
  };
  await restart();
  const [fresh2] = (await relock(generation, [row!])).rows;
  // between the second name and the new file: both names lead to the lock in force
  linkSync(file, `${file}.old`);
  writeFileSync(`${file}.tmp`, 'half a fi');
  await restart();
  assert.deepEqual(await guards.reveal([row!], {}, 1), { [person(20)]: '+447700900020' });
  assert.deepEqual((await relock(generation, [fresh2!])).done, [person(20)]);
  // after the new file, before the old one was overwritten
  writeFileSync(`${file}.old`, JSON.stringify({ lock: before }));
  await restart();
  assert.throws(() => readFileSync(`${file}.old`));
  assert.deepEqual(await guards.reveal([fresh!], {}, 1), { [person(20)]: '+447700900020' });
  assert.deepEqual(await guards.reveal([row!], {}, 2), {});
});

test('core can neither finish with rows of others nor with none', async () => {
  const [row, other] = await guards.settle({ [person(30)]: '+447700900030', [person(31)]: '+447700900031' });
  const { generation } = await start(order(), 0, 1);
  assert.deepEqual((await relock(generation, [{ ...other!, subject: person(30) }])).done, []);
  assert.deepEqual((await relock(generation, [{ ...row!, version: 2 }])).rows, []);
  const { done } = await relock(generation, [], [{ subject: person(30), field: 'name', version: 1 }]);
  assert.deepEqual(done, []);
  assert.deepEqual(await guards.reveal([row!], {}, 2), { [person(30)]: '+447700900030' });
  await assert.rejects(relock(generation - 1, [row!]), { code: 'refused' });
});
