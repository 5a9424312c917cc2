import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { person } from './fixture.ts';
import { SearchGuards } from './search-fixture.ts';

const place = await SearchGuards.start({ orgPerDay: 400 });
after(() => place.close());
await place.decoys([person(1), person(2)]);
await place.people({
  [person(1)]: 'Maria Fake',
  [person(2)]: 'Ada Lovelace',
  [person(3)]: 'Ada Lovelace',
  [person(4)]: 'Ada Byron',
  [person(5)]: 'Grace Hopper',
});
await place.open();

test('a typed full name never shows a decoy, and does not count one', async () => {
  for (let times = 0; times < 3; times++) {
    const { hits, left } = await place.ask('ada lovelace');
    assert.deepEqual(
      hits.map(({ subject }) => subject),
      [person(3)],
    );
    assert.equal(left.touch, 24);
  }
  assert.deepEqual((await place.ask('fake maria')).hits, []);
  assert.ok(!(await place.entries()).some(({ kind }) => kind === 'directory.decoy'));
});

test('a decoy in a list of parts of names freezes whoever asked; the second locks the directory, and the names are gone', async () => {
  await assert.rejects(place.ask('ada', 'name', 1), { code: 'refused' });
  await assert.rejects(place.ask('grace hopper', 'name', 1), { code: 'locked' });
  assert.equal((await place.ask('grace hopper')).hits.length, 1, 'others work on');
  await assert.rejects(place.ask('fak', 'name', 2), { code: 'refused' });
  const seen = (await place.entries()).filter(({ kind }) => ['directory.decoy', 'lock.on'].includes(kind));
  assert.deepEqual(
    seen.map(({ kind, detail }) => `${kind} ${detail['scope'] ?? ''}`.trim()),
    ['directory.decoy', 'lock.on admin', 'directory.decoy', 'lock.on admin', 'lock.on directory'],
  );
  await assert.rejects(place.ask('grace hopper'), { code: 'locked' });
  const deadline = Date.now() + 10_000;
  while ((await place.status()).until !== undefined && Date.now() < deadline)
    await new Promise((r) => setTimeout(r, 50));
  assert.equal((await place.status()).known, undefined, 'the sealer heard of it and forgot the names');
});
