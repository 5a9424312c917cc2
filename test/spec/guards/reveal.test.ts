import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { challengeOf, guardClient, readWritten, signWrite, verifyReceipt } from '#seal';
import { newPasskey } from '#sim';
import { ADMINS, Guards, newBrowser, ORG, person, touch } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());
const values = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [person(n), `+4477009000${10 + n}`]));
const rows = await guards.settle(values);
const row = (n: number) => rows[n]!;

test('rows are of one size, and two equal values look nothing alike', async () => {
  const twins = await guards.settle({ [person(800)]: 'same', [person(801)]: 'same' });
  for (const one of [...rows, ...twins]) assert.equal(Buffer.from(one.row, 'base64url').length, 204);
  assert.notEqual(twins[0]!.row, twins[1]!.row);
});

test('one touch opens exactly what was asked for', async () => {
  assert.deepEqual(await guards.reveal([row(0), row(1)]), {
    [person(0)]: values[person(0)],
    [person(1)]: values[person(1)],
  });
});

test('a receipt is signed and bound to its grant', async () => {
  const browser = newBrowser();
  const grant = guards.grant(browser, [person(2)]);
  const answer = await guards
    .client('sealer', 'glass')
    .call<{ receipt: Parameters<typeof verifyReceipt>[1] }>('reveal', {
      grant,
      assertion: touch(guards.passkey(), grant),
      rows: [row(2)],
    });
  assert.ok(verifyReceipt(guards.keys.ledger, answer.receipt));
  assert.equal(answer.receipt.grantSha256, challengeOf(grant).toString('base64url'));
  assert.ok(!verifyReceipt(guards.keys.ledger, { ...answer.receipt, leaf: 0 }));
});

test('forged grants open nothing, at either guard', async () => {
  const browser = newBrowser();
  const grant = guards.grant(browser, [person(3)]);
  const good = touch(guards.passkey(), grant);
  const stranger = newPasskey();
  const stolenName = { ...touch(stranger, grant), credential: guards.passkey().credential };
  const forged: [string, object, object][] = [
    ['another key', grant, touch(stranger, grant)],
    ['another key under a pinned name', grant, stolenName],
    ['another admin’s key', grant, touch(guards.passkey(1), grant)],
    ['wrong origin', grant, touch(guards.passkey(), grant, { origin: 'http://console.localhost:8440' })],
    ['wrong rpId', grant, touch(guards.passkey(), grant, { rpId: 'localhost' })],
    ['no user verification', grant, touch(guards.passkey(), grant, { uv: false })],
    ['no touch', grant, touch(guards.passkey(), grant, { up: false })],
    ['inside another site', grant, touch(guards.passkey(), grant, { crossOrigin: true })],
    ['a registration', grant, touch(guards.passkey(), grant, { type: 'webauthn.create' })],
    ['altered purpose', { ...grant, purpose: 'something quite different' }, good],
    ['altered subject', { ...grant, subjects: [person(4)] }, good],
    ['altered browser key', { ...grant, browserKey: newBrowser().publicKey }, good],
  ];
  const late = guards.grant(browser, [person(3)], { notAfter: Date.now() - 1 });
  forged.push(['expired', late, touch(guards.passkey(), late)]);
  const long = guards.grant(browser, [person(3)], { notAfter: Date.now() + 3_600_000 });
  forged.push(['valid for too long', long, touch(guards.passkey(), long)]);
  const many = guards.grant(
    browser,
    Array.from({ length: 26 }, (_, n) => person(n)),
  );
  forged.push(['too many', many, touch(guards.passkey(), many)]);
  const spent = JSON.stringify(guards.ledger.status().spent);
  for (const [name, asked, assertion] of forged) {
    const body = { grant: asked, assertion, rows: [row(3)] };
    for (const [guard, type] of [
      [guards.client('sealer', 'glass'), 'reveal'],
      [guards.client('ledger', 'sealer'), 'open'],
    ] as const) {
      await assert.rejects(guard.call(type, body), (error: { code: string }) =>
        ['refused', 'expired', 'cap'].includes(error.code) ? true : assert.fail(`${name}: ${error.code}`),
      );
    }
  }
  assert.equal(JSON.stringify(guards.ledger.status().spent), spent, 'nothing was charged');
  // The same grant, honestly touched, still opens: the refusals were about the forgeries.
  assert.deepEqual(await guards.send(guards.client('sealer', 'glass'), browser, grant, good, [row(3)]), {
    [person(3)]: values[person(3)],
  });
});

