import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fromBase64url, toBase64url } from '#base';
import { Ledger } from '#guard';
import {
  type OrgKeyNotice,
  openInner,
  type RotateKey,
  type SealedRow,
  sealInner,
  signBody,
  unlockRow,
  withOrgKey,
  x25519Private,
  x25519Secret,
} from '#seal';
import { ADMINS, Guards, ORG, person, touch } from './fixture.ts';

const HOUR = 3_600_000;
let guards: Guards;
beforeEach(async () => {
  guards = await Guards.start();
});
afterEach(() => guards.close());

const code = (expected: string) => ({ code: expected });
const sealerFile = (name: string) => join(guards.folder, 'sealer', name);
const valuesOf = async (rows: readonly SealedRow[], n = 0) => guards.reveal(rows, {}, n);
interface Keys {
  readonly state: string;
  readonly current: { readonly number: number; readonly key: string; readonly grade: string };
  readonly old?: { readonly number: number };
  readonly staged?: { readonly number: number; readonly key: string };
}
const keysOf = async () => (await guards.client('sealer', 'console').call<{ keys: Keys }>('status', {})).keys;
const signed = (document: RotateKey, signers = [0, 1]) => ({
  document,
  assertions: signers.map((n) => touch(guards.passkey(n), document)),
});
const retry = async () => {
  await guards.stopSealer();
  await guards.stopLedger();
  await guards.startLedger();
  await guards.startSealer();
};
/** What a thief of the ledger's locks and the database has left of a row: the inner layer. */
const innerOf = (row: SealedRow) => {
  const { subject, field, version } = row;
  const folder = join(guards.folder, 'ledger', 'locks');
  const file = readdirSync(folder)
    .map((part) => join(folder, part, subject))
    .find((path) => existsSync(path))!;
  const { lock } = JSON.parse(readFileSync(file, 'utf8')) as { lock: string };
  const label = { org: ORG, subject, field, version };
  return { inner: unlockRow(fromBase64url(lock), fromBase64url(row.row), label), label };
};

test('a key goes from staged to in force to destroyed, and every row stays readable on the way', async () => {
  const before = await guards.settle({ [person(1)]: 'one', [person(2)]: 'two' });
  copyFileSync(sealerFile('organisation.key'), join(guards.folder, 'stolen.key'));
  const founding = await keysOf();
  assert.deepEqual([founding.state, founding.current.number, founding.current.grade], ['open', 1, 'D']);
  const document = await guards.staged();
  assert.equal((await guards.staged()).key, document.key, 'asking again stages no second key');
  assert.deepEqual(await valuesOf(before), { [person(1)]: 'one', [person(2)]: 'two' });
  const notice = await guards.promote(document);
  assert.ok(notice !== undefined);
  assert.notEqual(guards.writers!.inner, guards.keys.inner, 'writers follow both guards’ signatures');
  const after = await guards.settle({ [person(3)]: 'three' });
  const stored = [...before, ...after];
  assert.deepEqual(await valuesOf(stored), { [person(1)]: 'one', [person(2)]: 'two', [person(3)]: 'three' });
  await assert.rejects(guards.client('sealer', 'console').call('stage', {}), code('busy'));

  // Half-way, both guards are killed.
  const half = await guards.reseal(stored.slice(0, 1));
  await retry();
  assert.deepEqual(await valuesOf([half[0]!, ...stored.slice(1)]), {
    ...{ [person(1)]: 'one', [person(2)]: 'two', [person(3)]: 'three' },
  });
  const core = guards.client('sealer', 'core');
  type Ending = { retired: boolean; left: number; waitMs: number };
  assert.equal((await core.call<Ending>('reseal', { rows: [] })).left, 2, 'not before every row is under the new key');
  const fresh = await guards.reseal([half[0]!, ...stored.slice(1)]);
  const waiting = await core.call<Ending>('reseal', { rows: [] });
  assert.deepEqual([waiting.retired, waiting.left, waiting.waitMs > 0], [false, 0, true], 'writers have time to learn');
  assert.ok(existsSync(sealerFile('organisation.key')));
  guards.now = Date.now() + HOUR;
  assert.equal((await core.call<Ending>('reseal', { rows: [] })).retired, true);
  assert.ok(!existsSync(sealerFile('organisation.key')), 'the old key is destroyed');
  assert.equal((await keysOf()).old, undefined);
  await retry();
  assert.deepEqual(await valuesOf(fresh), { [person(1)]: 'one', [person(2)]: 'two', [person(3)]: 'three' });
  assert.deepEqual(await valuesOf(before, 1), {}, 'rows of an old copy of the database open no more');

  // Who stole the old key, all locks and the database has what there was before the change, and nothing of after.
  const thief = x25519Private(x25519Secret(readFileSync(join(guards.folder, 'stolen.key'))));
  assert.ok(openInner(thief, innerOf(before[0]!).inner, innerOf(before[0]!).label).includes('one'));
  for (const row of fresh) {
    const { inner, label } = innerOf(row);
    assert.throws(() => openInner(thief, inner, label), code('open-failed'));
  }
  const kinds = (
    await guards.client('ledger', 'core').call<{ entries: { kind: string }[] }>('tail', { after: 0, waitMs: 0 })
  ).entries.map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === 'key.promoted').length, 1);
  assert.equal(kinds.filter((kind) => kind === 'key.resealing').length, 4, 'each opening for it is in the log');
  assert.equal(kinds.filter((kind) => kind === 'key.retired').length, 1);
  // And the same once more, from the second key to the third.
  const third = await guards.promote(await guards.staged());
  assert.deepEqual([third?.number, (await keysOf()).current.number], [3, 3]);
  assert.deepEqual(await valuesOf(await guards.reseal(fresh)), {
    ...{ [person(1)]: 'one', [person(2)]: 'two', [person(3)]: 'three' },
  });
});

