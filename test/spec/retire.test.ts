import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { requestRetirement } from '#fleet';
import { openPool, testDatabase, tx } from '#store';

// kill -9 of core's retire loop at random moments: every device ends its way once, no step is missing or done twice.
const DEVICES = 40;

test('kill -9 in the middle of retiring loses no step and doubles none', async () => {
  const database = await testDatabase();
  const owner = openPool(database.admin, { max: 2 });
  const console_ = openPool(database.as('console'), { max: 2 });
  let child: ChildProcess | undefined;
  try {
    const handles = Array.from({ length: DEVICES }, (_, n) => `oak-lantern-${1000 + n}`);
    await owner.query(
      `insert into fleet.device (handle, state, certificate_sha256) select h, 'enrolled', sha256(convert_to(h, 'UTF8')) from unnest($1::text[]) h`,
      [handles],
    );
    await tx(console_, (t) =>
      requestRetirement(t, {
        devices: handles,
        way: 'unenrol',
        requester: 'amber-otter-4821',
        purpose: 'A test of killing',
        now: Date.now(),
      }),
    );
    await owner.query(
      `insert into fleet.command (uuid, device_id, intent_id, request_type, body, signature, state, delivered_at, done_at)
       select command_uuid, device_id, intent_id, 'RemoveProfile', 'x', 'x', 'acknowledged', now(), now() from fleet.retirement`,
    );
    let kills = 0;
    const left = async () =>
      (await owner.query<{ n: number }>(`select count(*)::int as n from fleet.retirement where state <> 'forgotten'`))
        .rows[0]!.n;
    const told = async () =>
      (await owner.query<{ n: number }>(`select count(*)::int as n from log.event where kind like '%retire%'`)).rows[0]!
        .n;
    while ((await left()) > 0) {
      child = spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'retire-steps.ts')],
        {
          env: { ...process.env, RETIRE_DATABASE: JSON.stringify(database.as('core')) },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      await once(child.stdout!, 'data');
      // Until it has done something, or a while after: at another moment of its work each time, on a slow machine too.
      const before = await told();
      for (let waits = 0; (await told()) === before && waits < 100; waits += 1) await sleep(2);
      await sleep(Math.random() * 60);
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      kills += 1;
      assert.ok(kills < 200, 'it comes to an end');
    }
    assert.ok(kills >= 2, 'it was killed in the middle');
    const { rows } = await owner.query<{ device: string; steps: string }>(
      `select device, string_agg(coalesce(body->'unmapped'->>'step', kind), ' ' order by seq) as steps from log.event
       where kind in ('retire.step', 'device.retired') group by 1 order by 1`,
    );
    assert.deepEqual(
      rows,
      handles.map((device) => ({ device, steps: 'confirmed revoked device.retired forgotten' })),
    );
    const states = await owner.query('select distinct state, certificate_sha256 from fleet.device');
    assert.deepEqual(states.rows, [{ state: 'retired', certificate_sha256: null }]);
  } finally {
    child?.kill('SIGKILL');
    await owner.end();
    await console_.end();
    await database.close();
  }
});
