import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { uuidv7 } from '#base';
import type { Change, Field, Leave, SealedRow } from '#seal';
import { ADMINS, Guards, person, touch } from './fixture.ts';

// Whoever owns the identity provider, intake, core or the database wants messages to a person to go to his own phone.
const guards = await Guards.start({}, 86_400_000);
after(() => guards.close());
guards.now = Date.now();
const core = guards.client('ledger', 'core');
const glass = guards.client('ledger', 'glass');
const HOUR = 3_600_000;

interface Answer {
  readonly rows: readonly SealedRow[];
  readonly refused?: readonly { readonly code: string }[];
  readonly held?: readonly { readonly version: number; readonly until: number }[];
}
const arrival = (n: number, value: string, version: number, field: Field = 'number') => ({
  ...{ subject: person(n), field, version },
  ...guards.written(person(n), value, { field, version }),
});
const settle = (...rows: ReturnType<typeof arrival>[]) => core.call<Answer>('settle', { rows });
const change = (n: number, version: number, more: Partial<Change> = {}): Change => ({
  ...{ v: 1, op: 'change', id: uuidv7(), act: 'cancel', subject: person(n), field: 'number', version },
  ...{ requester: ADMINS[0], purpose: 'the person was rung', notAfter: guards.clock() + 60_000 },
  ...more,
});
const decide = (document: Change, ...signers: number[]) =>
  glass.call('change', { document, assertions: signers.map((n) => touch(guards.passkey(n), document)) });

test('a changed number waits a day by the ledger’s clock; the one from before stays, and no order of asking shortens it', async () => {
  const [present] = (await settle(arrival(1, '+447700900001', 1))).rows;
  const next = arrival(1, '+447700900666', 2);
  const first = await settle(next);
  assert.deepEqual([first.rows.length, first.held?.[0]?.until], [0, guards.now! + 24 * HOUR]);
  for (let asked = 0; asked < 20; asked++) assert.equal((await settle(next)).rows.length, 0);
  guards.now! += 23 * HOUR;
  // a later one waits its own day, whatever waited before it
  const third = arrival(1, '+447700900667', 3);
  assert.equal((await settle(third)).held?.[0]?.until, guards.now! + 24 * HOUR);
  await guards.stopLedger();
  await guards.startLedger();
  assert.equal((await settle(next)).rows.length, 0, 'the journal keeps when it was seen first');
  const rival = { ...arrival(1, '+447700900668', 2), writer: 'glass' as const };
  assert.ok(
    (await settle({ ...rival, ...guards.written(person(1), 'x', { version: 2, pen: guards.pens.glass }) })).refused,
  );
  assert.deepEqual(await guards.reveal([present!]), { [person(1)]: '+447700900001' }, 'what the courier uses');
  guards.now! += HOUR;
  const [row] = (await settle(next)).rows;
  assert.deepEqual(await guards.reveal([row!], {}, 1), { [person(1)]: '+447700900666' });
  assert.deepEqual(await guards.reveal([present!], {}, 2), {});
  assert.equal((await settle(third)).rows.length, 0, 'the later one still waits');
});

test('new people do not wait, nor do names and what devices tell; an address does', async () => {
  assert.equal((await settle(arrival(10, 'Ada Example', 1, 'name'))).rows.length, 1);
  assert.equal((await settle(arrival(10, 'Ada Specimen', 2, 'name'))).rows.length, 1);
  assert.equal((await settle(arrival(10, 'ada@example.org', 1, 'email'))).rows.length, 1);
  assert.equal((await settle(arrival(10, 'eve@example.org', 2, 'email'))).held?.length, 1);
  const both = await settle(arrival(11, '+447700900011', 1), arrival(11, '+447700900666', 2));
  assert.deepEqual([both.rows.length, both.held?.length], [1, 1], 'hurried into one batch');
});

test('one administrator turns a change away for good; only two let it in before its time', async () => {
  const [present] = (await settle(arrival(20, '+447700900020', 1))).rows;
  const bad = arrival(20, '+447700900666', 2);
  await settle(bad);
  const cancel = change(20, 2);
  const nothing: [string, () => Promise<unknown>][] = [
    ['one alone lets in', () => decide(change(20, 2, { act: 'release' }), 0)],
    ['the same person twice', () => decide(change(20, 2, { act: 'release' }), 0, 0)],
    ['in another’s name', () => decide(change(20, 2, { requester: ADMINS[1] }), 0)],
    ['what does not wait', () => decide(change(20, 3), 0)],
    [
      'another act than was touched',
      () =>
        glass.call('change', {
          document: { ...cancel, act: 'release' },
          assertions: [touch(guards.passkey(), cancel), touch(guards.passkey(1), cancel)],
        }),
    ],
    [
      'from core',
      () =>
        guards
          .client('ledger', 'core')
          .call('change', { document: cancel, assertions: [touch(guards.passkey(), cancel)] }),
    ],
  ];
  for (const [what, one] of nothing) await assert.rejects(one(), /./, what);
  await decide(cancel, 0);
  await decide(cancel, 0);
  guards.now! += 25 * HOUR;
  assert.equal(
    (await guards.client('ledger', 'core').call<Answer>('settle', { rows: [bad] })).refused?.[0]?.code,
    'cancelled',
  );
  assert.deepEqual(await guards.reveal([present!]), { [person(20)]: '+447700900020' });

  const good = arrival(20, '+447700900021', 3);
  const settleAgain = () => guards.client('ledger', 'core').call<Answer>('settle', { rows: [good] });
  assert.equal((await settleAgain()).held?.length, 1);
  await decide(change(20, 3, { act: 'release' }), 0, 1);
  const [row] = (await settleAgain()).rows;
  assert.deepEqual(await guards.reveal([row!], {}, 1), { [person(20)]: '+447700900021' });
});

test('so many changes of one value wait and no more; erasing a person ends them', async () => {
  const settleOne = (one: ReturnType<typeof arrival>) =>
    guards.client('ledger', 'core').call<Answer>('settle', { rows: [one] });
  await settleOne(arrival(30, '+447700900030', 1));
  for (let version = 2; version <= 9; version++) assert.ok((await settleOne(arrival(30, 'x', version))).held);
  assert.equal((await settleOne(arrival(30, 'x', 10))).refused?.[0]?.code, 'held-full');
  const { rows } = guards.ledger.gate.state;
  assert.equal(rows.held.of(person(30), 'number').length, 8);
  const document: Leave = {
    ...{ v: 1, op: 'leave', id: uuidv7(), subjects: [person(30)], requester: ADMINS[0] },
    ...{ purpose: 'has left the agency', notAfter: guards.clock() + 60_000 },
  };
  await glass.call('leave', { document, assertions: [touch(guards.passkey(), document)] });
  assert.equal(rows.held.of(person(30), 'number').length, 0);
});
