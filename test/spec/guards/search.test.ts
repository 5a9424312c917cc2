import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { person } from './fixture.ts';
import { SearchGuards } from './search-fixture.ts';

// Names by fold and scan: what an administrator gets, and what is counted and written down before.
const NAMES: Readonly<Record<string, string>> = {
  [person(1)]: 'Ada Lovelace',
  [person(2)]: 'Zoë Ångström-Müller',
  [person(3)]: 'Łukasz Żółć',
  [person(4)]: 'Søren Ærø',
  [person(5)]: 'Σωκράτης Ἀθηναῖος',
  [person(6)]: 'Наталія Ёлкина',
  [person(7)]: 'Siobhán O’Brien',
  [person(8)]: 'Anna Weiß',
  [person(9)]: 'Adam "Quote" \\Slash',
};
const place = await SearchGuards.start({ namesPerDay: 500, orgPerDay: 500 });
after(() => place.close());
await place.people(NAMES);

test('nothing is searched until two different administrators have opened it', async () => {
  await assert.rejects(place.ask('ada'), { code: 'not-open' });
  await assert.rejects(place.open(place.hydrate(), [0, 0]), { code: 'two-people' });
  await assert.rejects(place.open(place.hydrate('name', { hours: 13 })), { code: 'refused' });
  await place.open();
  assert.equal((await place.status()).known, Object.keys(NAMES).length);
  const [opened, batch] = (await place.entries()).filter(({ kind }) => kind.startsWith('search.'));
  assert.deepEqual([opened!.kind, opened!.detail['signers']], ['search.hydrated', ['admin-ada', 'admin-ben']]);
  assert.deepEqual([batch!.kind, batch!.detail['asked']], ['search.opened', 9], 'each batch is written down');
});

test('names are found by any part, in any order, whatever marks and letters they are written with', async () => {
  for (const [query, expected] of [
    ['ada lovelace', 1],
    ['LOVE', 1],
    ['lace ada', 1],
    ['angstrom', 2],
    ['zoe muller', 2],
    ['Zoë Müller', 2],
    ['lukasz zolc', 3],
    ['soren aero', 4],
    ['SØREN', 4],
    ['σωκρατης', 5],
    ['ΣΩΚΡΆΤΗΣ', 5],
    ['αθηναιος', 5],
    ['елкина', 6],
    ['siobhan obrien', 7],
    ["o'brien", 7],
    ['weiss', 8],
    ['WEIß', 8],
    ['quote slash', 9],
  ] as const) {
    const { hits } = await place.ask(query);
    assert.deepEqual(hits, [{ name: NAMES[person(expected)], subject: person(expected) }], query);
  }
  assert.deepEqual((await place.ask('nobody here')).hits, []);
  await assert.rejects(place.ask('a'), { code: 'query' });
});

test('each hit is a read in the log, before the answer; a question that finds nobody counts one', async () => {
  const before = await place.entries();
  const touched = place.touch('name', { cap: 3 });
  const two = await place.send(touched, place.seal(touched, 'ada', 1));
  assert.deepEqual(two.hits.map(({ subject }) => subject).sort(), [person(1), person(9)]);
  assert.deepEqual(two.left.touch, 1);
  const none = await place.send(touched, place.seal(touched, 'nobody', 2));
  assert.deepEqual([none.hits, none.left.touch], [[], 0]);
  assert.equal(none.size, two.size, 'answers are of one size');
  await assert.rejects(place.send(touched, place.seal(touched, 'ada', 3)), { code: 'cap' });
  const [read, miss, refused] = (await place.entries()).slice(before.length);
  assert.deepEqual([read!.kind, read!.detail['subjects']], ['directory.revealed', [person(1), person(9)]]);
  assert.deepEqual(
    [miss!.kind, refused!.kind, refused!.detail['cap']],
    ['directory.searched', 'directory.refused', 'perTouch'],
  );
});
