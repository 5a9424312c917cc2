import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { followFacts } from '../groups/follow.ts';
import { desiredOf, drifted } from './desired.ts';

let database: TestDatabase;
let core: Pool;
let console_: Pool;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  core = openPool(database.as('core'));
  console_ = openPool(database.as('console'));
  owner = openPool(database.admin, { max: 2 });
});
after(async () => {
  for (const pool of [core, console_, owner]) await pool.end();
  await database.close();
});

let count = 1000;
const enrolled = async () => {
  count += 1;
  await owner.query(`insert into fleet.device (handle, state) values ($1, 'enrolled')`, [`oak-lantern-${count}`]);
  return `oak-lantern-${count}`;
};
const command = async (handle: string, verb: string, key: string, state: string) => {
  const { rows } = await owner.query<{ uuid: string }>(
    `insert into fleet.command (uuid, device_id, request_type, body, signature, key, state, delivered_at, done_at)
     select gen_random_uuid(), id, $2, 'x', 'x', $3, $4::text, case when $4::text <> 'queued' then clock_timestamp() end,
       case when $4::text not in ('queued', 'delivered') then clock_timestamp() end from fleet.device where handle = $1 returning uuid`,
    [handle, verb, key, state],
  );
  return rows[0]!.uuid;
};
const lists = (handle: string, ...profiles: [string, string, boolean?][]) =>
  owner.query(
    `insert into fleet.inventory (device_id, kind, facts, taken_at) select id, 'ProfileList', $2, clock_timestamp() from fleet.device where handle = $1
     on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = clock_timestamp()`,
    [
      handle,
      JSON.stringify({
        profiles: profiles.map(([id, uuid, managed]) => ({
          PayloadIdentifier: id,
          PayloadUUID: uuid,
          IsManaged: managed ?? true,
        })),
      }),
    ],
  );
const look = async (handle: string) => {
  while ((await followFacts(core)) > 0) {
    // until nothing is left
  }
  return Object.fromEntries((await desiredOf(console_, handle)).map(({ key, state }) => [key, state]));
};
const told = async (handle: string) =>
  (
    await core.query<{ text: string }>(
      `select concat_ws(' ', body->'unmapped'->>'what', body->'unmapped'->>'key', body->'unmapped'->>'state') as text
       from log.event where kind = 'device.drift' and device = $1 order by seq`,
      [handle],
    )
  ).rows.map(({ text }) => text);

test('a profile is wanted, pushed and only then installed when the device itself lists it; what was never listed is unknown', async () => {
  const handle = await enrolled();
  const uuid = await command(handle, 'InstallProfile', 'com.example.wifi', 'queued');
  assert.deepEqual(await look(handle), { 'com.example.wifi': 'wanted' });
  await owner.query(`update fleet.command set state = 'delivered', delivered_at = now() where uuid = $1`, [uuid]);
  assert.deepEqual(await look(handle), { 'com.example.wifi': 'pushed' });
  await owner.query(`update fleet.command set state = 'acknowledged', done_at = clock_timestamp() where uuid = $1`, [
    uuid,
  ]);
  assert.deepEqual(await look(handle), { 'com.example.wifi': 'unknown' });
  await lists(handle, ['com.example.wifi', '1'], ['org.bartizan.enrolment', 'E']);
  assert.deepEqual(await look(handle), { 'com.example.wifi': 'installed' });
  assert.deepEqual(await told(handle), []);
});

test('what is removed or changed on the device has drifted, what we did not install is unexpected, and both are told once', async () => {
  const handle = await enrolled();
  await command(handle, 'InstallProfile', 'com.example.vpn', 'acknowledged');
  await command(handle, 'InstallProfile', 'com.example.mail', 'acknowledged');
  await lists(handle, ['com.example.vpn', 'A'], ['com.example.mail', 'B']);
  assert.deepEqual(await look(handle), { 'com.example.vpn': 'installed', 'com.example.mail': 'installed' });
  await lists(handle, ['com.example.vpn', 'OTHER'], ['com.evil.root', 'C', false]);
  const bad = { 'com.example.vpn': 'drifted', 'com.example.mail': 'drifted', 'com.evil.root': 'unexpected' };
  assert.deepEqual(await look(handle), bad);
  await lists(handle, ['com.example.vpn', 'OTHER'], ['com.evil.root', 'C', false], ['org.bartizan.enrolment', 'E']);
  assert.deepEqual(await look(handle), bad);
  assert.deepEqual((await told(handle)).sort(), [
    'profile com.evil.root unexpected',
    'profile com.example.mail drifted',
    'profile com.example.vpn drifted',
  ]);
  assert.deepEqual(new Set((await drifted(console_, 10)).map(({ device }) => device)), new Set([handle]));
  // Installed anew by us: another payload is right, and it heals.
  await command(handle, 'InstallProfile', 'com.example.vpn', 'acknowledged');
  await lists(handle, ['com.example.vpn', 'NEW'], ['com.example.mail', 'B']);
  assert.deepEqual(await look(handle), { 'com.example.vpn': 'installed', 'com.example.mail': 'installed' });
  await command(handle, 'RemoveProfile', 'com.example.mail', 'acknowledged');
  await lists(handle, ['com.example.vpn', 'NEW'], ['com.example.mail', 'B']);
  assert.equal((await look(handle))['com.example.mail'], 'unexpected', 'removed and there again');
  assert.equal((await told(handle)).length, 4);
});

