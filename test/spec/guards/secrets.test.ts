import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Guards, newBrowser, person, touch } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());

test('a device’s secret has rows of its own size and is opened to edge’s key alone, on its own meter', async () => {
  const secret = 'A'.repeat(5_000);
  const [token] = await guards.settle({ [person(900)]: secret }, 'unlock-token');
  assert.equal(Buffer.from(token!.row, 'base64url').length, 6220);
  const [short] = await guards.settle({ [person(901)]: 'A' }, 'bootstrap-token');
  assert.equal(Buffer.from(short!.row, 'base64url').length, 6220);
  const shown = guards.reveal([token!], { field: 'unlock-token' });
  await assert.rejects(shown, (error: { code?: string }) => error.code === 'refused', 'a browser gets none');
  const glass = guards.client('sealer', 'glass');
  const more = { field: 'unlock-token', browserKey: guards.edge.publicKey } as const;
  const before = (await spent()).filter(({ field }) => field === 'unlock-token');
  assert.deepEqual(before, [], 'a refusal costs nothing');
  const grant = guards.grant(guards.edge, [person(900)], more);
  const values = await guards.send(glass, guards.edge, grant, touch(guards.passkey(), grant), [token!]);
  assert.deepEqual(values, { [person(900)]: secret });
  assert.deepEqual(
    (await spent()).filter(({ field }) => field === 'unlock-token').map(({ count }) => count),
    [1],
  );
  // A row of the wrong class for its field drops the peer.
  const bent = { ...token!, field: 'number' as const };
  const wrong = guards.grant(newBrowser(), [person(900)]);
  await assert.rejects(
    guards.send(guards.client('sealer', 'glass'), newBrowser(), wrong, touch(guards.passkey(), wrong), [bent]),
  );
});

async function spent() {
  const { spent: today } = await guards
    .client('ledger', 'core')
    .call<{ spent: { counters: { field: string; count: number }[] } }>('status', {});
  return today.counters;
}
