import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { sha256, toBase64url } from '#base';
import { foundLedger, Ledger } from '#guard';
import { type Field, newPen, penPublic, type SealedRow, WRITERS, WRITES, type Written } from '#seal';
import { Guards, person } from './fixture.ts';

// The attacker owns core's socket, and whatever stands in the database; he holds the public keys, and one writer's key at most.
const guards = await Guards.start();
after(() => guards.close());
const core = guards.client('ledger', 'core');

interface Answer {
  readonly rows: readonly SealedRow[];
  readonly refused?: readonly { readonly subject: string; readonly code: string; readonly present?: number }[];
}
type Labels = { readonly subject: string; readonly field: Field; readonly version: number };
const settle = (...rows: (Labels & Written)[]) => core.call<Answer>('settle', { rows });
const label = (n: number, version = 1, field: Field = 'number'): Labels => ({ subject: person(n), field, version });
const arrival = (n: number, value: string, version = 1, more: Parameters<Guards['written']>[2] = {}) => {
  const own = label(n, version, more.field);
  return { ...own, ...guards.written(own.subject, value, { ...more, version }) };
};
const refusals = async () => {
  const { entries } = await core.call<{ entries: { kind: string; body: { unmapped: { code?: string } } }[] }>('tail', {
    ...{ after: 0, waitMs: 0 },
  });
  return entries.filter(({ kind }) => kind === 'write.refused').map(({ body }) => body.unmapped.code);
};
const lockFile = (subject: string) =>
  join(guards.folder, 'ledger', 'locks', sha256(subject).toString('hex').slice(0, 2), subject);

test('what a writer signed is settled and opens; what anybody else made is not taken, and the log says so', async () => {
  const good = await settle(arrival(1, '+447700900001'));
  assert.deepEqual(await guards.reveal(good.rows), { [person(1)]: '+447700900001' });
  const mine = newPen('intake').pen;
  const stolen = { writer: 'intake', key: guards.pens.edge.key } as const;
  const forged: [string, Labels & Written][] = [
    ['signature', arrival(1, '+447700900666', 2, { pen: mine })],
    ['writer', arrival(1, '+447700900666', 2, { pen: guards.pens.edge })],
    ['signature', arrival(1, '+447700900666', 2, { pen: stolen })],
    ['signature', { ...arrival(1, '+447700900666', 2), signature: arrival(1, 'x', 2).signature }],
    ['writer', { ...arrival(1, '+447700900666', 2), writer: 'edge' }],
    // intake's own signature, under other labels than it was given for
    ['signature', { ...arrival(2, '+447700900666', 2), subject: person(1) }],
    ['signature', { ...arrival(1, '+447700900666', 3), version: 2 }],
    ['signature', { ...arrival(1, 'a@example.org', 2, { field: 'email' }), field: 'number' }],
  ];
  for (const [code, one] of forged) {
    const { rows, refused } = await settle(one);
    assert.deepEqual([rows.length, refused?.[0]?.code], [0, code]);
  }
  assert.deepEqual(
    await refusals(),
    forged.map(([code]) => code),
    'each has its entry',
  );
  assert.deepEqual(await guards.reveal(good.rows, {}, 1), { [person(1)]: '+447700900001' });
});

test('no writer has a field of another’s', async () => {
  for (const [writer, fields] of Object.entries(WRITES)) {
    for (const field of ['name', 'number', 'email', 'device-name', 'location', 'unlock-token'] as const) {
      const pen = guards.pens[writer as keyof typeof guards.pens];
      const { refused } = await settle(arrival(90, 'AAAA', 1, { field, pen }));
      const mayNot = !fields.has(field);
      // glass and intake write the same; the second of them finds the version taken
      assert.ok(mayNot ? refused?.[0]?.code === 'writer' : refused?.[0]?.code !== 'writer', `${writer} ${field}`);
    }
  }
});

test('rows of two persons, of two fields or of two versions never stand in for each other', async () => {
  const [a, b, mail] = (
    await settle(
      arrival(10, '+447700900010'),
      arrival(11, '+447700900011'),
      arrival(10, 'ten@example.org', 1, { field: 'email' }),
    )
  ).rows;
  const [a2] = (await settle(arrival(10, '+447700900510', 2))).rows;
  const nothing: [string, SealedRow][] = [
    ['another person’s row', { ...b!, subject: person(10), version: 2 }],
    ['another field’s row', { ...mail!, field: 'number', version: 2 }],
    ['the old row', a!],
    ['the old row as the present version', { ...a!, version: 2 }],
    ['the present row as a later version', { ...a2!, version: 3 }],
  ];
  for (const [what, row] of nothing) {
    assert.deepEqual(await guards.reveal([row], { subjects: [person(10)] }, 1), {}, what);
  }
  assert.deepEqual(await guards.reveal([a2!], {}, 1), { [person(10)]: '+447700900510' });
});