test('400 parallel replays of one touch open one grant', async () => {
  const browser = newBrowser();
  const twentyFive = rows.slice(0, 25);
  const grant = guards.grant(
    browser,
    twentyFive.map((one) => one.subject),
    { admin: ADMINS[1] },
  );
  const signed = touch(guards.passkey(1), grant);
  const glass = guards.client('sealer', 'glass');
  const direct = guards.client('ledger', 'sealer');
  const tries = await Promise.allSettled([
    ...Array.from({ length: 200 }, () => glass.call('reveal', { grant, assertion: signed, rows: twentyFive })),
    ...Array.from({ length: 200 }, () => direct.call('open', { grant, assertion: signed, rows: twentyFive })),
  ]);
  const opened = tries.filter((one) => one.status === 'fulfilled');
  assert.equal(opened.length, 1);
  const spent = guards.ledger.status().spent.counters.find((one) => one.admin === ADMINS[1]);
  assert.equal(spent?.count, 25);
});

test('a swapped, rolled back, relabelled or foreign row does not open; its neighbours do', async () => {
  const [older] = await guards.settle({ [person(900)]: 'old value' });
  const [newer] = await guards.settle({ [person(900)]: 'new value' }, 'number', 2);
  assert.deepEqual(await guards.reveal([newer!]), { [person(900)]: 'new value' });
  assert.deepEqual(await guards.reveal([older!]), {});
  assert.deepEqual(await guards.reveal([{ ...older!, version: 2 }]), {});
  const swapped = [{ ...row(5), row: row(6).row }, { ...row(6), row: row(5).row }, row(7)];
  assert.deepEqual(await guards.reveal(swapped), { [person(7)]: values[person(7)] });
  const [name] = await guards.settle({ [person(5)]: 'Ada Example' }, 'name');
  assert.deepEqual(await guards.reveal([{ ...name!, field: 'number' }]), {});
  await assert.rejects(guards.reveal([row(8)], { subjects: [person(9)] }), { code: 'refused' });
  await assert.rejects(guards.reveal([row(8), row(8)], { subjects: [person(8)] }), { code: 'refused' });
});

test('a late settle of an older version does not bring it back', async () => {
  const [second] = await guards.settle({ [person(901)]: 'second' }, 'number', 2);
  assert.deepEqual(await guards.settle({ [person(901)]: 'first' }, 'number', 1), []);
  assert.deepEqual(await guards.reveal([second!]), { [person(901)]: 'second' });
});

test('badly sealed arrivals are put aside without holding up the others', async () => {
  const [subject, field, version] = [person(902), 'number', 1] as const;
  const bytes = signWrite(guards.pens.intake, { org: ORG, subject, field, version }, Buffer.alloc(224, 7));
  const answer = await guards.client('ledger', 'core').call<object>('settle', {
    rows: [{ subject, field, version, ...readWritten(field, bytes)! }],
  });
  assert.deepEqual(answer, { rows: [], refused: [{ subject, field, version, code: 'does-not-open' }] });
});

test('without a ledger the sealer opens nothing, and works again once it is back', async () => {
  await guards.stopLedger();
  await assert.rejects(guards.reveal([row(10)], {}, 2), (error: { code: string }) =>
    ['unavailable', 'unreachable', 'dropped'].includes(error.code),
  );
  await guards.startLedger();
  assert.deepEqual(await guards.reveal([row(11)], {}, 2), { [person(11)]: values[person(11)] });
});

test('a ledger with another key is not believed', async () => {
  const other = await Guards.start();
  try {
    const honest = guards.sealer;
    const liar = new (honest.constructor as new (o: object) => typeof honest)({
      org: 'org-test',
      state: `${guards.folder}/sealer`,
      origin: 'http://glass.localhost:8441',
      caps: guards.caps,
      clock: guards.clock,
      logger: { info() {}, warn() {}, error() {} },
      ledgerKey: other.keys.ledger,
      ledger: guardClient(guards.socketPath('ledger', 'sealer'), { name: 'ledger' }),
    });
    const browser = newBrowser();
    const grant = guards.grant(browser, [person(12)], { admin: ADMINS[2] });
    await assert.rejects(liar.reveal(grant, touch(guards.passkey(2), grant), [row(12)]), { code: 'refused' });
  } finally {
    await other.close();
  }
});