test('a device that left has no items', async () => {
  const handle = await enrolled();
  await lists(handle, ['com.example.byhand', 'A', false]);
  assert.deepEqual(await look(handle), { 'com.example.byhand': 'unexpected' });
  await owner.query(`update fleet.device set state = 'checked_out' where handle = $1`, [handle]);
  await look(handle);
  assert.ok(!(await drifted(console_, 100)).some(({ device }) => device === handle));
});

test('a declaration is installed when the device reports it valid and active under the token of its list', async () => {
  const handle = await enrolled();
  const { rows } = await owner.query<{ id: number }>('select id from fleet.device where handle = $1', [handle]);
  const id = rows[0]!.id;
  await owner.query(
    `insert into fleet.declared_list (id, sets, key, token, items, at, signature)
     values (1, '{}', sha256('k'), 'LIST', '[{"kind": "configuration", "identifier": "a.passcode", "token": "T1"}, {"kind": "activation", "identifier": "a.on", "token": "T2"}]', 0, 'x')`,
  );
  await owner.query(`insert into fleet.declared_device (device_id, list_id, signature) values ($1, 1, 'x')`, [id]);
  assert.deepEqual(await look(handle), { 'a.passcode': 'wanted', 'a.on': 'wanted' });
  await owner.query(`update fleet.declared_device set fetched_token = 'LIST' where device_id = $1`, [id]);
  assert.deepEqual(await look(handle), { 'a.passcode': 'unknown', 'a.on': 'unknown' });
  const says = (kind: string, key: string, token: string, active: boolean, valid: string) =>
    owner.query(
      `insert into fleet.declared_state (device_id, kind, identifier, token, active, valid) values ($1, $2, $3, $4, $5, $6)
       on conflict (device_id, kind, identifier) do update set token = excluded.token, active = excluded.active, valid = excluded.valid`,
      [id, kind, key, token, active, valid],
    );
  await owner.query('insert into fleet.declared_status (device_id) values ($1)', [id]);
  await says('configuration', 'a.passcode', 'T1', true, 'valid');
  await says('activation', 'a.on', 'T0', true, 'valid');
  assert.deepEqual(await look(handle), { 'a.passcode': 'installed', 'a.on': 'pushed' });
  await says('configuration', 'a.passcode', 'T1', false, 'valid');
  await says('configuration', 'b.unknown', 'X', true, 'valid');
  assert.deepEqual(await look(handle), { 'a.passcode': 'drifted', 'a.on': 'pushed', 'b.unknown': 'unexpected' });
  assert.deepEqual((await told(handle)).sort(), ['declaration a.passcode drifted', 'declaration b.unknown unexpected']);
});

test('an app is installed when the device lists it as managed; its own certificate has drifted when its list lacks it', async () => {
  const handle = await enrolled();
  await command(handle, 'InstallApplication', 'com.example.app', 'acknowledged');
  await command(handle, 'InstallApplication', '0123456789abcdef', 'acknowledged');
  assert.deepEqual(await look(handle), { 'com.example.app': 'unknown' });
  const says = (kind: string, facts: object) =>
    owner.query(
      `insert into fleet.inventory (device_id, kind, facts, taken_at) select id, $2, $3, clock_timestamp() from fleet.device where handle = $1
       on conflict (device_id, kind) do update set facts = excluded.facts, taken_at = clock_timestamp()`,
      [handle, kind, JSON.stringify(facts)],
    );
  await says('ManagedApplicationList', { apps: [{ Identifier: 'com.example.app', Status: 'Installing' }] });
  assert.deepEqual(await look(handle), { 'com.example.app': 'pushed' });
  await says('ManagedApplicationList', { apps: [{ Identifier: 'com.example.app', Status: 'Managed' }] });
  assert.deepEqual(await look(handle), { 'com.example.app': 'installed' });
  await says('ManagedApplicationList', { apps: [{ Identifier: 'com.example.app', Status: 'ManagedButUninstalled' }] });
  assert.deepEqual(await look(handle), { 'com.example.app': 'drifted' });
  await owner.query(
    `update fleet.device set certificate_sha256 = sha256(convert_to(handle, 'UTF8')), enrolled_at = now() - interval '1 day' where handle = $1`,
    [handle],
  );
  assert.equal((await look(handle))['device identity'], 'unknown');
  const { rows } = await owner.query<{ hash: string }>(
    `select encode(certificate_sha256, 'hex') as hash from fleet.device where handle = $1`,
    [handle],
  );
  await says('CertificateList', { certificates: [{ sha256: rows[0]!.hash, IsIdentity: true }] });
  assert.equal((await look(handle))['device identity'], 'installed');
  await says('CertificateList', { certificates: [{ sha256: 'other', IsIdentity: true }] });
  assert.equal((await look(handle))['device identity'], 'drifted');
  assert.deepEqual((await told(handle)).sort(), ['app com.example.app drifted', 'certificate device identity drifted']);
});
