import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromBase64url, uuidv7 } from '#base';
import { type Export, GuardError, type SealedRow } from '#seal';
import { ADMINS, Guards, person, touch } from './fixture.ts';

// Everybody, in one file for the recipients that two people signed, and for nobody else.
const guards = await Guards.start({}, 0);
const folder = mkdtempSync(join(tmpdir(), 'btz-x'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
  return guards.close();
});
const keygen = (name: string) => {
  execFileSync('age-keygen', ['-o', join(folder, name)], { stdio: 'pipe' });
  return execFileSync('age-keygen', ['-y', join(folder, name)], { encoding: 'utf8' }).trim();
};
const [recipient, other] = [keygen('one'), keygen('other')];
const PEOPLE = 12;
const DECOYS = Array.from({ length: 8 }, (_, n) => person(500 + n));
const everybody = [...Array.from({ length: PEOPLE }, (_, n) => person(n)), ...DECOYS];
await guards.client('ledger', 'intake').call('decoys', { handles: DECOYS });
const rows: SealedRow[] = [
  ...(await guards.settle(Object.fromEntries(everybody.map((one, n) => [one, `Person "${n}"`])), 'name')),
  ...(await guards.settle(Object.fromEntries(everybody.map((one, n) => [one, `+4477009000${10 + n}`])))),
];
const glass = { sealer: guards.client('sealer', 'glass'), ledger: guards.client('ledger', 'glass') };

const order = (more: Partial<Export> = {}): Export => ({
  ...{ v: 1, op: 'export', id: uuidv7(), fields: ['name', 'number'], people: everybody.length },
  ...{ recipients: [recipient], requester: ADMINS[0], purpose: 'a move to another directory' },
  notAfter: guards.clock() + 600_000,
  ...more,
});
async function begin(document: Export, signers: readonly number[] = [0, 1], shown = document): Promise<void> {
  const body = { document, assertions: signers.map((n) => touch(guards.passkey(n), shown)) };
  await glass.sealer.call('export', body);
  await glass.ledger.call('export', body);
}
const take = (id: string, some = rows) => glass.sealer.call('export-rows', { id, rows: some });
const end = (id: string) => glass.sealer.call<{ bytes: number; parts: number }>('export-end', { id });
async function fetch(id: string, parts: number): Promise<Buffer> {
  const got: Uint8Array[] = [];
  for (let n = 0; n < parts; n += 1)
    got.push(fromBase64url((await glass.sealer.call<{ part: string }>('export-part', { id, n })).part));
  return Buffer.concat(got);
}
const entries = async () => {
  const core = guards.client('ledger', 'core');
  const { entries: all } = await core.call<{
    entries: { kind: string; actor: string; detail: Record<string, unknown> }[];
  }>(...(['tail', { after: 0, waitMs: 0 }] as const));
  return all;
};

test('two people export everybody: age opens it with the named key, and every file has decoys of its own', async () => {
  const sets: string[][] = [];
  for (let n = 0; n < 2; n += 1) {
    const document = order();
    await begin(document);
    await take(document.id);
    const { parts, bytes } = await end(document.id);
    const file = await fetch(document.id, parts);
    assert.equal(file.length, bytes);
    writeFileSync(join(folder, `${n}.age`), file);
    const text = execFileSync('age', ['-d', '-i', join(folder, 'one'), join(folder, `${n}.age`)], { encoding: 'utf8' });
    const lines = text.trim().split('\r\n');
    assert.equal(lines[0], 'handle,name,mobile');
    assert.equal(lines[1], `${person(0)},"Person ""0""","+447700900010"`);
    const handles = lines.slice(1).map((line) => line.split(',')[0]!);
    const real = handles.filter((one) => !DECOYS.includes(one));
    assert.deepEqual(real, everybody.slice(0, PEOPLE).sort());
    sets.push(handles.filter((one) => DECOYS.includes(one)));
    assert.throws(() =>
      execFileSync('age', ['-d', '-i', join(folder, 'other'), join(folder, `${n}.age`)], { stdio: 'pipe' }),
    );
  }
  assert.ok(sets.every((set) => set.length >= 2));
  assert.notDeepEqual(sets[0], sets[1], 'a file that turns up names its export');
  const told = (await entries()).filter(({ kind }) => kind.startsWith('directory.export'));
  assert.deepEqual(
    told.slice(0, 4).map(({ kind }) => kind),
    ['directory.export_begun', 'directory.exported', 'directory.exported', 'directory.export_done'],
  );
  assert.deepEqual(told[1]!.detail['subjects'], [...everybody].sort(), 'decoys stand among the others');
});

test('one person, other recipients, other fields, more people, a replay, strangers: nothing is begun', async () => {
  await assert.rejects(begin(order(), [0, 0]), { code: 'two-people' });
  await assert.rejects(begin(order(), [0]), GuardError);
  const signed = order();
  for (const change of [
    { recipients: [other] },
    { recipients: [other, recipient].sort() },
    { people: 1 },
    { fields: ['name'] },
  ]) {
    await assert.rejects(begin({ ...signed, ...change } as Export, [0, 1], signed), { code: 'refused' });
  }
  await assert.rejects(begin(order({ notAfter: guards.clock() - 1 })), { code: 'expired' });
  await assert.rejects(begin(order({ fields: ['number', 'name'] })), { code: 'dropped' }, 'fields in another order');
  await assert.rejects(begin(order({ recipients: ['age1nonsense'] })), { code: 'dropped' });
  await assert.rejects(take(signed.id), { code: 'not-open' });
});

test('the budget of a day holds over restarts, each export in full, whatever became of it', async () => {
  await begin(order());
  await guards.stopSealer();
  await guards.startSealer();
  await assert.rejects(begin(order()), { code: 'cap' }, 'a fourth of this day');
  await guards.stopLedger();
  await guards.startLedger();
  await assert.rejects(begin(order()), { code: 'cap' });
  const body = (document: Export) => ({ document, assertions: [0, 1].map((n) => touch(guards.passkey(n), document)) });
  await assert.rejects(glass.ledger.call('export', body(order())), { code: 'cap' }, 'the ledger counts by itself');
});

test('the ledger opens for what was signed, no more than that, and nothing once the directory is locked', async () => {
  guards.now = Date.now() + 25 * 3_600_000;
  guards.ran = guards.now;
  const few = order({ people: 3 });
  await assert.rejects(begin(few), { code: 'refused' }, 'there are more people than were signed for');
  const document = order();
  await begin({ ...document, notAfter: guards.now + 600_000 });
  // An owned sealer asks for more.
  const own = guards.client('ledger', 'sealer');
  const names = rows.filter(({ field }) => field === 'name');
  await assert.rejects(own.call('export-open', { id: document.id, field: 'email', rows: [] }), { code: 'not-open' });
  await assert.rejects(own.call('export-open', { id: uuidv7(guards.now), field: 'name', rows: names }), {
    code: 'not-open',
  });
  for (let n = 0; n < 2; n += 1) await own.call('export-open', { id: document.id, field: 'name', rows: names });
  await assert.rejects(own.call('export-open', { id: document.id, field: 'name', rows: names }), { code: 'not-open' });
  await assert.rejects(take(document.id), { code: 'not-open' });
  await guards.client('ledger', 'core').call('lock', { scope: 'directory', target: '', reason: 'a test' });
  await guards.client('sealer', 'core').call('lock', { scope: 'directory', target: '', reason: 'a test' });
  await assert.rejects(take(document.id), { code: 'not-open' });
  await assert.rejects(end(document.id), { code: 'not-open' });
});
