import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EVALUATIONS_PER_HOUR } from '#seal';
import { loadGroup } from '../../../src/guard/search/noble.ts';
import { Oprf } from '../../../src/guard/search/oprf.ts';
import { person } from './fixture.ts';
import { SearchGuards } from './search-fixture.ts';

// Whose number is it? Whole numbers only, one evaluation each, and neither guard's folder is enough to find out at home.
const number = (n: number) => `+447700900${String(n).padStart(3, '0')}`;
let place: SearchGuards;
before(async () => {
  place = await SearchGuards.start({ perTouch: 100 });
  await place.decoys([person(9)]);
  await place.people(
    {
      ...{ [person(1)]: number(1), [person(2)]: number(2), [person(3)]: number(2), [person(4)]: 'extension 7' },
      [person(9)]: number(9),
    },
    'number',
  );
});
after(() => place.close());
const subjects = async (query: string, n = 0) =>
  (await place.ask(query, 'number', n)).hits.map(({ subject }) => subject);

test('numbers are indexed under a session of two people, and found whole', async () => {
  assert.deepEqual(await subjects(number(1)), [], 'nothing is indexed yet');
  await place.open(place.hydrate('number'));
  assert.deepEqual(await subjects(number(1)), [person(1)]);
  assert.deepEqual(await subjects(number(2)), [person(2), person(3)], 'one phone, two people');
  assert.deepEqual(await subjects(number(77)), []);
  for (const query of ['+4477009000', 'extension 7', number(1).slice(1), `${number(1)} `, '7700900001', '+']) {
    if (/^\+[1-9][0-9]{6,14}$/.test(query)) assert.deepEqual(await subjects(query), [], query);
    else await assert.rejects(place.ask(query, 'number'), { code: 'query' }, query);
  }
});

