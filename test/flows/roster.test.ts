import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uuidv7 } from '#base';
import type { Signable } from '#seal';
import { newPasskey } from '#sim';
import { openPool } from '#store';
import { Person, send } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { living } from './product.ts';

interface View {
  readonly version: number;
  readonly agree: boolean | null;
  readonly able: string[];
  readonly caps: Record<string, number>;
  readonly raises: { cap: string; to: number }[];
  readonly admins: { admin: string; role: string; locked: boolean; keys: { key: string; usedAt: string | null }[] }[];
  readonly findings: { title: string }[];
}

test('the roster is changed through console, glass and both guards, and locks go past the console', async (t) => {
  const { product, stage } = await living(t, { phones: 1, people: 4, admins: 4, founders: 4 });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  const [ada, bo, cy, dora] = stage.admins as [Person, Person, Person, Person];
  const glass = product.urls.glass;
  const roster = async () => (await ada.call('GET', '/api/roster')).body as unknown as View;
  const ask = async (change: object, who = ada) => {
    const asked = await who.call('POST', '/api/roster/changes', { change, purpose: 'a test of the roster' });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    return asked.body as { approval: string; links: { admin: string; link: string }[] };
  };
  const state = async (id: string) =>
    (
      await pool.query<{ state: string; reason: string }>('select state, reason from respond.approval where id = $1', [
        id,
      ])
    ).rows[0]!;
  const both = async (id: string, signers = [ada, bo]) => {
    // The last signer is told at once what the guards say, be it no.
    for (const one of signers) await one.approve(id);
    assert.ok(await until(async () => (await state(id)).state !== 'open', 15_000));
    return state(id);
  };
  const refuse = { lock: (body: object) => send(glass, 'POST', '/api/lock', body) };

  await t.test('a further passkey, and the first one away', async () => {
    const { approval, links } = await ask({ act: 'add-key', admin: dora.admin });
    const token = new URLSearchParams(new URL(links[0]!.link).hash.slice(1)).get('join')!;
    const other = new Person(product.urls, dora.admin, newPasskey({ admin: dora.admin }));
    assert.notEqual((await other.join(token)).status, 200, 'nobody signed yet');
    assert.equal((await both(approval)).state, 'executed');
    assert.equal((await other.join(token)).status, 200);
    assert.equal((await other.signIn()).status, 200);
    const view = await roster();
    assert.deepEqual([view.version, view.agree], [1, true]);
    const keys = view.admins.find(({ admin }) => admin === dora.admin)!.keys;
    assert.equal(keys.length, 2);
    assert.ok(keys.every(({ usedAt }) => usedAt !== null));
  });

  await t.test('who is removed is signed out at once, and his requests are void', async () => {
    const pending = await ask({ act: 'threshold', threshold: 2 }, dora);
    const { approval } = await ask({ act: 'remove-admin', admin: dora.admin });
    assert.equal((await dora.call('GET', '/api/roster')).status, 200);
    assert.equal((await both(approval)).state, 'executed');
    assert.ok(await until(async () => (await dora.call('GET', '/api/roster')).status === 401, 10_000));
    assert.notEqual((await dora.signIn()).status, 200);
    assert.equal((await state(pending.approval)).state, 'cancelled');
    const view = await roster();
    assert.deepEqual([view.version, view.agree, view.admins.length], [2, true, 3]);
    assert.equal((await both((await ask({ act: 'remove-admin', admin: cy.admin })).approval)).reason, 'lock-out');
  });

  await t.test('limits: down at once, up later, stopped by one', async () => {
    const { caps } = await roster();
    assert.equal(
      (await both((await ask({ act: 'caps', caps: { ...caps, perDay: 7, namesPerDay: 900 } })).approval)).state,
      'executed',
    );
    const view = await roster();
    assert.equal(view.caps['perDay'], 7);
    assert.deepEqual(
      view.raises.map(({ cap, to }) => [cap, to]),
      [['namesPerDay', 900]],
    );
    const document = {
      ...{ v: 1, op: 'cancel-raise', id: uuidv7(), roster: view.version, requester: cy.admin },
      ...{ purpose: 'a test of the roster', notAfter: Date.now() + 60_000 },
    } as Signable;
    const stopped = await send(glass, 'POST', '/api/cancel-raise', { document, assertion: cy.touch(document) });
    assert.deepEqual(stopped.body, { missing: [] });
    assert.deepEqual((await roster()).raises, []);
  });

  await t.test('one touch on glass locks within a second, whatever console and core do', async () => {
    const document = {
      ...{ v: 1, op: 'lock', id: uuidv7(), scope: 'admin', target: cy.admin, requester: bo.admin },
      ...{ purpose: 'a test of locks', notAfter: Date.now() + 60_000 },
    } as Signable;
    assert.notEqual((await refuse.lock({ document, assertion: cy.touch(document) })).status, 200, 'not his to sign');
    const started = Date.now();
    const done = await refuse.lock({ document, assertion: bo.touch(document) });
    assert.deepEqual([done.status, done.body], [200, { missing: [] }]);
    assert.ok(Date.now() - started < 10_000);
    const { answer } = await cy.reveal('number', ['amber-otter-1001'], 'a test of locks');
    assert.equal(answer.body['code'], 'locked');
    assert.ok(await until(async () => (await roster()).admins.find(({ admin }) => admin === cy.admin)!.locked, 5_000));
    const by = await until(
      async () =>
        (await pool.query('select from respond.lock where put_by = $1 and target = $2', [bo.admin, cy.admin]))
          .rowCount === 1,
      10_000,
    );
    assert.ok(by, 'the record says who locked');
  });
});
