import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { sha256, toBase64url } from '#base';
import { openPool } from '#store';
import { CHECKOUT } from '../../src/run/home.ts';
import { allOf, Person, send } from '../../src/run/person.ts';
import { importPeople, until } from '../../src/run/stage.ts';
import { decoysOf } from './decoys.ts';
import { living } from './product.ts';

interface Keys {
  readonly state: string;
  readonly current: { readonly number: number; readonly grade: string };
  readonly old: { readonly number: number } | null;
  readonly left: number | null;
}

const run = promisify(execFile);

test('the organisation’s key moves from a file to a quorum in the running product, and everybody goes on reading', async (t) => {
  const { product, stage, home } = await living(t, {
    ...{ phones: 2, admins: 2, people: 12 },
    prepare: (dir) => {
      mkdirSync(join(dir, 'supervisor'), { mode: 0o700 });
      const settings = { next: 'quorum', quorum: { shares: 2, of: 3 } };
      writeFileSync(join(dir, 'supervisor', 'key-settings.json'), JSON.stringify(settings), { mode: 0o600 });
    },
  });
  const bartizan = async (...args: string[]) =>
    (await run(join(CHECKOUT, 'bin', 'bartizan'), [...args, '--home', home], { timeout: 30_000 })).stdout;
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  const [ada, bo] = stage.admins;
  const keys = async () => (await ada!.call('GET', '/api/keys')).body as unknown as Keys;
  const people = (await allOf<{ handle: string }>(ada!, '/api/people')).map(({ handle }) => handle).sort();
  const decoys = decoysOf(home);
  const some = people.filter((handle) => !decoys.has(handle)).slice(0, 5);
  assert.ok(await until(async () => (await pool.query('select 1 from people.arriving')).rowCount === 0, 15_000));
  const first = await ada!.reveal('name', some, 'before the change of the key');
  const before = first.values;
  assert.ok(Object.keys(before).length >= 4, JSON.stringify([some, first.answer.body]));
  assert.deepEqual([(await keys()).current.number, (await keys()).current.grade], [1, 'D']);

  const rows = async () =>
    (await pool.query<{ row: string }>(`select encode(row, 'hex') as row from people.sealed where row is not null`))
      .rows;
  const stored = new Set((await rows()).map(({ row }) => row));
  const asked = await ada!.call('POST', '/api/keys/rotations', { purpose: 'a yearly change' });
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  const approval = String(asked.body['approval']);
  await ada!.approve(approval);
  // What nobody could bring back is not put in force: the shares are fetched once and two of them proved.
  const shares = (await bartizan('keys', 'shares')).split('\n').filter((line) => line.startsWith('bzs1.'));
  assert.equal(shares.length, 3);
  const bring = async (share: string) => {
    const file = join(home, 'share');
    writeFileSync(file, share, { mode: 0o600 });
    const said = await bartizan('unseal', '--share-file', file);
    rmSync(file);
    return said;
  };
  assert.match(await bring(shares[0]!), /1 of 2/);
  assert.match(await bring(shares[2]!), /make the key/);
  assert.equal((await keys()).current.number, 1, 'one signature puts nothing in force');
  await bo!.approve(approval);
  assert.ok(await until(async () => (await keys()).current.number === 2, 15_000));
  const state = async () =>
    (await allOf<{ id: string; state: string }>(ada!, '/api/approvals')).find(({ id }) => id === approval)?.state;
  assert.ok(await until(async () => (await state()) === 'executed', 15_000));

  assert.ok(await until(async () => (await keys()).left === 0, 30_000), 'every row comes under the new key');
  assert.ok(
    (await rows()).every(({ row }) => !stored.has(row)),
    'no row is what it was',
  );
  assert.equal((await keys()).old?.number, 1, 'writers have ten minutes before the old key goes');
  const after = await bo!.reveal('name', some, 'after the change of the key');
  assert.deepEqual(after.values, before);

  // Writers follow: what comes in now is sealed to the new key at once.
  const followed = (name: string) => {
    const file = join(product.home.state(name as 'edge'), 'organisation-notice.json');
    return existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { number: number }).number === 2;
  };
  assert.ok(await until(async () => ['edge', 'intake', 'glass'].every(followed), 15_000));
  // Whoever owns the database can hide the news for a while, not replace it: a planted notice is believed by nobody.
  await pool.query(
    `insert into people.organisation_key (number, notice) select 99, notice || '{"number": 99}' from people.organisation_key`,
  );
  const csv =
    'given_name,family_name,email,mobile,unit,member_state\nZoë,Example,zoe@example.org,+447700900999,Unit 9,IE\n';
  const [added] = (await importPeople(product, csv)).filter((handle) => !people.includes(handle));
  assert.ok(added !== undefined);
  const settled = async () =>
    (await pool.query('select 1 from people.sealed where subject = $1 and row is not null', [added])).rowCount === 3;
  assert.ok(await until(settled, 15_000));
  assert.ok(await until(async () => (await keys()).left === 0, 15_000), 'and counted as such');

  // The sealer starts anew: nobody reads until people bring shares; phones and the console go on.
  assert.equal((await keys()).current.grade, 'A');
  await product.process('sealer').restart();
  assert.equal((await keys()).state, 'locked-at-boot');
  const shut = await ada!.reveal('name', some.slice(0, 1), 'while the key is away');
  assert.deepEqual([shut.values, shut.answer.body['code']], [{}, 'locked-at-boot']);
  assert.equal((await ada!.call('GET', '/api/devices')).status, 200);
  const overview = (await ada!.call('GET', '/api/overview')).body['posture'] as { findings: { title: string }[] };
  assert.ok(overview.findings.some(({ title }) => /waits for the organisation/.test(title)));
  assert.match(await bartizan('keys', 'status'), /grade A.*\n.*\n.*\n?.*0 of the 2/s);
  await bring(shares[1]!);
  // The other comes over glass, with an administrator's touch; a stranger's and a false one do nothing.
  const onGlass = (who: Person, share: string, signedFor = share) => {
    const shareSha256 = toBase64url(sha256(signedFor));
    const document = { v: 1, op: 'bring-share', shareSha256, notAfter: Date.now() + 60_000 } as const;
    return send(product.urls.glass, 'POST', '/api/key-shares', { document, assertion: who.touch(document), share });
  };
  const stranger = new Person(product.urls, ada!.admin);
  assert.equal((await onGlass(stranger, shares[2]!)).status, 403);
  assert.equal((await onGlass(ada!, shares[2]!, shares[0]!)).status, 400);
  assert.equal((await onGlass(ada!, `${shares[2]!.slice(0, -6)}AAAAAA`)).body['code'], 'share');
  assert.deepEqual((await send(product.urls.glass, 'GET', '/api/key-shares')).body, {
    have: 1,
    need: 2,
    complete: false,
  });
  assert.equal((await onGlass(bo!, shares[2]!)).body['complete'], true);
  assert.ok(await until(async () => (await keys()).state === 'open', 10_000));
  assert.deepEqual((await ada!.reveal('name', some, 'with the key back')).values, before);
  const planted = async () => (await pool.query('select 1 from people.organisation_key where number = 99')).rowCount;
  assert.ok(await until(async () => (await planted()) === 0, 15_000), 'core puts right what was planted');
  assert.ok(['edge', 'intake', 'glass'].every(followed), 'and nobody had believed it');
  const { rows: unaccounted } = await pool.query(`select 1 from log.event where kind = 'directory.rows_unaccounted'`);
  assert.equal(unaccounted.length, 0, 'rows that the guards seal anew are accounted for');
});
