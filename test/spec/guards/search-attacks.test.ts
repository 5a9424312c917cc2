import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { uuidv7 } from '#base';
import { type GuardClient, hpkeSeal, padQuery, QUERY_INFO, queryAad } from '#seal';
import { ADMINS, Guards, newBrowser, person, touch } from './fixture.ts';
import { SearchGuards, type Sent } from './search-fixture.ts';

// The attacker owns glass and the console: he has glass's sockets, sees every sealed question, and sends what he likes.
let place: SearchGuards;
let glass: GuardClient;
const names = Object.fromEntries(
  Array.from({ length: 60 }, (_, n) => [person(n), `Person${String.fromCharCode(97 + (n % 26))} Familie${n}`]),
);
before(async () => {
  place = await SearchGuards.start({ namesPerDay: 60, orgPerDay: 400 });
  await place.people(names);
  await place.open();
  glass = place.glass;
});
after(() => place.close());
const refusals = async () => (await place.entries()).filter(({ kind }) => kind === 'directory.refused').length;

test('no question without a touch for exactly this: none, another class, another document, a stranger’s', async () => {
  const touched = place.touch();
  const good = place.seal(touched, 'familie1', 1);
  const other = place.touch('number');
  const grant = place.guards.grant(newBrowser(), [person(1)]);
  const reveal = touch(place.guards.passkey(), grant);
  const stranger = place.touch('name', { admin: ADMINS[1]! });
  const bad: readonly [string, Sent][] = [
    ['the touch of a reveal', { ...good, assertion: reveal }],
    ['the touch of a search by number', { ...good, assertion: other.assertion }],
    ['a cap raised after the touch', { ...good, search: { ...good.search, cap: 24 } }],
    ['another purpose', { ...good, search: { ...good.search, purpose: 'something else' } }],
    ['a touch in another’s name', place.seal(stranger, 'familie1', 1)],
    ['a cap above the limit', place.seal(place.touch('name', { cap: 26 }), 'familie1', 1)],
    ['an expired grant', place.seal(place.touch('name', { notAfter: Date.now() - 1 }), 'familie1', 1)],
    ['a grant for an hour', place.seal(place.touch('name', { notAfter: Date.now() + 3_600_000 }), 'familie1', 1)],
  ];
  for (const [what, sent] of bad) {
    await assert.rejects(glass.call('search', sent), (error: { code: string }) => {
      assert.ok(['refused', 'expired', 'cap'].includes(error.code), `${what}: ${error.code}`);
      return true;
    });
  }
  await place.send(touched, good);
});

test('glass cannot ask under a touch itself: questions count only from the browser that was touched', async () => {
  const touched = place.touch();
  const mine = newBrowser();
  const context = { info: QUERY_INFO, aad: queryAad(touched.search, 1) };
  const { key } = await glass.call<{ key: string }>('search-status', {});
  const base = hpkeSeal(Buffer.from(key, 'base64url'), padQuery(Buffer.from('familie1')), context);
  const split = (box: Buffer) => ({
    enc: box.subarray(0, 32).toString('base64url'),
    ct: box.subarray(32).toString('base64url'),
  });
  const { search, assertion } = touched;
  const own = place.seal({ ...touched, browser: mine }, 'familie1', 1);
  const moved = place.seal(touched, 'familie1', 2);
  for (const sent of [{ search, assertion, seq: 1, ...split(base) }, own, { ...moved, seq: 1 }]) {
    await assert.rejects(glass.call('search', sent), { code: 'refused' });
  }
  assert.equal((await place.send(touched, place.seal(touched, 'familie1', 1))).hits.length, 10, 'nothing was used up');
});

