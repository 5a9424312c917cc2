import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyLog } from '../../verify/log.ts';
import { cases, hunt } from './hunt.ts';
import { sourceOf } from './logs.ts';
import { TAMPERINGS } from './tamper.ts';

test('whole logs verify, with what was kept of them and who witnessed them', async () => {
  for (const { files, trust, entries, vouched } of cases()) {
    const report = await verifyLog(sourceOf(files), trust);
    assert.deepEqual(report.problems, []);
    assert.equal(report.entries, entries.length);
    assert.equal(report.kept.length, 2);
    assert.equal(report.witnessed?.entries, vouched);
    assert.deepEqual(
      report.witnessed?.by.map(({ name }) => name),
      ['w0', 'w1'],
    );
  }
});

test('of 300 tamperings the verifier finds every one, of each kind (npm run tamper makes 10 000)', async () => {
  const seed = Date.now() % 1_000_000;
  const { kinds, missed } = await hunt(300, seed);
  assert.deepEqual(missed, []);
  assert.equal(Object.keys(kinds).length, Object.keys(TAMPERINGS).length);
  for (const [kind, count] of Object.entries(kinds)) assert.ok(count >= 10, `${kind}: ${count} (seed ${seed})`);
});

test('what nobody else kept cannot be known: a fork by the key’s owner looks whole without the kept checkpoints', async () => {
  const one = cases().at(-1)!;
  const forked = TAMPERINGS['fork by an edit']!(one, () => 5)!;
  assert.equal((await verifyLog(sourceOf(forked.files), { keys: one.trust.keys })).ok, true);
  const found = await verifyLog(sourceOf(forked.files), one.trust);
  assert.match(found.problems[0]?.problem ?? '', /FORK/);
});
