import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { toBase64url, uuidv7 } from '#base';
import { DEFAULT_CAPS } from '#seal';
import { foundLedger, Ledger } from './index.ts';

const dir = mkdtempSync(join(tmpdir(), 'btz-backlog-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('a flood of leaves is published in steps: each is short, so that only a disk that hangs counts as one', async () => {
  const options = {
    ...{ org: 'org-test', state: join(dir, 'l'), logDir: join(dir, 'l/log'), origin: 'http://glass.localhost:8441' },
    ...{ caps: DEFAULT_CAPS, clock: () => Date.now(), logger: { info() {}, warn() {}, error() {} } },
    patience: { sinkMs: 20_000, hungMs: 60_000 },
    onUnusable: () => assert.fail('the log became unusable'),
  };
  await foundLedger(options, [{ admin: 'admin-ada', role: 'administrator', tokenSha256: 'A'.repeat(43) }], []);
  const ledger = await Ledger.open(options);
  const sizes: number[] = [];
  let watching = true;
  const watch = () => {
    if (ledger.log.checkpoint.size !== sizes.at(-1)) sizes.push(ledger.log.checkpoint.size);
    if (watching) setImmediate(watch);
  };
  watch();
  const batches = Array.from({ length: 18 }, (_, batch) =>
    Array.from({ length: 500 }, (_, i) => ({
      ...{ n: batch * 500 + i + 1, uid: uuidv7(), time: Date.now(), type_uid: 300401, actor: null },
      digest: toBase64url(randomBytes(32)),
    })),
  );
  await Promise.all(batches.map((leaves) => ledger.append(leaves[0]!.n, leaves)));
  await ledger.log.publish();
  watching = false;
  assert.ok(ledger.log.checkpoint.size >= 9_000);
  assert.ok(
    sizes.every((size, i) => i === 0 || size - sizes[i - 1]! <= 4_096),
    sizes.join(' '),
  );
  await ledger.close();
});
