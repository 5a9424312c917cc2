import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sha256 } from '#base';
import { openPool, type Pool, type TestDatabase, testDatabase, tx } from '#store';
import { executeApproved } from './dispatch.ts';
import { stateIntent } from './intent.ts';
import { listLinks, revokeLink } from './links.ts';
import { type OfferInput, offerEnrolments } from './offer.ts';
import { markPersonal } from './ownership.ts';

const BY = 'amber-otter-4821';
const HOLDER = 'coral-heron-1234';
let database: TestDatabase;
let pools: { console: Pool; edge: Pool; core: Pool; admin: Pool };
before(async () => {
  database = await testDatabase();
  pools = {
    console: openPool(database.as('console')),
    edge: openPool(database.as('edge')),
    core: openPool(database.as('core')),
    admin: openPool(database.admin),
  };
});
after(async () => {
  for (const pool of Object.values(pools)) await pool.end();
  await database.close();
});

const offer = async (input: Partial<OfferInput> = {}) =>
  (
    await tx(pools.console, (t) => offerEnrolments(t, { createdBy: BY, holders: [HOLDER], ttlMs: 60_000, ...input }))
  )[0]!;
const open = async (token: string) =>
  (await pools.edge.query('select edge.open_link($1, $2) as id', [sha256(token), sha256(`${token} challenge`)])).rows[0]
    ?.id;
const linkOf = async (device: string) =>
  (await listLinks(pools.console, { limit: 100 })).links.find((one) => one.device === device)!;

test('a link goes from offered to opened to used, and says so', async () => {
  const { device, token } = await offer({ identity: 'acme' });
  assert.deepEqual([(await linkOf(device)).state, (await linkOf(device)).identity], ['offered', 'acme']);
  assert.ok(await open(token));
  assert.equal((await linkOf(device)).state, 'opened');
  await pools.edge.query('select edge.request_certificate(gen_random_uuid(), $1, $2)', [
    sha256(`${token} challenge`),
    Buffer.from('csr'),
  ]);
  const used = await linkOf(device);
  assert.equal(used.state, 'used');
  await assert.rejects(revokeLink(pools.console, { link: used.id, by: BY }), { code: 'not-open' });
});

test('a revoked link opens nothing, and its device is gone; an expired one neither', async () => {
  const revoked = await offer();
  await revokeLink(pools.console, { link: (await linkOf(revoked.device)).id, by: BY });
  assert.equal((await linkOf(revoked.device)).state, 'revoked');
  assert.equal(await open(revoked.token), null);
  const { rows } = await pools.core.query('select state from fleet.device where handle = $1', [revoked.device]);
  assert.equal(rows[0]?.state, 'retired');
  const late = await offer({ ttlMs: 1 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await linkOf(late.device)).state, 'expired');
  assert.equal(await open(late.token), null);
});

test('the list filters by state and counts all', async () => {
  const { links, counts } = await listLinks(pools.console, { state: 'open', limit: 100 });
  assert.ok(links.every(({ state }) => state === 'offered' || state === 'opened'));
  assert.equal(counts['revoked'], 1);
  const [first, ...rest] = (await listLinks(pools.console, { limit: 100 })).links;
  assert.deepEqual((await listLinks(pools.console, { after: first!.id, limit: 100 })).links, rest);
});

test('a spare device cannot be personal', async () => {
  await assert.rejects(offer({ holders: [null], ownership: 'personal' }), { code: 'bad-request' });
});

test('a personal device is never erased: not by intent, not after two signatures, not by a row', async () => {
  const { device } = await offer();
  await pools.core.query(`update fleet.device set state = 'enrolled' where handle = $1`, [device]);
  const erase = () =>
    tx(pools.console, (t) =>
      stateIntent(t, {
        ...{ verb: 'EraseDevice', devices: [device], params: {}, requester: BY },
        ...{ purpose: 'lost on a train', now: Date.now() },
      }),
    );
  const stated = await erase();
  const { uuid } = stated.targets[0]!;
  await markPersonal(pools.console, { device, by: BY });
  await assert.rejects(erase(), { code: 'personal-device', message: /RemoveProfile/ });
  const signKey = generateKeyPairSync('ed25519').privateKey;
  const permits = [{ uuid } as Parameters<typeof executeApproved>[1]['permits'][number]];
  const queued = await tx(pools.core, (t) => executeApproved(t, { approval: stated.approval!.id, permits, signKey }));
  assert.equal(queued, 0);
  const { rows } = await pools.core.query('select state, reason from fleet.intent where id = $1', [stated.id]);
  assert.deepEqual(rows[0], { state: 'refused', reason: 'personal-device' });
  const row = pools.core.query(
    `insert into fleet.command (uuid, device_id, request_type, body, signature)
     select gen_random_uuid(), id, 'EraseDevice', 'x', 'x' from fleet.device where handle = $1`,
    [device],
  );
  await assert.rejects(row, { code: '23514' });
});

test('marking a device personal takes back an erase that waits for it, and ends with its holder told in the log', async () => {
  const { device } = await offer();
  await pools.core.query(
    `insert into fleet.command (uuid, device_id, request_type, body, signature)
     select gen_random_uuid(), id, 'EraseDevice', 'x', 'x' from fleet.device where handle = $1`,
    [device],
  );
  await markPersonal(pools.console, { device, by: BY });
  await markPersonal(pools.console, { device, by: BY });
  const { rows } = await pools.core.query(
    `select k.state from fleet.command k join fleet.device d on d.id = k.device_id where d.handle = $1`,
    [device],
  );
  assert.deepEqual(rows, [{ state: 'cancelled' }]);
  const events = await pools.admin.query(`select kind from log.event where device = $1 and kind = 'device.personal'`, [
    device,
  ]);
  assert.equal(events.rows.length, 1);
  await assert.rejects(markPersonal(pools.console, { device: 'oak-lantern-1000', by: BY }), { code: 'unknown-device' });
});
