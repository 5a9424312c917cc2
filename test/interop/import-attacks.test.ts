import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toBase64url, uuidv7 } from '#base';
import { uploadServer } from '#intake';
import { type ImportPeople, type ImportPermit, keysDigest, type PublicKeys } from '#seal';
import type { GlassDoors } from '../../src/glass/doors.ts';
import { permitImport, relayImport } from '../../src/glass/import.ts';
import { inParts, permitHolds } from '../../web/src/glass/import/permit.ts';
import { type Place, sealKeys, sealPeople } from '../../web/src/glass/import/seal.ts';
import { newBrowser, touch } from '../spec/guards/fixture.ts';
import { ScimStage } from './scim-stage.ts';

// The page's own code seals here; glass is owned and does what it likes in between.
let stage: ScimStage;
let glass: GlassDoors;
let close: () => void;
before(async () => {
  stage = await ScimStage.open();
  const server = uploadServer(stage.doors, stage.doors.log);
  const intake = join(stage.dir, 'upload');
  server.listen(intake);
  await once(server, 'listening');
  close = () => {
    server.close();
    server.closeAllConnections();
  };
  glass = { intake, ledger: stage.guards.client('ledger', 'glass') } as GlassDoors;
});
after(async () => {
  close();
  await stage.close();
});

