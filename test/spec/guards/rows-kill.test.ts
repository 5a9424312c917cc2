import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { sha256, uuidv7 } from '#base';
import type { RotateLocks, SealedRow } from '#seal';
import { verifyLogDir } from '../../../src/run/log-verify.ts';
import { ADMINS, Guards, person, touch } from './fixture.ts';

// The ledger is killed with SIGKILL in the midst of settling, erasing and changing locks; nothing may be left half done.
const guards = await Guards.start({ perTouch: 1_000, perDay: 1_000_000, orgPerDay: 1_000_000 });
after(() => guards.close());
const ROUNDS = 3;
const lockFile = (subject: string) =>
  join(guards.folder, 'ledger', 'locks', sha256(subject).toString('hex').slice(0, 2), subject);

/** Lets a ledger of its own process work and kills it; returns the lines that it had answered for. */
async function killed(what: string, subjects: readonly string[], more: object = {}): Promise<unknown[]> {
  await guards.stopLedger();
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-rows.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { clock: _, logger: __, onUnusable: ___, ...options } = guards.ledgerOptions();
  const pen = guards.pens.intake.key.export({ format: 'pem', type: 'pkcs8' });
  const passkeys = [guards.passkey(0), guards.passkey(1)];
  child.stdin.end(
    JSON.stringify({ what, options, keys: guards.keys, pen, passkeys, subjects, rows: [], generation: 0, ...more }),
  );
  let output = '';
  const opened = Promise.withResolvers<void>();
  const ended = new Promise((resolve) => child.on('close', resolve));
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    opened.resolve();
  });
  ended.then(() => opened.reject(new Error('the ledger did not open')));
  await opened.promise;
  // Not before it has done something, however busy the machine is, unless it ends by itself.
  const told = randomInt(1, 8);
  for (let waits = 0; output.split('\n').length - 2 < told && waits < 500 && child.exitCode === null; waits += 1)
    await wait(2);
  await wait(randomInt(0, 20));
  child.kill('SIGKILL');
  await ended;
  const report = await verifyLogDir(guards.logDir, { verifierKey: guards.keys.log });
  assert.deepEqual(report.problems, []);
  await guards.startLedger();
  const lines = output.slice(0, output.lastIndexOf('\n')).split('\n').slice(1);
  return lines.map((line) => JSON.parse(line) as unknown);
}

test('killed while it settles: every row that it gave out opens, or its value is newer already', async () => {
  const subjects = Array.from({ length: 4 }, (_, n) => person(n));
  let kept = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const rows = (await killed('settle', subjects)).filter((one) => one !== 'end') as SealedRow[];
    const last = new Map(rows.map((row) => [row.subject, row]));
    if (last.size > 0) {
      const opened = await guards.reveal([...last.values()], {}, round % 3, guards.client('sealer', 'glass'));
      for (const [subject, row] of last) {
        const present = guards.ledger.gate.state.rows.version(subject, 'number')!;
        // a version that the ledger had on disk and had not told yet is the next one, no other
        assert.ok(opened[subject] !== undefined || present <= row.version + 1, `${subject} ${present} ${row.version}`);
        kept += opened[subject] === undefined ? 0 : 1;
      }
    }
    const [again] = await guards.settle({ [subjects[0]!]: '+447700900999' }, 'number', 900 + round);
    assert.ok(again, 'the next value is taken');
    subjects.forEach((_, i) => {
      subjects[i] = person(10 * (round + 1) + i);
    });
  }
  assert.ok(kept > 0);
});

test('killed while it erases: everybody is either here and opens, or gone without a lock', async () => {
  const subjects = Array.from({ length: 60 }, (_, n) => person(100 + n));
  const rows = await guards.settle(Object.fromEntries(subjects.map((one) => [one, '+447700900100'])));
  let gone = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { left } = guards.ledger.gate.state.rows;
    const told = await killed(
      'leave',
      subjects.filter((one) => !left.has(one)),
    );
    const now = guards.ledger.gate.state.rows.left;
    for (const subject of told) if (subject !== 'end') assert.ok(now.has(subject as string), 'what was told stays');
    const opened = await guards.reveal(rows, {}, round % 3, guards.client('sealer', 'glass'));
    for (const subject of subjects) {
      assert.equal(existsSync(lockFile(subject)), !now.has(subject), subject);
      assert.equal(opened[subject] === undefined, now.has(subject), subject);
    }
    gone = now.size;
  }
  assert.ok(gone > 0);
});

test('killed while it changes locks: every row that the database has opens, and at the end none of the old ones', async () => {
  const subjects = Array.from({ length: 60 }, (_, n) => person(300 + n));
  const old = await guards.settle(Object.fromEntries(subjects.map((one) => [one, '+447700900300'])));
  const document: RotateLocks = {
    ...{ v: 1, op: 'rotate-locks', id: uuidv7(), requester: ADMINS[0], purpose: 'a test of the guards' },
    notAfter: guards.clock() + 60_000,
  };
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), document));
  const { generation } = await guards.client('ledger', 'glass').call<{ generation: number }>('rotate-locks', {
    document,
    assertions,
  });
  const kept = new Map(old.map((row) => [row.subject, row]));
  for (let round = 0; round < ROUNDS; round++) {
    const lines = await killed('relock', subjects, { rows: [...kept.values()], generation });
    for (const row of lines) if (row !== 'end') kept.set((row as SealedRow).subject, row as SealedRow);
    const opened = await guards.reveal([...kept.values()], {}, round % 3, guards.client('sealer', 'glass'));
    assert.equal(Object.keys(opened).length, subjects.length);
  }
  for (let done = 0; done < subjects.length; ) {
    const { rows, done: finished } = await guards
      .client('ledger', 'core')
      .call<{ rows: SealedRow[]; done: string[] }>('relock', { generation, rows: [...kept.values()], withdrawn: [] });
    for (const row of rows) kept.set(row.subject, row);
    done = finished.length;
  }
  assert.deepEqual(await guards.reveal(old, {}, 1, guards.client('sealer', 'glass')), {});
  const opened = await guards.reveal([...kept.values()], {}, 2, guards.client('sealer', 'glass'));
  assert.equal(Object.keys(opened).length, subjects.length);
});
