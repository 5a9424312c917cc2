import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { splitRecovery } from '#backup';
import { fromBase64url, toBase64url, uuidv7 } from '#base';
import {
  type Export,
  isThird,
  type LockKey,
  lockKey,
  openBox,
  openInner,
  openThird,
  publicOfThird,
  RECOVERY_BOX,
  readAgeRecipient,
  recoveryKeyOf,
  type SealedRow,
  sealBox,
  THIRD_BYTES,
  type ThirdLock,
  type ThirdState,
  thirdKey,
  unlockRow,
  unpadValue,
  x25519Private,
  x25519Secret,
} from '#seal';
import { ADMINS, Guards, newBrowser, ORG, person, readWhole, touch } from './fixture.ts';

let guards: Guards;
beforeEach(async () => {
  guards = await Guards.start();
});
afterEach(() => guards.close());

const code = (expected: string) => ({ code: expected });
const glass = () => guards.client('ledger', 'glass');
const state = () => glass().call<ThirdState>('third', {});
/** Each admin's passkey has a PRF, which is the same for ever. */
const prf = (n: number) => Buffer.alloc(32, n + 1);
const credential = (n: number) => guards.passkey(n).credential;
const soon = () => guards.clock() + 60_000;

async function pin(n: number, more: Partial<LockKey> = {}, signer = n): Promise<void> {
  const document: LockKey = {
    ...{ v: 1, op: 'lock-key', id: uuidv7(), admin: ADMINS[n]!, credential: credential(n), notAfter: soon() },
    ...{ key: publicOfThird(lockKey(prf(n))), ...more },
  };
  await glass().call('lock-key', { document, assertion: touch(guards.passkey(signer), document) });
}

function lockOf(seed: Buffer, whose: readonly number[], more: Partial<ThirdLock> = {}): ThirdLock {
  const third = publicOfThird(thirdKey(seed));
  const boxes = whose.map((n) => {
    const to = fromBase64url(publicOfThird(lockKey(prf(n))));
    return { credential: credential(n), box: sealBox({ org: ORG, third, whose: credential(n), to, seed }) };
  });
  boxes.sort((a, b) => (a.credential < b.credential ? -1 : 1));
  return {
    ...{ v: 1, op: 'third-lock', id: uuidv7(), act: 'make', admin: ADMINS[0], key: third, boxes, notAfter: soon() },
    ...more,
  };
}

const share = (document: ThirdLock, signer = 0) =>
  glass().call('third-lock', { document, assertion: touch(guards.passkey(signer), document) });

/** Two people with their passkeys, a third lock, and the key that puts it in force. */
async function inForce(seed: Buffer, rows: readonly SealedRow[]): Promise<readonly SealedRow[]> {
  await pin(0);
  await pin(1);
  const lock = lockOf(seed, [0, 1]);
  await share(lock);
  await guards.promote(await guards.staged({ third: lock.key }));
  return guards.reseal(rows);
}

/** What whoever owns both guards and the database makes of a row: the lock, then the organisation's key. */
function stolen(row: SealedRow): Buffer {
  const { subject, field, version } = row;
  const label = { org: ORG, subject, field, version };
  const locks = join(guards.folder, 'ledger', 'locks');
  const file = readdirSync(locks)
    .map((part) => join(locks, part, subject))
    .find((path) => existsSync(path))!;
  const { lock } = JSON.parse(readFileSync(file, 'utf8')) as { lock: string };
  const inner = unlockRow(fromBase64url(lock), fromBase64url(row.row), label);
  for (const name of readdirSync(join(guards.folder, 'sealer')).filter((one) => /^organisation.*\.key$/.test(one))) {
    try {
      return openInner(x25519Private(x25519Secret(readFileSync(join(guards.folder, 'sealer', name)))), inner, label);
    } catch {}
  }
  throw new Error('no key opens it');
}

