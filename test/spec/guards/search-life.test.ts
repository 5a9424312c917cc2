import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { uuidv7 } from '#base';
import type { Leave } from '#seal';
import { ADMINS, person, touch } from './fixture.ts';
import { SearchGuards } from './search-fixture.ts';

// What is in the sealer's memory, and how long.
const place = await SearchGuards.start({ orgPerDay: 400 });
after(() => place.close());
await place.people({ [person(4)]: 'Ada Byron', [person(5)]: 'Grace Hopper' });
await place.open();

test('after an unlock two people must open it again; who came, changed or left since is taken in or gone at once', async () => {
  const core = place.guards.client('sealer', 'core');
  assert.equal((await place.status()).known, 2);
  await core.call('lock', { scope: 'directory', target: '', reason: 'a rule' });
  const { known, until: open } = await place.status();
  assert.deepEqual([known, open], [undefined, undefined], 'the names are gone when the lock is answered');
  const lock = { scope: 'directory', target: '', reason: 'a rule' };
  await place.guards.client('ledger', 'core').call('lock', lock);
  await assert.rejects(place.ask('grace hopper'), { code: 'locked' });
  await assert.rejects(place.open(), { code: 'locked' });
  await place.guards.lift('directory');
  await assert.rejects(place.ask('grace hopper'), { code: 'not-open' });
  await place.open();
  await place.people({ [person(6)]: 'Newly Hired' });
  await place.people({ [person(5)]: 'Grace Murray' }, 'name', 2);
  const until = async (query: string, hits: number) => {
    const deadline = Date.now() + 10_000;
    for (;;) {
      await place.fill();
      if ((await place.ask(query)).hits.length === hits) return;
      assert.ok(Date.now() < deadline, query);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };
  await until('newly hired', 1);
  await until('grace murray', 1);
  assert.deepEqual((await place.ask('grace hopper')).hits, [], 'an old name finds nobody');
  const document: Leave = {
    ...{ v: 1, op: 'leave', id: uuidv7(), subjects: [person(6)], requester: ADMINS[0] },
    ...{ purpose: 'a test of leaving', notAfter: Date.now() + 300_000 },
  };
  const assertions = [touch(place.guards.passkey(), document)];
  await place.guards.client('ledger', 'glass').call('leave', { document, assertions });
  assert.deepEqual((await place.ask('newly hired')).hits, [], 'at once');
  assert.ok(!(await place.entries()).some(({ kind, detail }) => kind === 'search.opened' && detail['asked'] === 0));
});

test('the search closes by itself when its hours are over', async () => {
  await place.open(place.hydrate('name', { hours: 1 }));
  assert.equal((await place.ask('ada byron')).hits.length, 1);
  place.guards.now = Date.now() + 3_601_000;
  await assert.rejects(place.ask('ada byron'), { code: 'not-open' });
  assert.equal((await place.status()).known, undefined);
  place.guards.now = undefined;
});
