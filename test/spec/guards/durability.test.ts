import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { uuidv7 } from '#base';
import { Ledger } from '#guard';
import { verifyLogDir } from '../../../src/run/log-verify.ts';
import { Guards, person } from './fixture.ts';

let guards: Guards;
beforeEach(async () => {
  guards = await Guards.start();
});
afterEach(() => guards.close());

const state = () => join(guards.folder, 'ledger');
const journal = () => join(state(), 'journal');
const leaf = (n: number, digest = 'A'.repeat(43)) => ({
  n,
  uid: uuidv7(),
  time: 1_700_000_000_000,
  type_uid: 300401,
  actor: null,
  digest,
});
const reopen = () => Ledger.open(guards.ledgerOptions());
const verified = async () => {
  const report = await verifyLogDir(guards.logDir, { verifierKey: guards.keys.log });
  assert.deepEqual(report.problems, []);
  return report;
};

test('kill -9 at random moments loses nothing that was answered, and the log always verifies', async () => {
  await guards.stopLedger();
  let answered = 0;
  for (let round = 0; round < 12; round++) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-ledger.ts'), state(), String(answered)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    let output = '';
    const opened = Promise.withResolvers<void>();
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.startsWith('open\n')) opened.resolve();
    });
    ended.then(() => opened.reject(new Error('the ledger did not open again')));
    await opened.promise;
    await wait(randomInt(5, 120));
    child.kill('SIGKILL');
    await ended;
    const complete = output.slice(0, output.lastIndexOf('\n'));
    const last = Number(complete.split('\n').at(-1));
    await verified();
    const ledger = await reopen();
    const { coreSize } = ledger.status();
    if (!Number.isNaN(last)) assert.ok(coreSize >= last, `answered for ${last}, kept ${coreSize}`);
    answered = coreSize;
    await ledger.close();
    await verified();
  }
  assert.ok(answered > 0);
});

test('a torn tail is cut off, damage in the middle is refused', async () => {
  await guards.client('ledger', 'core').call('append', { from: 1, leaves: [leaf(1), leaf(2)] });
  await guards.stopLedger();
  const whole = statSync(journal()).size;
  const size = (await verified()).entries;
  appendFileSync(journal(), Buffer.from([0, 0, 1, 0, 9, 9, 9, 9, 1, 2, 3]));
  const ledger = await reopen();
  assert.equal(ledger.status().coreSize, 2);
  assert.equal(ledger.log.tree.size, size + 1, 'the cut is itself an entry');
  await ledger.close();
  await verified();
  const bytes = readFileSync(journal());
  bytes[Math.floor(whole / 2)]! ^= 1;
  writeFileSync(journal(), bytes);
  await assert.rejects(reopen(), { code: 'fork' });
});

test('a journal that went back in time or is another one is refused; a missing one is not made anew', async () => {
  const old = join(guards.folder, 'old-journal');
  await guards.client('ledger', 'core').call('append', { from: 1, leaves: [leaf(1)] });
  copyFileSync(journal(), old);
  await guards.client('ledger', 'core').call('append', { from: 2, leaves: [leaf(2)] });
  await guards.stopLedger();
  const present = readFileSync(journal());
  copyFileSync(old, journal());
  await assert.rejects(reopen(), { code: 'fork' });
  const other = await Guards.start();
  await other.client('ledger', 'core').call('append', { from: 1, leaves: [leaf(1), leaf(2)] });
  await other.stopLedger();
  copyFileSync(join(other.folder, 'ledger', 'journal'), journal());
  await other.close();
  await assert.rejects(reopen(), { code: 'fork' });
  rmSync(journal());
  await assert.rejects(reopen(), { code: 'ENOENT' });
  assert.ok(!existsSync(journal()));
  writeFileSync(journal(), present);
  const checkpoint = join(guards.logDir, 'checkpoint');
  renameSync(checkpoint, `${guards.folder}/checkpoint`);
  await assert.rejects(reopen(), { code: 'corrupt' });
  assert.ok(!existsSync(checkpoint));
  renameSync(`${guards.folder}/checkpoint`, checkpoint);
  await (await reopen()).close();
});

for (const [name, harm] of [
  ['the journal is deleted', () => rmSync(journal())],
  [
    'the journal is replaced by a copy',
    () => {
      cpSync(journal(), `${journal()}2`);
      renameSync(`${journal()}2`, journal());
    },
  ],
  ['the journal is cut', () => truncateSync(journal(), 10)],
  ['the public log is deleted', () => rmSync(guards.logDir, { recursive: true })],
] as const) {
  test(`once ${name}, nothing is opened`, async () => {
    const [row] = await guards.settle({ [person(0)]: 'value' });
    assert.deepEqual(await guards.reveal([row!]), { [person(0)]: 'value' });
    harm();
    await assert.rejects(guards.reveal([row!], {}, 1), { code: 'unavailable' });
    assert.equal(guards.unusable, 1, 'the process is told to end');
    await assert.rejects(guards.reveal([row!], {}, 2), { code: 'unavailable' });
    await assert.rejects(guards.client('ledger', 'core').call('append', { from: 1, leaves: [leaf(1)] }), {
      code: 'unavailable',
    });
  });
}

test('a full disk opens nothing and ends the ledger with status 74; with space it continues', async (t) => {
  if (spawnSync('sh', ['-c', 'ulimit -f 1']).status !== 0) return t.skip('no file size limit here');
  await guards.stopLedger();
  const blocks = Math.ceil(statSync(journal()).size / 512) + 8;
  // A file size limit fails writes as a full disk does (EFBIG instead of ENOSPC). SIGXFSZ must not kill the process first.
  const script = `trap '' XFSZ; ulimit -f ${blocks}; exec "$0" "$@"`;
  const crash = join(import.meta.dirname, 'crash-ledger.ts');
  const child = spawnSync('sh', ['-c', script, process.execPath, crash, state(), '0'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(child.status, 74, child.stderr);
  const last = Number(child.stdout.trim().split('\n').at(-1));
  assert.ok(last > 0);
  const ledger = await reopen();
  assert.ok(ledger.status().coreSize >= last);
  await ledger.close();
  await verified();
});

test('core’s leaves are contiguous, repeatable and never rewritten', async () => {
  const core = guards.client('ledger', 'core');
  const append = (from: number, leaves: object[]) => core.call<{ leaves: number[] }>('append', { from, leaves });
  const [one, two, three] = [leaf(1), leaf(2), leaf(3)];
  const first = await append(1, [one, two]);
  assert.deepEqual((await append(1, [one, two, three])).leaves, [...first.leaves, first.leaves[1]! + 1]);
  await assert.rejects(append(2, [leaf(2, `${'B'.repeat(42)}A`)]), { code: 'fork' });
  await assert.rejects(append(5, [leaf(5)]), { code: 'gap' });
  await assert.rejects(append(4, [leaf(4), leaf(6)]), { code: 'gap' });
  await assert.rejects(append(4, [leaf(5)]), { code: 'gap' });
  await guards.stopLedger();
  await guards.startLedger();
  assert.deepEqual((await append(2, [two])).leaves, [first.leaves[1]]);
  await assert.rejects(append(3, [leaf(3, `${'B'.repeat(42)}A`)]), { code: 'fork' });
});