test('a staged key opens nothing and ends by itself', async () => {
  const document = await guards.staged();
  const label = { org: ORG, subject: person(1), field: 'number', version: 1 } as const;
  const padded = Buffer.alloc(128);
  padded.write('\0\x06secret', 'latin1');
  const opened = await guards.sealer.keys.open([
    { inner: sealInner(fromBase64url(document.key), padded, label), label },
  ]);
  assert.deepEqual(opened, [undefined]);
  assert.ok(existsSync(sealerFile('organisation-2.key')));
  guards.now = Date.now() + 25 * HOUR;
  await guards.sealer.tend();
  assert.ok(!existsSync(sealerFile('organisation-2.key')), 'an abandoned key is no working key');
  const late = { ...document, notAfter: guards.now + HOUR };
  await assert.rejects(guards.client('sealer', 'glass').call('rotate-key', signed(late)), code('refused'));
  assert.equal((await keysOf()).current.number, 1);
  const again = await guards.staged();
  assert.notEqual(again.key, document.key);
});

test('one person, a stranger, another key, an old document: nothing is put in force', async () => {
  const document = await guards.staged();
  const sealer = guards.client('sealer', 'glass');
  const ledger = guards.client('ledger', 'glass');
  const other = toBase64url(
    generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
  );
  for (const [what, body, expected] of [
    ['the same person twice', signed(document, [0, 0]), 'two-people'],
    ['another key', signed({ ...document, key: other }), 'refused'],
    ['another predecessor', signed({ ...document, previous: other }), 'refused'],
    ['a number ahead', signed({ ...document, number: 3 }), 'refused'],
    ['a changed purpose', { ...signed(document), document: { ...document, purpose: 'something else' } }, 'refused'],
    ['too long a life', signed({ ...document, notAfter: Date.now() + 48 * HOUR }), 'refused'],
  ] as const) {
    await assert.rejects(sealer.call('rotate-key', body), code(expected), `sealer: ${what}`);
    // The ledger does not know which key is staged: that is the sealer's to judge, and both must sign a notice.
    if (what !== 'another key')
      await assert.rejects(ledger.call('rotate-key', body), code(expected), `ledger: ${what}`);
  }
  assert.equal((await keysOf()).current.number, 1);
  assert.ok((await guards.promote(document)) !== undefined);
  assert.ok(
    (await guards.promote(document)) !== undefined,
    'asked again by a relay that saw no answer: the same answer',
  );
  const replayed = signed({ ...document, number: 3, previous: document.key });
  await assert.rejects(
    sealer.call('rotate-key', { ...replayed, assertions: signed(document).assertions }),
    code('refused'),
  );
  await assert.rejects(
    ledger.call('rotate-key', { ...replayed, assertions: signed(document).assertions }),
    code('busy'),
  );
});

test('writers take a key from both guards together and from nobody else', async () => {
  const document = await guards.staged();
  const notice = (await guards.promote(document)) as OrgKeyNotice;
  const { keys } = guards;
  assert.deepEqual(withOrgKey(keys, notice), { keys: { ...keys, inner: document.key }, number: 2 });
  const mine = generateKeyPairSync('ed25519').privateKey;
  const { sealer: _, ledger: __, ...statement } = notice;
  const other = { ...statement, key: keys.outer };
  for (const [what, forged] of [
    ['the ledger alone', { ...other, sealer: signBody(mine, other), ledger: notice.ledger }],
    ['the sealer alone', { ...other, sealer: notice.sealer, ledger: signBody(mine, other) }],
    ['another key under true signatures', { ...notice, key: keys.outer }],
    ['signatures changed about', { ...notice, sealer: notice.ledger, ledger: notice.sealer }],
    ['another organisation', { ...notice, org: 'elsewhere' }],
    ['something more', { ...notice, note: 'x' }],
    ['nothing', null],
    ['a text', 'notice'],
  ] as const) {
    assert.equal(withOrgKey(keys, forged).keys.inner, keys.inner, what);
  }
  assert.equal(withOrgKey(keys, notice, 2).number, 2, 'a number that is in use is not taken again');
  assert.equal(withOrgKey(keys, notice, 7).keys.inner, keys.inner, 'nobody goes back');
  const { sealer: ___, ...old } = keys;
  assert.equal(withOrgKey(old, notice).keys.inner, keys.inner, 'without the sealer’s key nothing is believed');
});