test('with the third lock both guards and the database together open no value; a passkey does', async () => {
  const before = await guards.settle({ [person(1)]: 'Amira Brandvold', [person(2)]: 'Tomas Lindqvist' });
  assert.equal(unpadValue(stolen(before[0]!), 'number'), 'Amira Brandvold', 'without it they do');
  const seed = randomBytes(32);
  const rows = [...(await inForce(seed, before)), ...(await guards.settle({ [person(3)]: 'Ines Caldeira' }))];
  for (const row of rows) {
    const padded = stolen(row);
    assert.ok(isThird(padded));
    assert.throws(() => unpadValue(padded, 'number'), code('open-failed'));
    for (const value of ['Amira', 'Tomas', 'Ines']) assert.ok(!padded.includes(value));
  }
  // What the page does: its passkey's box, the seed, the value.
  const { boxes, inForce: key } = await state();
  const box = boxes.find((one) => one.credential === credential(1))!.box;
  const found = openBox({ org: ORG, third: key!, whose: credential(1), key: lockKey(prf(1)), box });
  assert.deepEqual(found, seed);
  const browser = newBrowser();
  const grant = guards.grant(
    browser,
    rows.map(({ subject }) => subject),
  );
  const answer = await guards.client('sealer', 'glass').call<Parameters<typeof readWhole>[1]>('reveal', {
    ...{ grant, assertion: touch(guards.passkey(0), grant), rows },
  });
  const { values, third } = readWhole(browser, answer);
  assert.deepEqual(values, {});
  const texts = Object.entries(third!).map(([subject, { version, value }]) => {
    const label = { org: ORG, subject, field: 'number', version } as const;
    assert.throws(() => openThird(lockKey(prf(1)), label, fromBase64url(value)), code('open-failed'));
    assert.throws(() => openThird(thirdKey(found), { ...label, version: version + 1 }, fromBase64url(value)));
    return openThird(thirdKey(found), label, fromBase64url(value));
  });
  assert.deepEqual(texts.sort(), ['Amira Brandvold', 'Ines Caldeira', 'Tomas Lindqvist']);
  assert.deepEqual(new Set(rows.map(({ row }) => row.length)), new Set([before[0]!.row.length]), 'no row tells it');
});

test('what opens values to servers is refused, and the third lock is never taken off or changed', async () => {
  const rows = await guards.settle({ [person(1)]: 'one' });
  const seed = randomBytes(32);
  await inForce(seed, rows);
  const sealer = guards.client('sealer', 'glass');
  const now = guards.clock();
  const recipient = recoveryKeyOf(randomBytes(32)).recipients.database;
  const document: Export = {
    ...{ v: 1, op: 'export', id: uuidv7(), fields: ['name'], people: 1, recipients: [recipient] },
    ...{ requester: ADMINS[0], purpose: 'a test of the guards', notAfter: now + 3_600_000 },
  };
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), document));
  await assert.rejects(sealer.call('export', { document, assertions }), code('third-lock'));
  guards.now = now + 2 * 3_600_000;
  await guards.client('sealer', 'core').call('reseal', { rows: [] });
  const without = await guards.staged();
  assert.notEqual(await stage(), undefined, 'who asks is told that there is one');
  const off = (more: object) => {
    const changed = { ...without, ...more };
    return { document: changed, assertions: [0, 1].map((n) => touch(guards.passkey(n), changed)) };
  };
  const other = lockOf(randomBytes(32), [0, 1]);
  for (const asked of [off({}), off({ id: uuidv7(), third: other.key })]) {
    await assert.rejects(sealer.call('rotate-key', asked), code('refused'));
    await assert.rejects(glass().call('rotate-key', asked), code('refused'));
  }
  await assert.rejects(share(other), code('refused'), 'nor is another one proposed');
  const same = await guards.staged({ third: publicOfThird(thirdKey(seed)) });
  assert.equal((await guards.promote(same))?.third, same.third, 'the next key keeps it');
});

const stage = async () => (await guards.client('sealer', 'console').call<{ third?: string }>('stage', {})).third;