const sha = (...parts: readonly (Uint8Array | string)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const person = (n: number, externalId = '') => ({
  ...{
    given: 'Valdis',
    family: `Import${n}`,
    email: `v${n}@example.org`,
    mobile: `+4477009002${String(n).padStart(2, '0')}`,
  },
  ...{ unit: 'Registry', memberState: 'LV', externalId },
});

/** What an administrator touches; `more` is what an owned glass would like them to touch. */
function documentOf(
  id: string,
  stageOf: 'begin' | 'send',
  count: number,
  hashes: readonly Uint8Array[],
  more: object = {},
): ImportPeople {
  return {
    ...{ v: 1, op: 'import', id: uuidv7(), import: id, admin: 'admin-ada', stage: stageOf, count },
    ...{ sha256: toBase64url(sha(...hashes)), keys: keysDigest(stage.guards.keys), notAfter: Date.now() + 300_000 },
    ...more,
  } as ImportPeople;
}
const permit = async (document: ImportPeople, n = 0): Promise<ImportPermit> => {
  const answer = (await permitImport(glass, { document, assertion: touch(stage.guards.passkey(n), document) })) as {
    permit: ImportPermit;
  };
  return answer.permit;
};
const packed = (hashes: readonly Uint8Array[]) => hashes.map((one) => toBase64url(one));
const refusedAs = (code: string) => (error: Error) => 'code' in error && error.code === code;

interface Ready {
  readonly id: string;
  readonly texts: readonly string[];
  readonly hashes: readonly Uint8Array[];
  readonly places: readonly Place[];
}

/** Begins, gets places and seals, as the page does. */
async function ready(people: readonly ReturnType<typeof person>[], source = 'csv'): Promise<Ready> {
  const id = uuidv7();
  const keys: PublicKeys = { ...stage.guards.keys, intake: toBase64url(rawOf()) };
  const boxes = await sealKeys(keys, id, people);
  const boxHashes = boxes.map((box) => sha(Buffer.from(box, 'base64url')));
  const begun = await permit(documentOf(id, 'begin', people.length, boxHashes));
  await relayImport(glass, 'begin', { permit: begun, hashes: packed(boxHashes), source });
  const box = boxes[0] === undefined ? {} : { box: boxes[0] };
  const asked = { import: id, part: 0, count: people.length, ...box };
  const { places } = (await relayImport(glass, 'places', asked)) as { places: Place[] };
  const lines = await sealPeople({ keys, people, places, signal: new AbortController().signal, told: () => {} });
  const { texts, hashes } = await inParts(lines);
  return { id, texts, hashes, places };
}
const rawOf = () => {
  const der = stage.doors.secrets.box;
  return Buffer.from((der.export({ format: 'jwk' }) as { x: string }).x, 'base64url');
};
const announce = async ({ id, hashes }: Ready, count: number) => {
  const allowed = await permit(documentOf(id, 'send', count, hashes));
  return relayImport(glass, 'send', { permit: allowed, hashes: packed(hashes), domain: 'example.org' });
};
const part = (id: string, n: number, text: string) => relayImport(glass, 'part', { import: id, part: n, text });
const countPeople = async () =>
  (await stage.admin.query('select count(*)::int as n from people.person')).rows[0]!['n'] as number;

test('without a permit that the ledger signed over exactly this, intake takes nothing', async () => {
  const id = uuidv7();
  const good = await permit(documentOf(id, 'begin', 3, []));
  const begin = (given: object, hashes: readonly string[] = []) =>
    relayImport(glass, 'begin', { permit: given, hashes, source: 'csv' });
  await assert.rejects(begin({ ...good, count: 4 }), refusedAs('not-permitted'));
  await assert.rejects(begin({ ...good, stage: 'send' }), refusedAs('not-permitted'));
  await assert.rejects(begin(good, [toBase64url(sha('x'))]), refusedAs('not-permitted'));
  await assert.rejects(begin({ ...good, signature: toBase64url(Buffer.alloc(64)) }), refusedAs('not-permitted'));
  await assert.rejects(begin({ ...good, more: 1 }), refusedAs('shape'));
  await assert.rejects(relayImport(glass, 'places', { import: id, part: 0, count: 3 }), refusedAs('again'));
  for (const verb of ['drop', '__proto__', 'constructor', '../operator'])
    await assert.rejects(relayImport(glass, verb, {}));
  await begin(good);
  await assert.rejects(relayImport(glass, 'places', { import: id, part: 0, count: 4 }), refusedAs('bad-request'));
  await relayImport(glass, 'cancel', { import: id });
  assert.equal(await countPeople(), 0);
});

test('the ledger permits an administrator’s own touch, once, over its own keys', async () => {
  const id = uuidv7();
  const other = { keys: keysDigest({ ...stage.guards.keys, inner: newBrowser().publicKey }) };
  await assert.rejects(permit(documentOf(id, 'begin', 3, [], other)), refusedAs('wrong-keys'));
  await assert.rejects(permit(documentOf(id, 'begin', 3, [], { admin: 'admin-ben' })), refusedAs('refused'));
  await assert.rejects(permit(documentOf(id, 'begin', 3, [], { notAfter: Date.now() - 1 })), refusedAs('expired'));
  await assert.rejects(
    permit(documentOf(id, 'begin', 3, [], { notAfter: Date.now() + 3_600_000 })),
    refusedAs('refused'),
  );
  await assert.rejects(permit(documentOf(id, 'begin', 60_000, [])));
  const document = documentOf(id, 'begin', 3, []);
  const assertion = touch(stage.guards.passkey(), document);
  await assert.rejects(permitImport(glass, { document: { ...document, count: 5 }, assertion }), refusedAs('refused'));
  const { permit: given } = (await permitImport(glass, { document, assertion })) as { permit: ImportPermit };
  await assert.rejects(permitImport(glass, { document, assertion }), refusedAs('used'));
  // The page believes no permit but the ledger's, over its own document.
  const { ledger } = stage.guards.keys;
  assert.ok(await permitHolds(ledger, given, document));
  assert.ok(!(await permitHolds(ledger, given, { ...document, count: 4 })));
  assert.ok(!(await permitHolds(ledger, { ...given, keys: other.keys }, document)));
  assert.ok(!(await permitHolds(stage.guards.keys.writers.glass, given, document)));
});

test('an owned glass that changes, swaps, drops or adds a row is found out, and nobody is stored', async () => {
  const people = Array.from({ length: 200 }, (_, n) => person(n));
  const sealed = await ready(people);
  await announce(sealed, people.length);
  const [first, second] = sealed.texts;
  const lines = first!.split('\n');
  const swapped = [lines[1]!.replace(/^\S+/, lines[0]!.split('\t')[0]!), ...lines.slice(1)].join('\n');
  for (const text of [
    swapped,
    lines.slice(1).join('\n'),
    `${first}\n${lines[0]}`,
    second!,
    first!.replace('Registry', 'Registre'),
  ]) {
    await assert.rejects(part(sealed.id, 0, text), refusedAs('bad-request'));
  }
  await part(sealed.id, 0, first!);
  await assert.rejects(relayImport(glass, 'finish', { import: sealed.id }), refusedAs('bad-request'));
  assert.deepEqual(await relayImport(glass, 'missing', { import: sealed.id }), { missing: [1] });
  // Another administrator's import waits its turn.
  const theirs = await permit(documentOf(uuidv7(), 'begin', 3, []));
  await assert.rejects(relayImport(glass, 'begin', { permit: theirs, hashes: [], source: 'csv' }), refusedAs('busy'));
  assert.equal(await countPeople(), 0);
  await part(sealed.id, 1, second!);
  // Asked twice at the same moment, it is stored once.
  const answers = await Promise.all([1, 2].map(() => relayImport(glass, 'finish', { import: sealed.id })));
  assert.deepEqual(answers, [
    { people: 200, known: 0 },
    { people: 200, known: 0 },
  ]);
  const decoys = stage.guards.ledger.gate.state.decoys;
  assert.equal(decoys.size, 4);
  assert.equal(await countPeople(), 204);
  await stage.settle();
  const { rows } = await stage.admin.query<{ subject: string; sizes: number; units: string; states: string }>(
    `select s.subject, count(*)::int as sizes, max(p.unit) as units, max(p.member_state) as states from people.sealed s
     join people.person p on p.handle = s.subject group by 1`,
  );
  assert.equal(rows.length, 204, 'the ledger took every value');
  for (const row of rows)
    assert.deepEqual([row.sizes, row.units, row.states], [3, 'Registry', 'LV'], 'decoys look alike');
});

test('a touch over one count is none over another, and places of one import are none of the next', async () => {
  const people = Array.from({ length: 4 }, (_, n) => person(300 + n));
  const sealed = await ready(people);
  await assert.rejects(announce(sealed, 3), refusedAs('not-permitted'));
  await relayImport(glass, 'cancel', { import: sealed.id });
  const stolen = await ready(people);
  const lines = sealed.texts[0]!;
  const forged: Ready = { ...stolen, texts: [lines], hashes: [sha(lines)] };
  await announce(forged, 4);
  await assert.rejects(part(stolen.id, 0, lines), refusedAs('bad-request'));
  await assert.rejects(part(sealed.id, 0, lines), refusedAs('again'));
  await relayImport(glass, 'cancel', { import: stolen.id });
});

test('people with keys are known again: new values get the next version, and no name of theirs is sent', async () => {
  const first = [person(20, 'hr-1'), person(21, 'hr-2')];
  const send = async (people: readonly ReturnType<typeof person>[]) => {
    const sealed = await ready(people, 'hr');
    await announce(sealed, people.length);
    for (const [n, text] of sealed.texts.entries()) await part(sealed.id, n, text);
    return { sealed, answer: await relayImport(glass, 'finish', { import: sealed.id }) };
  };
  const one = await send(first);
  assert.deepEqual(one.answer, { people: 2, known: 0 });
  await stage.settle();
  const two = await send([{ ...person(20, 'hr-1'), family: 'Renamed' }, person(22, 'hr-3')]);
  assert.deepEqual(two.answer, { people: 2, known: 1 });
  assert.equal(two.sealed.places[0]!.handle, one.sealed.places[0]!.handle);
  assert.ok(two.sealed.places[0]!.versions.every((version) => version > 1));
  const { rows } = await stage.admin.query<{ id: string }>('select id from people.joined where handle = $1', [
    two.sealed.places[0]!.handle,
  ]);
  assert.equal(await stage.reads(rows[0]!.id, 'name'), 'Valdis Renamed');
  assert.equal(await stage.reads(rows[0]!.id, 'number'), '+447700900220');
  assert.deepEqual(stage.said, []);
});
