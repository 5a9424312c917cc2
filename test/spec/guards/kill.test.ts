import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stormGuards } from '../../kill/guards.ts';

test('each guard killed three times under reads, settles, locks and replays: caps, grants, locks and log hold', async (t) => {
  const { broken, ...result } = await stormGuards({ kills: 3, seed: 20_261_125, say: () => {} });
  t.diagnostic(JSON.stringify(result));
  assert.deepEqual(broken, []);
  assert.deepEqual(result.kills, { ledger: 3, sealer: 3 });
  assert.ok(result.records > 0 && result.settled > 0 && result.locks > 0);
});
