import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pushPeople } from '../../src/run/people-push.ts';
import { ScimStage } from './scim-stage.ts';

let stage: ScimStage;
before(async () => {
  stage = await ScimStage.open();
});
after(() => stage.close());

const entry = (n: number, more: readonly string[] = []) =>
  [
    `dn: uid=p${n},ou=people,dc=example,dc=org`,
    'objectClass: inetOrgPerson',
    // "Zoë": text beyond ASCII comes in base64
    'givenName:: Wm/Dqw==',
    `sn: Ldi`,
    ` f${n}`,
    `mail: p${n}@Example.org`,
    `mobile: +44 7700 9003${String(n).padStart(2, '0')}`,
    'ou: Archive',
    `employeeNumber: e-${n}`,
    ...more,
  ].join('\n');

const push = (text: string, more: { readonly ledger?: string } = {}) =>
  pushPeople({ text, to: stage.url, token: stage.token, ...more });

test('LDIF is read where people are kept and pushed: new, then changed, and who is missing is set inactive', async () => {
  const ledger = join(stage.dir, 'pushed');
  const all = ['version: 1', ...Array.from({ length: 6 }, (_, n) => entry(n))].join('\n\n');
  assert.deepEqual(await push(all, { ledger }), { created: 6, changed: 0, suspended: 0, refused: [] });
  const found = await stage.search('externalId eq "e-0"');
  const id = String((found.body['Resources'] as { id: string }[])[0]!.id);
  assert.equal(await stage.reads(id, 'name'), 'Zoë Ldif0');
  assert.equal(await stage.reads(id, 'number'), '+447700900300');
  assert.equal((await stage.person(id)).unit, 'Archive');

  const fewer = Array.from({ length: 5 }, (_, n) => entry(n + 1)).join('\n\n');
  assert.deepEqual(await push(fewer, { ledger }), { created: 0, changed: 5, suspended: 1, refused: [] });
  assert.notEqual((await stage.person(id)).left_at, null);
  assert.equal(readFileSync(ledger, 'utf8').split('\n').filter(Boolean).length, 5);
});

test('one wrong line and nobody is pushed; a stranger’s token and a plain address are refused', async () => {
  const wrong = [entry(20), entry(21).replace('p21@', 'p21 at ')].join('\n\n');
  assert.deepEqual((await push(wrong)).refused, [{ line: 11, code: 'email' }]);
  assert.equal((await stage.search('externalId eq "e-20"')).body['totalResults'], 0);
  const csv =
    'given_name,family_name,email,mobile,unit,member_state,external_id\r\nA,B,ab@example.org,+447700900340,,GB,k-1\r\n';
  assert.equal((await push(csv)).created, 1);
  assert.deepEqual((await push(csv.replace(',external_id', '').replace(',k-1', ''))).refused, [
    { line: 1, code: 'header' },
  ]);
  await assert.rejects(pushPeople({ text: csv, to: stage.url, token: 'btz-scim-unknown-unknown' }), { code: 'usage' });
  await assert.rejects(pushPeople({ text: csv, to: 'http://scim.example.org/scim/v2', token: 'x' }), { code: 'usage' });
  assert.deepEqual(stage.said, []);
});
