import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sha256, uuidv7 } from '#base';
import { openCheckpoint } from '#proof';
import { LEAVING_PER_HOUR, type Leave } from '#seal';
import { checkEntry, type LedgerEntry } from '../../../src/incident/entry.ts';
import { ADMINS, Guards, newBrowser, person, touch } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());
guards.now = Date.now();
const glass = guards.client('ledger', 'glass');
const core = guards.client('ledger', 'core');

const leave = (subjects: readonly string[], more: Partial<Leave> = {}): Leave => ({
  ...{ v: 1, op: 'leave', id: uuidv7(), subjects: [...subjects].sort(), requester: ADMINS[0] },
  ...{ purpose: 'has left the agency', notAfter: guards.clock() + 60_000 },
  ...more,
});
const ask = (document: Leave, ...signers: number[]) =>
  glass.call<{ erased: number }>('leave', {
    document,
    assertions: signers.map((n) => touch(guards.passkey(n), document)),
  });
const lockFile = (subject: string) =>
  join(guards.folder, 'ledger', 'locks', sha256(subject).toString('hex').slice(0, 2), subject);
/** All bytes below the ledger's private folder. */
const everything = () => {
  const folder = join(guards.folder, 'ledger');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => readFileSync(join(one.parentPath, one.name)));
};
const history = (subject: string, caller: 'console' | 'glass' = 'console') =>
  guards.client('ledger', caller).call<{
    entries: (LedgerEntry & { admin: string; field: string | null; purpose: string; role: string })[];
    checkpoint: string;
    left: boolean;
  }>('history', { subject });

test('one touch erases a person: the lock is gone, nothing of theirs opens or is taken again, and the log proves it', async () => {
  const [row, other] = await guards.settle({ [person(1)]: '+447700900001', [person(2)]: '+447700900002' });
  assert.deepEqual(await guards.reveal([row!]), { [person(1)]: '+447700900001' });
  const { lock } = JSON.parse(readFileSync(lockFile(person(1)), 'utf8')) as { lock: string };
  writeFileSync(`${lockFile(person(1))}.tmp`, JSON.stringify({ lock }));
  assert.ok(everything().some((bytes) => bytes.includes(lock)));
  const document = leave([person(1)]);
  assert.deepEqual(await ask(document, 0), { erased: 1 });
  assert.ok(!existsSync(lockFile(person(1))));
  assert.ok(!everything().some((bytes) => bytes.includes(lock)), 'what an unfinished write left is gone too');
  assert.deepEqual(await guards.reveal([row!], {}, 1), {}, 'the row of any backup');
  for (const version of [1, 2, 9]) {
    const again = {
      subject: person(1),
      field: 'number',
      version,
      ...guards.written(person(1), '+447700900001', { version }),
    };
    const { rows, refused } = await core.call<{ rows: object[]; refused: { code: string }[] }>('settle', {
      rows: [again],
    });
    assert.deepEqual([rows.length, refused[0]?.code], [0, 'left'], 'nobody is made again under this handle');
  }
  const { entries, checkpoint, left } = await history(person(1));
  assert.equal(left, true);
  assert.deepEqual(
    entries.map(({ kind }) => kind.slice('directory.'.length)),
    ['revealed', 'erased', 'revealed'],
    'newest first, what came to nothing too: the entry is written before',
  );
  const certificate = entries.find(({ kind }) => kind === 'directory.erased')!;
  const checked = checkEntry(certificate, openCheckpoint(checkpoint, guards.keys.log));
  assert.deepEqual([checked.verified, checked.admin, checked.subjects], [true, ADMINS[0], [person(1)]]);
  const forged = { ...certificate, body: { ...certificate.body, time: 1 } };
  assert.equal(checkEntry(forged, openCheckpoint(checkpoint, guards.keys.log)).verified, false);
  assert.deepEqual(await ask(document, 0), { erased: 1 }, 'the same document again');
  assert.equal((await history(person(1))).entries.length, entries.length, 'writes nothing');
  assert.deepEqual(await guards.reveal([other!], {}, 1), { [person(2)]: '+447700900002' });
});

test('a lock file that is put back after an erasure opens nothing, and is destroyed when the ledger opens', async () => {
  const [row] = await guards.settle({ [person(10)]: '+447700900010' });
  const backup = readFileSync(lockFile(person(10)));
  await ask(leave([person(10)]), 0);
  writeFileSync(lockFile(person(10)), backup);
  assert.deepEqual(await guards.reveal([row!], {}, 2), {});
  await guards.stopLedger();
  await guards.startLedger();
  assert.ok(!existsSync(lockFile(person(10))));
  assert.deepEqual(await guards.reveal([row!], {}, 2), {});
});

