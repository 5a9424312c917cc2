import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { toBase64url } from '#base';
import { canaryTag, GuardError, sealCall } from '#seal';
import { Guards, ORG, person } from './fixture.ts';

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

test('a call to a canary names the copies that hold it, narrower with each call, and never whose it is', async () => {
  const own = await Guards.start();
  try {
    const live = Array.from({ length: 8 }, (_, n) => ({
      handle: person(700 + n),
      tags: [canaryTag(ORG, `+44770090080${n}`)],
    }));
    await own.client('ledger', 'intake').call('canaries', { entries: live });
    const sets = new Map<string, readonly string[]>();
    for (let n = 0; n < 12; n += 1) sets.set(`export e${n}`, await own.ledger.decoys.setFor('export', `e${n}`));
    const core = own.client('ledger', 'core');
    const call = (n: number) =>
      core.call('called', { how: 'sms', box: toBase64url(sealCall(own.keys.outer, live[n]!.tags[0]!)) });
    const alarms = async () =>
      (
        await core.call<{ entries: { kind: string; detail: { copies: string[]; called: number } }[] }>('tail', {
          ...{ after: 0, waitMs: 0 },
        })
      ).entries.filter(({ kind }) => kind === 'canary.called');
    const stranger = await core.call('called', {
      ...{ how: 'sms', box: toBase64url(sealCall(own.keys.outer, canaryTag(ORG, '+447700900990'))) },
    });
    assert.deepEqual([stranger, await alarms()], [{}, []]);
    // Whoever has the copy e5 rings those that are in it, one after the other.
    const leaked = sets.get('export e5')!;
    const rung = live.flatMap(({ handle }, n) => (leaked.includes(handle) ? [n] : []));
    for (const n of rung) await call(n);
    const all = await alarms();
    assert.equal(all.length, rung.length);
    const fits = (n: number) =>
      [...sets].filter(([, set]) => rung.slice(0, n).every((one) => set.includes(live[one]!.handle))).map(([id]) => id);
    for (const [n, { detail }] of all.entries()) {
      assert.deepEqual([...detail.copies].sort(), fits(n + 1).sort());
      assert.ok(detail.copies.includes('export e5'));
    }
    const told = JSON.stringify(await core.call('tail', { after: 0, waitMs: 0 }));
    assert.deepEqual(
      live.filter(({ handle }) => told.includes(handle)),
      [],
      'no handle of a canary',
    );
    await assert.rejects(own.client('ledger', 'core').call('canaries', { entries: live }), GuardError);
  } finally {
    await own.close();
  }
});
