import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { SealedRow } from '#seal';
import { verifyLogDir } from '../../../src/run/log-verify.ts';
import { Guards, person, touch } from './fixture.ts';

const HOUR = 3_600_000;

test('kill -9 at random moments of a change of the key: it goes on where it was, and no value is lost', async (t) => {
  const guards = await Guards.start({ perTouch: 100, perDay: 1_000, orgPerDay: 1_000 });
  t.after(() => guards.close());
  const values = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [person(n), `value ${n}`]));
  const rows = await guards.settle(values);
  const document = await guards.staged({ notAfter: Date.now() + 3 * HOUR });
  const assertions = [0, 1].map((n) => touch(guards.passkey(n), document));
  await guards.stopSealer();
  await guards.stopLedger();
  const database = join(guards.folder, 'rows.json');
  writeFileSync(database, JSON.stringify(rows));
  const { folder, keys, caps } = guards;
  const orders = join(folder, 'orders.json');
  const write = (ahead: number) =>
    writeFileSync(orders, JSON.stringify({ folder, keys, caps, document, assertions, ahead }));
  const reached = new Set<string>();
  let kills = 0;
  write(0);
  const run = async (killAfter: number | undefined): Promise<string> => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'rotation-child.ts'), orders], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    const open = Promise.withResolvers<void>();
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('open\n')) open.resolve();
    });
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
    void ended.then(() => open.resolve());
    await open.promise;
    if (killAfter !== undefined) {
      await wait(killAfter);
      child.kill('SIGKILL');
      kills += 1;
    }
    await ended;
    for (const line of output.split('\n')) reached.add(line.split(' ').slice(0, 2).join(' '));
    assert.doesNotMatch(output, /^error/m);
    return output;
  };
  for (let round = 0; round < 5; round++) await run(randomInt(0, 90));
  assert.ok(await run(undefined));
  // Once writers have had their time, the rest of the way, killed again in between.
  write(HOUR / 2);
  await run(randomInt(5, 60));
  assert.match(await run(undefined), /^done$/m);
  t.diagnostic(`${kills} kills; reached: ${[...reached].filter((one) => !one.startsWith('batch')).join(', ')}`);
  const left = readdirSync(join(folder, 'sealer')).filter((name) => name.startsWith('organisation'));
  assert.deepEqual(left.sort(), ['organisation-2.key', 'organisation.json'], 'exactly the key in force is left');
  assert.ok(!existsSync(join(folder, 'sealer', 'organisation.key')));
  guards.now = Date.now() + HOUR;
  await guards.startLedger();
  await guards.startSealer();
  const stored = JSON.parse(readFileSync(database, 'utf8')) as SealedRow[];
  assert.deepEqual(await guards.reveal(stored), values);
  const { problems } = await verifyLogDir(guards.logDir, { verifierKey: guards.keys.log });
  assert.deepEqual(problems, []);
});
