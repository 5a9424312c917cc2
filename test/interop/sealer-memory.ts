import { createInterface } from 'node:readline';
import { Sealer } from '#guard';
import { DEFAULT_CAPS, type GuardClient } from '#seal';

// A sealer as a process of its own whose memory the test reads: says when it has opened, locked and loaded. No socket, no ledger.
const [, , state, ledgerKey] = process.argv as [string, string, string, string];
const ledger: GuardClient = { call: () => Promise.reject(new Error('there is no ledger here')), close: () => {} };
const sealer = new Sealer({
  ...{ org: 'org-test', state, origin: 'http://glass.localhost:8441', caps: DEFAULT_CAPS, clock: Date.now, ledger },
  ...{ ledgerKey, releaseKey: ledgerKey, logger: { info() {}, warn() {}, error() {} } },
});
await sealer.loading;
const label = { org: 'org-test', subject: 'amber-otter-1001', field: 'number', version: 1 } as const;
// Keys are used, so that whatever copies using them makes are there to be found.
const use = () => sealer.keys.open([{ inner: Buffer.alloc(176, 9), label }]).catch(() => {});
await use();
process.stdout.write('open\n');
for await (const line of createInterface({ input: process.stdin })) {
  const startedAt = performance.now();
  if (line === 'lock') await sealer.lock('directory', '', 'a test');
  if (line === 'load') await sealer.keys.load();
  const took = performance.now() - startedAt;
  await use();
  process.stdout.write(`${line} ${took.toFixed(2)}\n`);
}