test('a lock key is its own passkey’s, a box goes to registered passkeys, and one person alone makes none', async () => {
  await pin(0);
  await pin(0, { id: uuidv7() });
  await assert.rejects(pin(0, { key: publicOfThird(lockKey(prf(9))) }), code('refused'), 'it does not change');
  await assert.rejects(pin(1, {}, 0), code('refused'), 'nobody names another one’s key');
  await assert.rejects(pin(1, { admin: ADMINS[0]! }), code('refused'));
  const seed = randomBytes(32);
  await assert.rejects(share(lockOf(seed, [0])), code('too-few'));
  await assert.rejects(share(lockOf(seed, [0, 1])), code('refused'), 'who did not register');
  await pin(1);
  await assert.rejects(share(lockOf(seed, [0, 1], { admin: ADMINS[1]! })), code('refused'), 'in another one’s name');
  // Nothing that was not proposed comes into force, whoever owns the console.
  const planted = await guards.staged({ third: publicOfThird(thirdKey(randomBytes(32))) });
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), planted));
  for (const guard of [guards.client('sealer', 'glass'), glass()]) {
    await assert.rejects(guard.call('rotate-key', { document: planted, assertions }), code('refused'));
  }
  const { keys } = await guards.client('sealer', 'console').call<{ keys: { current: object } }>('status', {});
  assert.deepEqual(keys.current, { ...keys.current, number: 1 }, 'neither guard is in front of the other');
  const lock = lockOf(seed, [0, 1]);
  await share(lock);
  await share(lock);
  await guards.stopLedger();
  await guards.startLedger();
  assert.equal((await state()).proposed?.key, lock.key, 'it is remembered');
  // A third person, later; what somebody has already is not taken from him.
  await pin(2);
  await share(lockOf(seed, [2], { act: 'add' }));
  assert.equal((await state()).boxes.length, 3);
  await assert.rejects(share(lockOf(randomBytes(32), [2], { act: 'add', key: lock.key })), code('refused'));
});

test('what two people were asked to sign comes into force though another one was proposed since', async () => {
  await pin(0);
  await pin(1);
  const first = lockOf(randomBytes(32), [0, 1]);
  await share(first);
  const document = await guards.staged({ third: first.key });
  await share(lockOf(randomBytes(32), [0, 1], { admin: ADMINS[1] }), 1);
  assert.equal((await guards.promote(document))?.third, first.key);
  const { inForce: key, boxes } = await state();
  assert.deepEqual([key, boxes], [first.key, first.boxes], 'with the boxes that were made for it');
});

test('with the recovery cards new passkeys are let in, and with other cards nobody', async () => {
  const cards = randomBytes(32);
  const recovery = recoveryKeyOf(cards);
  await guards.ledger.pinRecovery(recovery);
  await pin(0);
  await pin(1);
  const seed = randomBytes(32);
  const third = publicOfThird(thirdKey(seed));
  await assert.rejects(share(lockOf(seed, [0, 1])), code('refused'), 'the recovery key must open it too');
  const to = readAgeRecipient(recovery.recipients.organisation);
  assert.equal((await state()).recoveryKey, toBase64url(to));
  await share(lockOf(seed, [0, 1], { recovery: sealBox({ org: ORG, third, whose: RECOVERY_BOX, to, seed }) }));
  await pin(2);
  const { recovery: box, keys, boxes } = await state();
  const has = new Set(boxes.map((one) => one.credential));
  const file = join(guards.folder, 'third-lock.json');
  const waiting = keys.filter((one) => !has.has(one.credential));
  writeFileSync(file, JSON.stringify({ v: 1, org: ORG, key: third, recovery: box, keys: waiting }));
  const made = join(guards.folder, 'boxes.json');
  const run = async (secret: Buffer) => {
    const input = (await splitRecovery(secret)).slice(1, 4).map(({ text }) => text);
    return execFileSync('bin/bartizan', ['third-lock', 'recover', file, '--out', made], {
      ...{ input: `${input.join('\n')}\n`, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] },
    });
  };
  await assert.rejects(run(randomBytes(32)), /do not open this third lock/);
  assert.equal(existsSync(made), false);
  assert.match(await run(cards), /1 box is in/);
  const { boxes: fresh } = JSON.parse(readFileSync(made, 'utf8')) as Pick<ThirdLock, 'boxes'>;
  await share(lockOf(seed, [2], { act: 'add', admin: ADMINS[2]!, boxes: fresh }), 2);
  const given = (await state()).boxes.find((one) => one.credential === credential(2))!;
  assert.deepEqual(openBox({ org: ORG, third, whose: credential(2), key: lockKey(prf(2)), box: given.box }), seed);
});

test('a value that is too long for the third lock is not lost', async () => {
  const long = 'x'.repeat(THIRD_BYTES + 1);
  const rows = await guards.settle({ [person(1)]: long, [person(2)]: 'x'.repeat(THIRD_BYTES) });
  const seed = randomBytes(32);
  const fresh = await inForce(seed, rows);
  assert.deepEqual(
    fresh.map((row) => isThird(stolen(row))),
    [false, true],
  );
  assert.deepEqual(await guards.reveal([fresh[0]!]), { [person(1)]: long });
});