test('a changed number is found by the new one alone, somebody who left not at all', async () => {
  await place.people({ [person(1)]: number(11) }, 'number', 2);
  assert.deepEqual(await subjects(number(1)), [], 'the old tag counts no more, at once');
  const deadline = Date.now() + 10_000;
  while ((await subjects(number(11), 1)).length === 0) {
    assert.ok(Date.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await place.fill('number');
  }
  await place.guards.ledger.search!.forget([person(1)]);
  assert.deepEqual(await subjects(number(11), 1), []);
});

test('hit and miss look alike from outside: one size, the same messages, the same entries’ number', async () => {
  const count = async () => (await place.entries()).length;
  const at = await count();
  const hit = await place.ask(number(2), 'number');
  const between = await count();
  const miss = await place.ask(number(500), 'number');
  assert.deepEqual([between - at, (await count()) - between], [2, 2]);
  assert.equal(hit.size, miss.size);
  const time = async (query: string) => {
    const times: number[] = [];
    const touched = place.touch('number', {}, 1);
    for (let seq = 1; seq <= 8; seq++) {
      const sent = place.seal(touched, query, seq);
      const start = process.hrtime.bigint();
      await place.send(touched, sent);
      times.push(Number(process.hrtime.bigint() - start));
    }
    return times.sort((a, b) => a - b)[4]!;
  };
  const [found, nobody] = [await time(number(2)), await time(number(501))];
  assert.ok(found / nobody < 10 && nobody / found < 10, `${found} and ${nobody} ns`);
});

test('sixty numbers an hour and admin, however they are asked, and however often a guard is restarted', async () => {
  const touches = [place.touch('number', { cap: 100 }, 2), place.touch('number', { cap: 100 }, 2)];
  const sent = Array.from({ length: 140 }, (_, n) => ({
    touched: touches[n % 2]!,
    one: place.seal(touches[n % 2]!, number(n + 100), Math.floor(n / 2) + 1),
  }));
  const tries = await Promise.allSettled(sent.map(({ touched, one }) => place.send(touched, one)));
  const answered = tries.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(answered <= EVALUATIONS_PER_HOUR, `${answered} answered`);
  const evaluated = (await place.entries()).filter(
    ({ kind, actor }) => kind === 'search.evaluated' && actor === 'admin-cleo',
  );
  assert.equal(evaluated.length, EVALUATIONS_PER_HOUR, 'each has its entry');
  await place.guards.stopSealer();
  await place.guards.startSealer();
  await assert.rejects(place.ask(number(1), 'number', 2), { code: 'cap' });
  await place.guards.stopLedger();
  await place.guards.startLedger();
  await assert.rejects(place.ask(number(1), 'number', 2), (error: { code: string }) =>
    ['cap', 'dropped'].includes(error.code),
  );
  await assert.rejects(place.ask(number(1), 'number', 2), { code: 'cap' });
  place.guards.now = Date.now() + 3_700_000;
  assert.deepEqual(await subjects(number(77), 2), []);
});

test('an owned sealer gets no evaluation beyond what was counted or opened', async () => {
  const sealer = place.guards.client('ledger', 'sealer');
  const oprf = new Oprf(await loadGroup());
  const blinded = () => oprf.blind(Buffer.from(number(3))).blinded.toString('base64url');
  await assert.rejects(
    sealer.call('evaluate-bulk', { blinded: [blinded()] }),
    { code: 'not-open' },
    'no number was opened',
  );
  const rows = [person(2), person(3)].map((subject) => place.rows.get(`number|${subject}`)!);
  const session = place.hydrate('number');
  await place.open(session);
  // Of those who have tags nothing is left; what is no number was opened, and is one evaluation that nobody used.
  await sealer.call('hydrate-open', { field: 'number', rows });
  const bulk = (n: number) => sealer.call('evaluate-bulk', { blinded: Array.from({ length: n }, blinded) });
  await assert.rejects(bulk(2), { code: 'not-open' });
  await bulk(1);
  await place.people({ [person(5)]: number(5) }, 'number');
  const fresh = [place.rows.get(`number|${person(5)}`)!];
  for (let times = 0; times < 3; times++) await sealer.call('hydrate-open', { field: 'number', rows: fresh });
  await bulk(1);
  await assert.rejects(bulk(1), { code: 'not-open' }, 'one row, one number');
  const touched = place.touch('number', { cap: 2 }, 1);
  const { search, assertion } = touched;
  const ask = (seq: number) => sealer.call('evaluate', { search, assertion, seq, blinded: blinded() });
  await ask(1);
  await ask(2);
  await assert.rejects(ask(3), { code: 'cap' });
  await assert.rejects(sealer.call('find', { grant: search.id, seq: 1, tag: blinded() }), { code: 'refused' });
  const stolen = { subject: person(8), version: 1, tag: blinded() };
  assert.deepEqual(await sealer.call('tags', { tags: [stolen] }), { kept: 0 }, 'no tag for whom nothing was opened');
});

test('one guard’s folder is worth nothing for guessing numbers; both together are', async () => {
  const { folder } = place.guards;
  const table = readFileSync(join(folder, 'ledger', 'tags'), 'utf8');
  assert.ok(table.includes(person(2)));
  const tagKey = readFileSync(join(folder, 'sealer', 'tags.key'));
  const seed = readFileSync(join(folder, 'ledger', 'oprf.key'));
  const oprf = new Oprf(await loadGroup());
  const evaluate = (key: bigint, input: string) => {
    const { blind, blinded } = oprf.blind(Buffer.from(input));
    return oprf.finish(Buffer.from(input), blind, oprf.evaluate(key, blinded));
  };
  const real = oprf.deriveKey(seed, Buffer.from('bartizan number search v1'));
  const hit = (tag: Buffer) => table.includes(tag.toString('base64url'));
  const hmac = (key: Uint8Array, bytes: Uint8Array) => createHmac('sha256', key).update(bytes).digest();
  let both = 0;
  for (let n = 0; n < 30; n++) {
    const output = evaluate(real, number(n));
    // The ledger's folder: its key, and every way to use it without the sealer's.
    for (const guess of [output, output.subarray(0, 32), createHash('sha256').update(output).digest()])
      assert.ok(!hit(guess));
    assert.ok(!hit(hmac(seed, output)) && !hit(hmac(Buffer.alloc(32), output)));
    // The sealer's folder: its key, and no evaluation.
    assert.ok(
      !hit(hmac(tagKey, Buffer.from(number(n)))) && !hit(hmac(tagKey, evaluate(oprf.randomScalar(), number(n)))),
    );
    if (hit(hmac(tagKey, output))) both++;
  }
  assert.ok(both >= 2, 'the guess itself is right: with both folders it works');
});

test('an exact number of a decoy is a decoy hit: it can be known from a stolen copy only', async () => {
  await assert.rejects(place.ask(number(9), 'number', 1), { code: 'refused' });
  await assert.rejects(place.ask(number(2), 'number', 1), { code: 'locked' });
  const seen = (await place.entries()).filter(({ kind }) => kind === 'directory.decoy');
  assert.deepEqual(
    seen.map(({ actor, detail }) => [actor, detail['field']]),
    [['admin-ben', 'number']],
  );
});

test('closing the search by number deletes its tags', async () => {
  await place.shut('number');
  assert.equal(readFileSync(join(place.guards.folder, 'ledger', 'tags'), 'utf8'), '');
  assert.deepEqual(await subjects(number(2)), []);
});

test('numbers are indexed whether or not names of the same people are in memory already', async () => {
  const both = await SearchGuards.start();
  try {
    await both.people({ [person(1)]: 'Ada Example' });
    await both.people({ [person(1)]: '+447700900001' }, 'number');
    await both.open();
    await both.open(both.hydrate('number'));
    assert.deepEqual((await both.ask('+447700900001', 'number')).hits, [{ subject: person(1) }]);
    assert.equal((await both.ask('ada')).hits.length, 1);
  } finally {
    await both.close();
  }
});
