import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Hunter, inventPeople } from '#sim';
import { stealFiles } from '../../src/run/drill/stolen-files.ts';
import { allOf } from '../../src/run/person.ts';
import { importPeople, until } from '../../src/run/stage.ts';
import { manageFleet, sealedPeople } from '../../src/run/story.ts';
import type { Product } from '../../src/run/supervisor.ts';
import { decoysOf } from './decoys.ts';
import { living } from './product.ts';

const WATCHED = ['edge', 'console'] as const;

/** Asks V8 for a snapshot of a process's whole heap and waits until it is on disk. */
async function snapshot(product: Product, name: (typeof WATCHED)[number], dir: string): Promise<string> {
  process.kill(product.process(name).pid!, 'SIGUSR2');
  let size = -1;
  let file = '';
  const whole = await until(
    () => {
      file = readdirSync(dir).find((one) => one.endsWith('.heapsnapshot')) ?? '';
      const now = file === '' ? -1 : statSync(join(dir, file)).size;
      const same = now > 1_000_000 && now === size;
      size = now;
      return same;
    },
    60_000,
    1_000,
  );
  assert.ok(whole, `no heap snapshot of ${name}`);
  return join(dir, file);
}

test('500 planted values, in every encoding, are in no dump, log, tile, state file or heap of edge and console', async (t) => {
  const dirs = Object.fromEntries(WATCHED.map((name) => [name, ''])) as Record<(typeof WATCHED)[number], string>;
  const { product, stage, home } = await living(t, {
    ...{ people: 120, phones: 24, admins: 2, founders: 3 },
    // The two are watched from their first breath, so that nothing has passed before.
    before: async (running) => {
      for (const name of WATCHED) {
        const dir = join(running.home.dir, `heap-${name}`);
        mkdirSync(dir);
        chmodSync(dir, 0o777);
        dirs[name] = dir;
        await running.process(name).restart(['--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${dir}`]);
      }
    },
  });
  assert.ok(stage.planted.length >= 500, `only ${stage.planted.length} values are planted`);
  stage.fleet.start();
  assert.equal(await manageFleet(stage), 48);
  assert.ok((await sealedPeople(stage)) >= 120);

  // Names pass through: some are read, some stand in files that are refused.
  const ada = stage.admins[0]!;
  const decoys = decoysOf(home);
  const subjects = (await allOf<{ handle: string }>(ada, '/api/people'))
    .map((one) => one.handle)
    .filter((handle) => !decoys.has(handle))
    .slice(0, 6);
  const seen: string[] = [];
  for (const field of ['name', 'number', 'email'] as const) {
    const { values, answer } = await ada.reveal(field, subjects.slice(0, 3), 'calling about a lost phone');
    assert.equal(answer.status, 200);
    seen.push(...Object.values(values));
  }
  const hunter = new Hunter(stage.planted);
  assert.ok(hunter.search(Buffer.from(seen.join('\n'))).length >= 9, 'the hunter finds what glass showed');
  const [person] = inventPeople(120);
  const bad = `given_name,family_name,email,mobile,unit,member_state\r\n${person!.given},${person!.family},no address,${person!.mobile},Registry,ZZ\r\n`;
  await assert.rejects(
    importPeople(product, bad),
    (error: Error) => hunter.search(Buffer.from(error.message)).length === 0,
  );
  for (const path of ['/api/people', '/api/devices', '/api/alerts', '/api/overview', '/api/approvals']) {
    const answer = await ada.call('GET', path);
    assert.equal(answer.status, 200);
    assert.deepEqual(hunter.search(Buffer.from(JSON.stringify(answer.body))), [], path);
  }

  const verdict = await stealFiles(product, stage.planted);
  assert.ok(verdict.searchedBytes > 20_000_000);
  assert.deepEqual(verdict.unread, []);
  assert.deepEqual(verdict.finds, []);

  for (const name of WATCHED) {
    const file = await snapshot(product, name, dirs[name]);
    const text = readFileSync(file);
    assert.ok(
      text.includes(name === 'edge' ? 'aspen-mdm-checkin' : 'bartizan_session'),
      'the strings of the process are in it',
    );
    const { hits } = await hunter.searchPaths([file]);
    assert.deepEqual(hits, [], `the heap of ${name}`);
  }
});
