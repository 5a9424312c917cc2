import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPool, type Pool, type TestDatabase, testDatabase, tx } from '#store';
import type { COMMANDS } from '#wire';
import { stateIntent } from './intent.ts';
import type { CommandParams } from './verbs.ts';

let database: TestDatabase;
let admin: Pool;
let console: Pool;
before(async () => {
  database = await testDatabase();
  admin = openPool(database.admin);
  console = openPool(database.as('console'));
  const devices: readonly (readonly [string, string | null, boolean | null, string | null])[] = [
    ['oak-lantern-1001', '18.1', true, 'iPhone15,2'],
    ['oak-lantern-1002', '18.1', false, 'iPhone15,2'],
    ['oak-lantern-1003', '16.7.10', false, 'iPhone10,4'],
    ['oak-lantern-1004', null, null, null],
    ['oak-lantern-1005', '14.5', true, 'Mac14,2'],
    ['oak-lantern-1006', 'beta', null, 'iPad13,1'],
  ];
  for (const [handle, os, supervised, product] of devices) {
    await admin.query(
      `insert into fleet.device (handle, state, os_version, supervised, product_name) values ($1, 'enrolled', $2, $3, $4)`,
      [handle, os, supervised, product],
    );
  }
});
after(async () => {
  await console.end();
  await admin.end();
  await database.close();
});

const state = (verb: keyof typeof COMMANDS, numbers: readonly number[], params: CommandParams = {}) =>
  tx(console, (t) =>
    stateIntent(t, {
      ...{ verb, params, devices: numbers.map((n) => `oak-lantern-${n}`), requester: 'amber-otter-4821' },
      ...{ purpose: 'a test of what is possible', now: Date.now() },
    }),
  );

test('what a device is known not to do is refused when it is asked, with how many and why', async () => {
  await assert.rejects(state('RestartDevice', [1001, 1002, 1003]), {
    ...{ code: 'impossible', status: 409 },
    message: 'RestartDevice cannot work on 2 of 3 devices: 2 not supervised. Nothing was sent.',
  });
  await assert.rejects(state('EraseDevice', [1003], { args: { ReturnToService: { Enabled: true } } }), {
    message: 'EraseDevice cannot work on 1 of 1 device: 1 older than iOS 17.0. Nothing was sent.',
  });
  await assert.rejects(state('UserList', [1001]), { message: /1 not an iPad/ });
  const { rows } = await admin.query('select from fleet.intent');
  assert.equal(rows.length, 0, 'nothing of it was kept');
});

test('what is not known, and what the version does not forbid, goes on', async () => {
  await state('RestartDevice', [1001, 1004, 1006]);
  await state('EraseDevice', [1003]);
  await state('EraseDevice', [1001, 1004, 1005, 1006], { args: { ReturnToService: { Enabled: true } } });
  await state('UserList', [1004, 1006]);
});