test('the ledger opens nothing for sealing anew without two people’s order, nor more than that needs', async () => {
  const rows = await guards.settle({ [person(1)]: 'one' });
  const asSealer = guards.client('ledger', 'sealer');
  const open = (count: number) =>
    asSealer.call('rotate', { number: 2, rows: Array.from({ length: count }, () => rows[0]) });
  await assert.rejects(open(1), code('refused'));
  await guards.promote(await guards.staged());
  let opened = 0;
  await assert.rejects(async () => {
    for (; opened < 10_000; opened += 100) await open(100);
  }, code('cap'));
  assert.ok(opened <= 2_004, `${opened} openings for one value`);
  await retry();
  await assert.rejects(
    asSealer.call('rotate', { number: 2, rows: Array.from({ length: 100 }, () => rows[0]) }),
    code('cap'),
  );
  await assert.rejects(asSealer.call('rotated', { number: 3, values: [], found: [] }), code('refused'));
  await assert.rejects(guards.client('ledger', 'core').call('rotate', { number: 2, rows }), code('dropped'));
});

test('under lock a new key is put in force and all is sealed anew, while nobody reads', async () => {
  const rows = await guards.settle({ [person(1)]: 'one' });
  for (const guard of ['sealer', 'ledger'] as const) {
    await guards
      .client(guard as 'sealer', 'core')
      .call('lock', { scope: 'directory', target: '', reason: 'stolen key' });
  }
  assert.equal((await keysOf()).state, 'locked');
  await guards.promote(await guards.staged());
  const fresh = await guards.reseal(rows);
  await assert.rejects(guards.reveal(fresh), code('locked'));
  guards.now = Date.now() + HOUR;
  const ended = await guards.client('sealer', 'core').call<{ retired: boolean }>('reseal', { rows: [] });
  assert.equal(ended.retired, true);
  assert.equal((await keysOf()).state, 'locked', 'and the new key is forgotten again until two people unlock');
  await guards.lift('directory');
  assert.equal((await keysOf()).state, 'open');
  assert.deepEqual(await valuesOf(fresh), { [person(1)]: 'one' });
});

test('a lock that comes while rows are sealed anew stops it; what was done stays good', async () => {
  const rows = await guards.settle({ [person(1)]: 'one', [person(2)]: 'two' });
  await guards.promote(await guards.staged());
  const core = guards.client('sealer', 'core');
  const running = core.call('reseal', { rows }).catch(() => {});
  await core.call('lock', { scope: 'directory', target: '', reason: 'a rule' });
  await running;
  await assert.rejects(core.call('reseal', { rows }), code('locked'));
  await guards.lift('directory');
  assert.deepEqual(await valuesOf(await guards.reseal(rows)), { [person(1)]: 'one', [person(2)]: 'two' });
});

test('rows that open for nobody are named once and do not hold up the change, nor use up its meter', async () => {
  const [past] = await guards.settle({ [person(1)]: 'one' });
  const [present] = await guards.settle({ [person(1)]: 'one anew' }, 'number', 2);
  const stranger = { ...present!, subject: person(77) };
  await guards.promote(await guards.staged());
  const core = guards.client('sealer', 'core');
  type Resealed = { rows: SealedRow[]; current: object[]; broken: { subject: string; version: number }[] };
  const answer = await core.call<Resealed>('reseal', { rows: [past!, present!, stranger] });
  assert.deepEqual([answer.rows.length, answer.current.length], [1, 0]);
  const named = answer.broken.map(({ subject, version }) => `${subject} ${version}`).sort();
  assert.deepEqual(named, [`${person(1)} 1`, `${person(77)} 2`]);
  const again = await core.call<Resealed>('reseal', { rows: answer.rows });
  assert.equal(again.current.length, 1);
});

test('a journal that ends anywhere within a change is taken up again', async () => {
  const document = await guards.staged();
  await guards.client('sealer', 'glass').call('rotate-key', signed(document));
  // The ledger was down when the sealer had agreed already: no notice, and writers stay with what both vouch for.
  await retry();
  assert.equal(guards.ledger.rekeying.notice, undefined);
  assert.equal((await keysOf()).current.number, 2);
  assert.ok((await guards.promote(document)) !== undefined);
  await guards.stopLedger();
  const again = await Ledger.open(guards.ledgerOptions());
  assert.equal(again.rekeying.notice?.statement.key, document.key);
  await again.close();
  assert.equal(ADMINS.length, 3);
});