test('who may not erase: strangers, one alone beyond a few an hour, another for one, a touch for other people', async () => {
  const values = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [person(20 + n), `+4477009002${10 + n}`]));
  const rows = await guards.settle(values);
  guards.now! += 3_600_001;
  const six = leave(Object.keys(values).slice(0, LEAVING_PER_HOUR + 1));
  await assert.rejects(ask(six, 0), { code: 'two-people' });
  const good = leave([person(20)]);
  const signed = touch(guards.passkey(), good);
  const call = (document: Leave, assertion = touch(guards.passkey(), document)) =>
    glass.call('leave', { document, assertions: [assertion] });
  const refused: [string, Promise<unknown>][] = [
    ['other people', call({ ...good, subjects: [person(21)] }, signed)],
    ['in another’s name', call(leave([person(20)], { requester: ADMINS[1] }))],
    ['expired', call(leave([person(20)], { notAfter: guards.clock() - 1 }))],
    ['a reveal’s touch', call(good, touch(guards.passkey(), guards.grant(newBrowser(), [person(20)])))],
    ['the same person twice', ask(six, 0, 0)],
  ];
  for (const [what, one] of refused) await assert.rejects(one, /./, what);
  await assert.rejects(core.call('leave', { document: good, assertions: [signed] }), { code: 'dropped' });
  const [token] = await guards.settle({ 'oak-lantern-1001': 'AAAA' }, 'unlock-token');
  assert.ok(token);
  await assert.rejects(ask(leave(['oak-lantern-1001']), 0), { code: 'refused' }, 'a device keeps its secrets');
  for (let n = 0; n < LEAVING_PER_HOUR; n++) await ask(leave([person(20 + n)]), n % 2, ...(n % 2 === 1 ? [0] : []));
  assert.deepEqual(await guards.reveal([rows[11]!], {}, 1), { [person(31)]: values[person(31)] }, 'the others stay');
});

test('one person alone erases so many an hour, over all of them; two people are not held by that', async () => {
  guards.now! += 3_600_001;
  const values = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [person(40 + n), `+4477009004${10 + n}`]));
  await guards.settle(values);
  await ask(leave([person(40), person(41), person(42)]), 0);
  await ask(leave([person(43), person(44)], { requester: ADMINS[1] }), 1);
  await assert.rejects(ask(leave([person(45)], { requester: ADMINS[2] }), 2), { code: 'two-people' });
  await guards.stopLedger();
  await guards.startLedger();
  await assert.rejects(
    ask(leave([person(45)], { requester: ADMINS[2] }), 2),
    { code: 'two-people' },
    'after a restart',
  );
  await ask(leave(Object.keys(values).slice(5, 19)), 0, 1);
  guards.now! += 3_600_001;
  await ask(leave([person(59)], { requester: ADMINS[2] }), 2);
  await core.call('lock', { scope: 'directory', target: '', reason: 'a test' });
  await assert.rejects(ask(leave([person(60)]), 0), { code: 'locked' });
  await guards.lift('directory');
});

test('a person’s sheet: every opening of their values, with proof; attempts that failed and other people are not on it', async () => {
  guards.now! += 90_000_000;
  const [a, b] = await guards.settle({ [person(70)]: '+447700900070', [person(71)]: '+447700900071' });
  await guards.reveal([a!, b!], { purpose: 'call the duty officer' }, 1);
  const own = await history(person(70));
  assert.deepEqual(
    own.entries.map(({ kind, admin, field, purpose, role }) => [kind, admin, field, purpose, role]),
    [['directory.revealed', ADMINS[1], 'number', 'call the duty officer', 'administrator']],
  );
  assert.ok(checkEntry(own.entries[0]!, openCheckpoint(own.checkpoint, guards.keys.log)).verified);
  const shown = await history(person(70), 'glass');
  assert.ok(!JSON.stringify(shown).includes(person(71)), 'the person learns nothing of the other one');
  assert.deepEqual((await history(person(72))).entries, []);
  await assert.rejects(history('not a handle'), { code: 'dropped' });
});

test('a decoy that leaves is in no count of people', async () => {
  const decoys = [person(80), person(81)];
  await guards.client('ledger', 'intake').call('decoys', { handles: decoys });
  await guards.settle(Object.fromEntries(decoys.map((one) => [one, '+447700900080'])));
  const known = async () => (await core.call<{ decoysKnown: number }>('exposure', { from: 0, to: 9e15 })).decoysKnown;
  assert.equal(await known(), 2);
  await ask(leave([person(80)]), 0);
  assert.equal(await known(), 1);
});
