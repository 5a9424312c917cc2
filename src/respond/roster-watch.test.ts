import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uuidv7 } from '#base';
import { credentialDigest, type GuardClient, type RosterKey } from '#seal';
import { openPool, testDatabase } from '#store';
import { RosterWatch } from './roster-watch.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2030, 0, 1);

test('unused passkeys, untried sealed keys and guards that differ are told once, not at every look', async (t) => {
  const db = await testDatabase();
  const core = openPool(db.as('core'), { max: 2 });
  const owner = openPool(db.admin, { max: 1 });
  t.after(async () => {
    await core.end();
    await owner.end();
    await db.close();
  });
  const key = (admin: string, days: number): RosterKey => ({
    ...{ admin, role: 'administrator', credential: `key-of-${admin}`, publicKey: 'x', founding: false },
    since: NOW - days * DAY,
  });
  const keys = [key('admin-ada', 200), key('admin-ben', 200), key('admin-cleo', 200), key('admin-dora', 10)];
  const roster = {
    ...{ keys, version: 3, digest: 'one', seen: { 'key-of-admin-ada': NOW - 5 * DAY } },
    breakGlass: { state: 'sealed', drilledAt: NOW - 100 * DAY },
  };
  let sealers = 'one';
  const guard = (answers: Record<string, () => object>): GuardClient => ({
    call: async <T>(type: string) => answers[type]!() as T,
    close: () => {},
  });
  const guards = {
    ledger: guard({ roster: () => roster }),
    sealer: guard({ status: () => ({ roster: { version: 2, digest: sealers } }) }),
  };
  await owner.query(
    `insert into api.session (token_sha256, id, admin, role, expires_at, created_at, credential, bound_key)
     values ($1, $2, 'admin-ben', 'administrator', now(), to_timestamp($3::double precision / 1000), $4, repeat('A', 100))`,
    [Buffer.alloc(32, 1), uuidv7(), NOW - DAY, credentialDigest('key-of-admin-ben')],
  );
  const watch = new RosterWatch(core, guards, () => NOW);
  const told = async () =>
    (
      await owner.query<{ line: string }>(
        `select kind || ' ' || coalesce(body->'unmapped'->>'admin', '') as line from log.event
         where kind in ('account.key_unused', 'breakglass.drill_due', 'roster.split') order by seq`,
      )
    ).rows.map(({ line }) => line.trim());
  assert.equal(await watch.look(), 2);
  assert.deepEqual(
    await told(),
    ['account.key_unused admin-cleo', 'breakglass.drill_due'],
    'ada touched, ben signed in',
  );
  assert.equal(await watch.look(), 0);
  sealers = 'another';
  assert.equal(await watch.look(), 0, 'the sealer may be following right now');
  assert.equal(await watch.look(), 1);
  assert.equal(await watch.look(), 0);
  assert.equal((await told()).at(-1), 'roster.split');
});