test('one question, sent 400 times at once, is answered once and counts once', async () => {
  const touched = place.touch('name', {}, 1);
  const sent = place.seal(touched, 'familie59', 1);
  const before = (await place.entries()).filter(({ kind }) => kind === 'directory.revealed').length;
  const tries = await Promise.allSettled(Array.from({ length: 400 }, () => glass.call('search', sent)));
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  const read = (await place.entries()).filter(({ kind }) => kind === 'directory.revealed').length;
  assert.equal(read - before, 1);
  assert.equal((await place.send(touched, place.seal(touched, 'familie59', 2))).left.touch, 23);
});

test('many questions at once under one touch show no more than its cap, and no answer has more than ten', async () => {
  const touched = place.touch('name', { cap: 25 }, 1);
  const sent = Array.from({ length: 40 }, (_, n) => place.seal(touched, 'familie', n + 1));
  const tries = await Promise.allSettled(sent.map((one) => place.send(touched, one)));
  const hits = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value.hits.length] : []));
  assert.ok(hits.every((n) => n <= 10));
  assert.ok(hits.reduce((sum, n) => sum + n, 0) <= 25, hits.join());
});

test('neither guard’s restart gives a question or a touch back', async () => {
  const touched = place.touch('name', { cap: 12 }, 2);
  const first = place.seal(touched, 'familie', 1);
  await place.send(touched, first);
  await place.guards.stopSealer();
  await place.guards.startSealer();
  await place.fill('name');
  await assert.rejects(glass.call('search', first), { code: 'used' });
  await place.guards.stopLedger();
  await place.guards.startLedger();
  await assert.rejects(glass.call('search', first), (error: { code: string }) =>
    ['used', 'dropped'].includes(error.code),
  );
  await assert.rejects(glass.call('search', first), { code: 'used' });
  await assert.rejects(place.send(touched, place.seal(touched, 'familie', 2)), { code: 'cap' });
  assert.equal((await place.send(touched, place.seal(touched, 'familie59', 3))).left.touch, 1);
});

test('going through the directory letter by letter ends at the day’s meter', async () => {
  const seen = new Set<string>();
  let refused: string | undefined;
  for (let n = 0; n < 26 && refused === undefined; n++) {
    try {
      const letter = String.fromCharCode(97 + n);
      for (const { subject } of (await place.ask(`person${letter}`, 'name', 0)).hits) seen.add(subject);
    } catch (error) {
      refused = (error as { code: string }).code;
    }
  }
  assert.equal(refused, 'cap');
  assert.ok(seen.size < 60, `${seen.size} of 60`);
  assert.ok((await refusals()) > 0, 'and the log says so');
});

test('where search is off its messages do not exist: whoever sends one is dropped', async () => {
  const plain = await Guards.start();
  try {
    for (const type of ['search', 'search-status', 'hydrate', 'hydrate-rows', 'dehydrate'] as const) {
      await assert.rejects(plain.client('sealer', 'glass').call(type, {}), { code: 'dropped' }, type);
    }
    for (const type of [
      'hydrate-open',
      'search-names',
      'evaluate',
      'evaluate-bulk',
      'tags',
      'find',
      'search-feed',
    ] as const) {
      await assert.rejects(plain.client('ledger', 'sealer').call(type, {}), { code: 'dropped' }, type);
    }
  } finally {
    await plain.close();
  }
});

test('nobody opens rows for a search but under a session of two people, and an administrator ends it at once', async () => {
  const rows = [place.rows.get(`name|${person(1)}`)!];
  const sealer = place.guards.client('ledger', 'sealer');
  await assert.rejects(sealer.call('hydrate-open', { field: 'number', rows }), { code: 'not-open' });
  await sealer.call('hydrate-open', { field: 'name', rows });
  await place.shut('name', 1);
  await assert.rejects(sealer.call('hydrate-open', { field: 'name', rows }), { code: 'not-open' });
  await assert.rejects(place.ask('familie1', 'name', 2), { code: 'not-open' });
  const { id } = place.hydrate();
  const again = { ...place.hydrate(), id: id ?? uuidv7() };
  await place.open(again);
  await place.shut();
  await assert.rejects(place.open(again), { code: 'used' }, 'the same signatures do not open it twice');
});
