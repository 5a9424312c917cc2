import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromBase64url, type Json, sha256, toBase64url } from '#base';
import { itemsDigest, signDeclared } from '#seal';
import { openPool } from '#store';
import { declarationsToken, type Item } from '#wire';
import { allOf, send } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { living } from './product.ts';

// A root certificate by declaration, from the console over two passkeys on glass to a phone; then whoever owns console or core.
const CERTIFICATE = 'com.apple.configuration.security.certificate';
const ASSET = 'com.apple.asset.credential.certificate';

test('a dangerous declaration reaches a phone by two passkeys, and no other phone by any owned process', async (t) => {
  const { product, stage } = await living(t, { phones: 3, admins: 2, founders: 3, pollMs: 300 });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  stage.fleet.start();
  const [ada, bo] = stage.admins;
  const post = async (who: typeof ada, path: string, body: object) => {
    const answer = await who!.call('POST', `/api${path}`, body);
    assert.ok(answer.status < 300, `${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as Record<string, unknown>;
  };
  const { rows: known } = await pool.query<{ handle: string; udid: string }>(
    `select handle, udid from fleet.device where state = 'enrolled' order by handle`,
  );
  const phones = new Map(
    known.map(({ handle, udid }) => [handle, stage.fleet.phones.find(({ state }) => state.udid === udid)!]),
  );
  const [mine, other] = known.map(({ handle }) => handle) as [string, string];
  const active = (handle: string) =>
    phones
      .get(handle)!
      .ddm.active()
      .map(({ identifier }) => identifier)
      .filter((identifier) => !identifier.startsWith('bartizan.'))
      .sort();
  const gets = (handle: string, ...wanted: string[]) =>
    until(async () => JSON.stringify(active(handle)) === JSON.stringify(wanted), 20_000);
  let set = '';
  let declarations: string[] = [];
  const scope = (...devices: string[]) => ({
    ...{ id: set === '' ? null : set, name: 'Our root', predicate: null, everyone: false, groups: [], devices },
    declarations,
  });

  await t.test('one person declares it: the check says what it is, and only the harmless part goes out', async () => {
    const stored = await post(ada, '/declared-data', {
      ...{ name: 'our root', contentType: 'application/x-x509-ca-cert' },
      content: Buffer.from('a certificate of ours').toString('base64'),
    });
    const written = [
      ['flow.passcode', 'com.apple.configuration.passcode.settings', { MinimumLength: 8 }],
      ['flow.root.asset', ASSET, { Reference: { DataURL: stored['url'], 'Hash-SHA-256': stored['sha256'] } }],
      ['flow.root', CERTIFICATE, { CredentialAssetReference: 'flow.root.asset' }],
    ] as const;
    declarations = [];
    for (const [identifier, type, payload] of written)
      declarations.push(String((await post(ada, '/declarations', { identifier, type, payload }))['id']));
    set = String((await post(ada, '/declaration-sets', scope(mine)))['id']);
    assert.ok(await gets(mine, 'flow.passcode'), String(active(mine)));
    const [identifier, type, payload] = written[2];
    const checked = await post(ada, '/declarations/check', { identifier, type, payload });
    assert.deepEqual([checked['guarded'], checked['why'], checked['same']], [true, ['dangerous'], true]);
    // The way of before is gone: nobody agrees in the console.
    const second = await bo!.call('POST', `/api/declarations/${declarations[2]}/second`, { version: 1, agree: true });
    assert.equal(second.status, 404);
  });

  let approval = '';
  await t.test('one passkey, however often, is not two', async () => {
    approval = String(
      (await post(ada, `/declaration-sets/${set}/approval`, { purpose: 'our own authority' }))['approval'],
    );
    for (let times = 0; times < 3; times += 1) await ada!.approve(approval);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    assert.deepEqual(active(mine), ['flow.passcode']);
  });

  await t.test('glass shows the bytes and what is behind their address; the second passkey sends them', async () => {
    const { body } = await send(product.urls.glass, 'GET', `/api/approvals/${approval}`);
    const document = body['document'] as { declarations: { identifier: string; body: string }[]; devices: string[] };
    const bodies = body['bodies'] as { identifier: string; body: string }[];
    assert.deepEqual(document.devices, [mine]);
    assert.deepEqual(
      bodies.map(({ identifier, body: text }) => [identifier, toBase64url(sha256(text))]),
      document.declarations.map((one) => [one.identifier, one.body]),
    );
    const [data] = body['data'] as { content: string; id: string }[];
    assert.equal(Buffer.from(data!.content, 'base64url').toString(), 'a certificate of ours');
    assert.ok(bodies.some(({ body: text }) => text.includes(`/data/${data!.id}`)));
    assert.equal((await bo!.approve(approval)).status, 200);
    assert.ok(await gets(mine, 'flow.passcode', 'flow.root'), String(active(mine)));
    const listed = await allOf<{ id: string; state: string; summary: string }>(ada!, '/api/approvals');
    const one = listed.find(({ id }) => id === approval)!;
    assert.deepEqual([one.state, one.summary], ['executed', 'Give 2 dangerous declarations to 1 device']);
    const told = async () =>
      (await pool.query(`select from log.event where kind = 'declaration.permitted'`)).rowCount === 1;
    assert.ok(await until(told, 10_000), 'the ledger’s entry is in the log');
  });

  await t.test('one person, or the console, gives the set to another phone: it gets the harmless part', async () => {
    await post(bo, '/declaration-sets', scope(mine, other));
    assert.ok(await gets(other, 'flow.passcode'), String(active(other)));
    const sets = (await ada!.call('GET', '/api/declaration-sets')).body['items'] as {
      id: string;
      permit: { guarded: number; waiting: number } | null;
    }[];
    const { permit } = sets.find(({ id }) => id === set)!;
    assert.deepEqual([permit?.guarded, permit?.waiting], [2, 1]);
  });

  await t.test(
    'the owner of core and database lists it for that phone: edge keeps it back, and the watch says so',
    async () => {
      const key = createPrivateKey(readFileSync(join(product.home.state('core'), 'command.key')));
      const signed = (statement: Parameters<typeof signDeclared>[1]) =>
        Buffer.from(fromBase64url(signDeclared(key, statement)));
      // The true permit's row says now that it is for the other phone too, and for everyone.
      await pool.query(
        `update fleet.declared_permit set handles = handles || $1::text, everyone = true where set_id = $2`,
        [...[other, set]],
      );
      const { rows } = await pool.query<{ list: number; items: Item[] }>(
        `select l.id::int as list, l.items from fleet.declared_list l join fleet.declared_device x on x.list_id = l.id
       join fleet.device d on d.id = x.device_id where d.handle = $1`,
        [mine],
      );
      const { items } = rows[0]!;
      assert.ok(items.some(({ identifier }) => identifier === 'flow.root'));
      const list = 4_821;
      const [token, at] = [declarationsToken(items), Math.floor(Date.now() / 1000)];
      const digest = itemsDigest(items as unknown as Json);
      await pool.query(
        `insert into fleet.declared_list (id, sets, key, token, items, at, signature, nudged_token) values ($1, '{}', $2, $3, $4, $5, $6, $3)`,
        [
          list,
          sha256('planted'),
          token,
          JSON.stringify(items),
          at,
          signed({ op: 'declared-list', list, token, at, items: digest }),
        ],
      );
      await pool.query(
        `update fleet.declared_device x set list_id = $2, signature = $3 from fleet.device d where d.id = x.device_id and d.handle = $1`,
        [other, list, signed({ op: 'declared-device', device: other, list })],
      );
      const phone = phones.get(other)!;
      phone.ddm.state.token = null;
      assert.ok((await phone.ddm.synchronise()) >= 0);
      assert.deepEqual(active(other), ['flow.passcode']);
      const asked = await phone.sayDeclarative('declaration/configuration/flow.root');
      assert.equal(asked.status, 404);
      const events = async () =>
        (
          await pool.query<{ identifier: string; device: string }>(
            `select body->'unmapped'->>'identifier' as identifier, device from log.event where kind = 'declaration.withheld' order by 1`,
          )
        ).rows;
      assert.deepEqual(await events(), [
        { identifier: 'flow.root', device: other },
        { identifier: 'flow.root.asset', device: other },
      ]);
      const alerted = async () =>
        ((await pool.query(`select from watch.alert where rule = 'dangerous-declaration'`)).rowCount ?? 0) > 0;
      assert.ok(await until(alerted, 10_000));
      // The phone that two people named keeps it: its permit holds under the rewritten row's columns no longer, but edge knows it.
      phones.get(mine)!.ddm.state.token = null;
      await phones.get(mine)!.ddm.synchronise();
      assert.deepEqual(active(mine), ['flow.passcode', 'flow.root']);
    },
  );
});
