import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storm } from '../kill/storm.ts';

// The short form of `npm run kill`: another seed each time, so that runs add up; a failure names it.
const KILLS = 6;

test(`kill -9 of core, edge, a worker, the ledger or PostgreSQL, ${KILLS} times under fan-outs, holds, cancels, renewals and rollouts`, async (t) => {
  const seed = Date.now() % 1_000_000;
  const { broken, ...figures } = await storm({
    ...{ kills: KILLS, seed, minutes: 1, whole: 4, lean: 120 },
    say: (line) => t.diagnostic(line),
  });
  t.diagnostic(JSON.stringify(figures));
  assert.deepEqual(broken, [], `seed ${seed}`);
  assert.ok((figures.facts['taken'] ?? 0) > 0 && (figures.facts['carried_out'] ?? 0) > 0);
});
