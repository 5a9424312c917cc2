import { Worker } from 'node:worker_threads';
import type { Target } from './target.ts';

const KEPT = 2 * 1024 * 1024;
/** Runs beside the parser: a parser that hangs cannot be asked, so its input lies in shared memory. */
const CODE = `
const { workerData } = require('node:worker_threads');
const { mkdtempSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { tmpdir } = require('node:os');
const head = new Int32Array(workerData.shared, 0, 2);
const bytes = new Uint8Array(workerData.shared, 8);
let seen = -1, since = Date.now();
setInterval(() => {
  const now = Atomics.load(head, 0);
  if (now !== seen) { seen = now; since = Date.now(); return; }
  if (Date.now() - since < workerData.ms) return;
  const file = join(mkdtempSync(join(tmpdir(), 'btz-fuzz-')), workerData.name + '.bin');
  writeFileSync(file, bytes.slice(0, Atomics.load(head, 1)));
  process._rawDebug(workerData.name + ' hangs at input ' + now + ', kept in ' + file);
  process.kill(process.pid, 'SIGKILL');
}, 500);
`;

/** Ends the process if one input takes longer than `ms`, after keeping the input. */
export function watchdog(target: Target, ms: number): { before(index: number, input: Buffer): void; stop(): void } {
  const shared = new SharedArrayBuffer(8 + KEPT);
  const head = new Int32Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, 8);
  const worker = new Worker(CODE, { eval: true, workerData: { shared, ms, name: target.name } });
  worker.unref();
  return {
    before: (index, input) => {
      bytes.set(input.subarray(0, KEPT));
      Atomics.store(head, 1, Math.min(input.length, KEPT));
      Atomics.store(head, 0, index);
    },
    stop: () => void worker.terminate(),
  };
}
