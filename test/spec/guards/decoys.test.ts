import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GuardError } from '#seal';
import { Guards, person } from './fixture.ts';

let guards: Guards;
before(async () => {
  guards = await Guards.start();
});
after(() => guards.close());

const handles = Array.from({ length: 12 }, (_, n) => person(900 + n));

test('each export carries decoys of its own, the same when asked again, and after a restart', async () => {
  await guards.client('ledger', 'intake').call('decoys', { handles });
  const ids = Array.from({ length: 30 }, (_, n) => `export-${n}`);
  const sets: (readonly string[])[] = [];
  for (const id of ids) sets.push(await guards.ledger.decoys.setFor('export', id));
  assert.equal(new Set(sets.map((set) => set.join())).size, ids.length, 'no two are alike');
  for (const set of sets) assert.ok(set.length >= 2 && set.every((one) => handles.includes(one)));
  await guards.stopLedger();
  await guards.startLedger();
  for (const [n, id] of ids.entries()) assert.deepEqual(await guards.ledger.decoys.setFor('export', id), sets[n]);
});

test('a backup carries all that are there at its time', async () => {
  assert.deepEqual(await guards.ledger.decoys.setFor('backup', 'g-1'), handles);
  await guards.ledger.decoys.leave(handles.slice(0, 1));
  await guards.client('ledger', 'intake').call('decoys', { handles: [person(950)] });
  const later = await guards.ledger.decoys.setFor('backup', 'g-2');
  assert.deepEqual(later, [...handles.slice(1), person(950)].sort());
  assert.deepEqual(await guards.ledger.decoys.setFor('backup', 'g-1'), handles, 'what was written down stays');
});

test('with too few decoys for so many copies the ledger says so instead of repeating one', async () => {
  const few = await Guards.start();
  try {
    await few.client('ledger', 'intake').call('decoys', { handles: handles.slice(0, 2) });
    await few.ledger.decoys.setFor('export', 'one');
    await assert.rejects(
      few.ledger.decoys.setFor('export', 'two'),
      (error: unknown) => error instanceof GuardError && error.code === 'too-few-decoys',
    );
  } finally {
    await few.close();
  }
});
