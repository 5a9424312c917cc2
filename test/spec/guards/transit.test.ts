import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromBase64url } from '#base';
import {
  type Field,
  openOuter,
  type PublicKeys,
  type SealedRow,
  type TransitNotice,
  type Written,
  withTransitKey,
} from '#seal';
import { Guards, ORG, person } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());
guards.now = Date.now();
const HOUR = 3_600_000;
const state = join(guards.folder, 'ledger');
const settle = (row: { subject: string; field: Field; version: number } & Written) =>
  guards.client('ledger', 'core').call<{ rows: SealedRow[]; refused?: { code: string }[] }>('settle', { rows: [row] });
const arrival = (n: number, keys: PublicKeys) => {
  const before = guards.keys;
  guards.keys = keys;
  const label = { subject: person(n), field: 'number', version: 1 } as const;
  const row = { ...label, ...guards.written(person(n), `+4477009000${10 + n}`) };
  guards.keys = before;
  return row;
};
const notice = () => (guards.ledger.status() as { transit?: TransitNotice }).transit;
/** How many of the ledger's key files open a value that was caught in transit. */
const openWith = (row: { subject: string; field: Field; version: number } & Written) =>
  readdirSync(state)
    .filter((name) => /^outer.*\.key$/.test(name))
    .filter((name) => {
      try {
        const key = createPrivateKey({ key: readFileSync(join(state, name)), format: 'der', type: 'pkcs8' });
        openOuter(key, fromBase64url(row.outer), {
          org: ORG,
          subject: row.subject,
          field: row.field,
          version: row.version,
        });
        return true;
      } catch {
        return false;
      }
    }).length;

test('what a copy caught in transit opens with no key once its key has had its time; nothing that waits is lost', async () => {
  const caught = arrival(1, guards.keys);
  const late = arrival(2, guards.keys);
  assert.equal((await settle(caught)).rows.length, 1);
  assert.equal(openWith(caught), 1, 'the control');
  await guards.ledger.transit.renew();
  assert.equal(existsSync(join(state, 'outer-2.key')), true);
  const { keys, number } = withTransitKey(guards.keys, notice());
  assert.equal(number, 2);
  guards.now! += 30 * HOUR;
  await guards.ledger.transit.tend();
  assert.equal((await settle(late)).rows.length, 1, 'no writer has been seen with the new key yet');
  assert.equal((await settle(arrival(3, keys))).rows.length, 1);
  guards.now! += 24 * HOUR;
  await guards.ledger.transit.tend();
  assert.equal((await settle(arrival(4, guards.keys))).rows.length, 1, 'a changed number waits a day');
  guards.now! += 2 * HOUR;
  await guards.ledger.transit.tend();
  assert.equal(openWith(caught), 0);
  assert.ok(!existsSync(join(state, 'outer.key')));
  assert.equal((await settle(arrival(5, guards.keys))).refused?.[0]?.code, 'does-not-open');
  writeFileSync(join(state, 'outer.key'), 'put back from a backup');
  await guards.stopLedger();
  await guards.startLedger();
  assert.ok(!existsSync(join(state, 'outer.key')), 'what is put back is destroyed when the ledger opens');
  assert.equal((await settle(arrival(6, keys))).rows.length, 1);
});

test('a week makes a new key by itself; writers follow what the ledger signed, and never back', async () => {
  const before = notice()!;
  guards.now! += 8 * 24 * HOUR;
  await guards.ledger.transit.tend();
  const next = notice()!;
  assert.equal(next.number, before.number + 1);
  const now = withTransitKey(guards.keys, next);
  assert.equal(now.number, next.number);
  assert.equal(now.keys.outer, next.key);
  for (const [what, bad] of [
    ['an older one', before],
    ['another key', { ...next, key: guards.edge.publicKey, number: next.number + 1 }],
    ['another organisation’s', { ...next, org: 'org-else' }],
    ['nothing', null],
    ['something else', { v: 1, op: 'transit' }],
  ] as const) {
    assert.deepEqual(withTransitKey(now.keys, bad, now.number).keys.outer, next.key, what);
  }
});

test('killed between a new key’s file and its entry, the ledger opens and makes it anew', async () => {
  const { number } = notice()!;
  writeFileSync(join(state, `outer-${number + 1}.key`), 'half');
  await guards.stopLedger();
  await guards.startLedger();
  assert.equal(notice()!.number, number);
  await guards.ledger.transit.renew();
  const { keys } = withTransitKey(guards.keys, notice());
  assert.equal((await settle(arrival(20, keys))).rows.length, 1);
});