test('a value comes once: replayed, late, far ahead or beside another of its version it changes nothing', async () => {
  const first = arrival(20, '+447700900020');
  const second = arrival(20, '+447700900021', 2);
  const third = arrival(20, '+447700900022', 5);
  await settle(first);
  await settle(second);
  const { rows } = await settle(third);
  assert.deepEqual(
    (await settle(first, second)).refused?.map(({ code, present }) => [code, present]),
    [
      ['stale', 5],
      ['stale', 5],
    ],
    'all of an older database',
  );
  const rival = arrival(20, '+447700900666', 5, { pen: guards.pens.glass });
  assert.equal((await settle(rival)).refused?.[0]?.code, 'version-taken', 'two writers counted alike');
  assert.deepEqual((await settle(arrival(20, '+447700900023', 5_000))).refused?.[0]?.code, 'version-gap');
  const again = await settle(third);
  assert.equal(again.rows.length, 1, 'the same value once more, as after a crash of core');
  assert.deepEqual(await guards.reveal(again.rows, {}, 2), { [person(20)]: '+447700900022' });
  assert.deepEqual(await guards.reveal(rows, {}, 2), { [person(20)]: '+447700900022' });
});

test('of two writers that race for one version one is taken, whoever comes first', async () => {
  const rivals = [arrival(30, '+447700900030'), arrival(30, '+447700900031', 1, { pen: guards.pens.glass })];
  const answers = await Promise.all(rivals.map((one) => settle(one)));
  assert.deepEqual(answers.map(({ rows }) => rows.length).sort(), [0, 1]);
  const both = await settle(...rivals);
  assert.deepEqual([both.rows.length, both.refused?.length], [1, 1], 'in one batch too');
});

test('a lock file that was put back opens nothing, takes nothing, and the log says so', async () => {
  const [old] = (await settle(arrival(40, '+447700900040'))).rows;
  const file = lockFile(person(40));
  const before = readFileSync(file);
  const [present] = (await settle(arrival(40, '+447700900041', 2))).rows;
  const newest = readFileSync(file);
  writeFileSync(file, before);
  assert.deepEqual(await guards.reveal([old!], {}, 2), {}, 'the older row under its own lock file');
  assert.equal((await settle(arrival(40, '+447700900042', 3))).refused?.[0]?.code, 'rolled-back');
  await guards.stopLedger();
  await guards.startLedger();
  assert.deepEqual(await guards.reveal([old!], {}, 2), {}, 'after a restart too: the journal knows');
  writeFileSync(file, newest);
  assert.deepEqual(await guards.reveal([present!], {}, 2), { [person(40)]: '+447700900041' });
});

test('a ledger from before writers signed pins them once, with the versions of its lock files', async () => {
  const old = new Guards();
  const state = join(old.folder, 'ledger');
  await foundLedger(
    old.ledgerOptions(),
    old.founders.map(({ founder }) => founder),
    [],
  );
  const lock = randomBytes(32);
  const subject = person(50);
  const file = join(state, 'locks', sha256(subject).toString('hex').slice(0, 2), subject);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ v: 1, lock: toBase64url(lock), versions: { number: 7 } }));
  const keys = WRITERS.map((writer) => ({ writer, key: penPublic(old.pens[writer]) }));
  const ledger = await Ledger.open(old.ledgerOptions());
  try {
    const outer = { outer: 'A', writer: 'intake', signature: 'A'.repeat(86) } as const;
    const before = await ledger.settle([{ ...label(50, 8), ...outer }]);
    assert.equal(before.refused?.[0]?.code, 'writer', 'nobody is believed before');
    await ledger.pinWriters(keys);
    assert.equal(ledger.gate.state.rows.version(subject, 'number'), 7);
    await ledger.pinWriters(keys);
    const others = keys.map(({ writer }) => ({ writer, key: penPublic(newPen(writer).pen) }));
    await assert.rejects(ledger.pinWriters(others), { code: 'founded' });
    await assert.rejects(ledger.pinWriters(others, 'edge'), { code: 'founded' }, 'one is made anew, not all');
    const anew = keys.map((one) => (one.writer === 'edge' ? others.find(({ writer }) => writer === 'edge')! : one));
    await ledger.pinWriters(anew, 'edge');
    assert.notEqual(ledger.gate.state.rows.writers.get('edge'), penPublic(old.pens.edge));
  } finally {
    await ledger.close();
  }
  const again = await Ledger.open(old.ledgerOptions());
  assert.equal(again.gate.state.rows.writers.get('intake'), penPublic(old.pens.intake), 'the journal keeps them');
  await again.close();
  await old.close();
});
