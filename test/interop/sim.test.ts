import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { mayAim, newAuthority, readMisbehaviour, SimError, type SimSummary } from '#sim';
import { testDatabase } from '#store';
import { toPem, writePlist } from '#wire';
import { KEY, startNanomdm } from '../../bench/nanomdm.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const run = promisify(execFile);
const BARTIZAN = join(import.meta.dirname, '..', '..', 'bin', 'bartizan');
const PROFILE = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.sim</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D21</string><key>PayloadContent</key><array/></dict></plist>`;

let plane: DevicePlane;
let dir: string;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'btz-sim-'));
  plane = await devicePlane();
});
after(async () => {
  await plane?.close();
  if (dir) rmSync(dir, { recursive: true, force: true });
});

/** Runs the program as a stranger would; its last line. */
async function sim(...args: string[]): Promise<SimSummary> {
  const { BARTIZAN_TEST_PG: _, ...env } = process.env;
  const { stdout } = await run(BARTIZAN, ['sim', '--json', ...args], { env, timeout: 60_000 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as SimSummary;
}

async function links(count: number): Promise<{ file: string; devices: string[] }> {
  const offers = await plane.offer(count);
  const file = join(dir, `links-${offers[0]!.device}`);
  writeFileSync(file, offers.map(({ link }) => link).join('\n'));
  return { file, devices: offers.map(({ device }) => device) };
}

const states = async (devices: readonly string[]) =>
  (
    await plane.core.query<{ state: string; n: number }>(
      `select k.state, count(*)::int as n from fleet.command k join fleet.device d on d.id = k.device_id
       where d.handle = any($1) group by 1`,
      [devices],
    )
  ).rows;

test('phones enrol at our product, work, stop by themselves and go on from their state', async () => {
  const { file, devices } = await links(4);
  const state = join(dir, 'state.json');
  const first = await sim('--enrol', file, '--phones', '4', '--state', state, '--poll', '200ms', '--duration', '1s');
  assert.deepEqual([first.enrolled, first.errors, first.commands], [4, 0, 0]);
  assert.equal(statSync(state).mode & 0o777, 0o600);
  await plane.order('DeviceInformation', devices);
  const second = await sim('--enrol', file, '--phones', '4', '--state', state, '--poll', '200ms', '--duration', '2s');
  assert.deepEqual([second.enrolled, second.errors, second.doubles], [4, 0, 0]);
  assert.deepEqual(second.executed, { DeviceInformation: 4 });
  assert.deepEqual(await states(devices), [{ state: 'acknowledged', n: 4 }]);
});

test('every odd client of the tolerance list is served', async () => {
  const count = readMisbehaviour('tolerance').oddities.length;
  assert.ok(count >= 14);
  const { file, devices } = await links(count);
  const state = join(dir, 'odd.json');
  const args = ['--enrol', file, '--phones', String(count), '--misbehave', 'tolerance', '--poll', '300ms'];
  const first = await sim(...args, '--state', state, '--duration', '2s');
  assert.deepEqual([first.enrolled, first.problems], [count, {}]);
  await plane.order('DeviceInformation', devices);
  const second = await sim(...args, '--state', state, '--duration', '3s');
  assert.deepEqual(second.problems, {});
  const found = Object.fromEntries((await states(devices)).map(({ state: name, n }) => [name, n]));
  assert.equal(found['acknowledged'], count - 1, JSON.stringify(found));
  assert.equal((found['error'] ?? 0) + (found['unsupported'] ?? 0), 1, 'the one that knows no command');
});

test('every attack is refused, and the phones beside it are served', async () => {
  const { file, devices } = await links(4);
  const args = ['--enrol', file, '--phones', '4', '--state', join(dir, 'hostile.json'), '--poll', '250ms'];
  await sim(...args, '--duration', '500ms');
  await plane.order('SecurityInfo', devices);
  const result = await sim(
    ...args,
    '--misbehave',
    'hostile=0.6,slowloris=0,notnow=0.2,duplicate=0.2,lose=0.1',
    '--duration',
    '5s',
  );
  assert.equal(result.enrolled, 4);
  for (const [name, verdicts] of Object.entries(result.attacks)) {
    // A replayed Idle is an Idle: served, and it changes nothing.
    if (name !== 'replay') assert.equal(verdicts.taken ?? 0, 0, `${name}: ${JSON.stringify(verdicts)}`);
  }
  for (const name of ['forged', 'stranger', 'others-udid', 'ber-bomb', 'plist-bomb', 'oversized'])
    assert.ok(
      (result.attacks[name]?.refused ?? 0) + (result.attacks[name]?.silent ?? 0) > 0,
      `${name} ran: ${JSON.stringify(result.attacks)}`,
    );
  assert.equal(
    (
      await plane.core.query(
        "select 1 from fleet.command where state <> 'acknowledged' and device_id in (select id from fleet.device where handle = any($1))",
        [devices],
      )
    ).rowCount,
    0,
  );
});

test('NanoMDM, built from its module: identities of our own, a profile through its API, the result', async () => {
  const database = await testDatabase();
  const authority = newAuthority();
  const work = mkdtempSync(join(tmpdir(), 'btz-nano-'));
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const caPem = toPem('CERTIFICATE', authority.certificate.der);
  const peer = await startNanomdm({ admin: database.admin, dir: work, caPem, port });
  const client = new pg.Client(peer.database);
  await client.connect();
  try {
    writeFileSync(join(work, 'own.pem'), caPem);
    writeFileSync(join(work, 'own.key'), authority.key.export({ format: 'pem', type: 'pkcs8' }));
    const url = `http://127.0.0.1:${port}/mdm`;
    const raw = [
      '--server-url',
      url,
      '--topic',
      'com.example',
      '--ca',
      join(work, 'own.pem'),
      '--ca-key',
      join(work, 'own.key'),
    ];
    const state = ['--state', join(work, 'state.json'), '--phones', '3', '--poll', '200ms'];
    const first = await sim(...raw, ...state, '--duration', '1s');
    assert.deepEqual([first.enrolled, first.problems], [3, {}]);
    const { rows } = await client.query<{ id: string }>('select id from enrollments where enabled');
    assert.equal(rows.length, 3);
    const command = writePlist({
      CommandUUID: '6e6a2b0c-9c7e-4a53-8c52-2e4b6e0c9d30',
      Command: { RequestType: 'InstallProfile', Payload: Buffer.from(PROFILE) },
    });
    const answer = await fetch(`http://127.0.0.1:${port}/v1/enqueue/${rows.map(({ id }) => id).join(',')}?nopush=1`, {
      method: 'PUT',
      headers: { authorization: `Basic ${Buffer.from(`nanomdm:${KEY}`).toString('base64')}` },
      body: command,
    });
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
    const second = await sim(...raw, ...state, '--duration', '2s');
    assert.deepEqual(second.executed, { InstallProfile: 3 });
    const results = await client.query<{ status: string; n: number }>(
      'select status, count(*)::int as n from command_results group by 1',
    );
    assert.deepEqual(results.rows, [{ status: 'Acknowledged', n: 3 }]);
    const phones = (
      JSON.parse(readFileSync(join(work, 'state.json'), 'utf8')) as {
        phones: { state: { profiles: { identifier: string }[] } }[];
      }
    ).phones;
    for (const { state: one } of phones)
      assert.ok(one.profiles.some(({ identifier }) => identifier === 'org.example.sim'));
  } finally {
    await client.end();
    peer.stop();
    await sleep(200);
    await database.close();
    rmSync(work, { recursive: true, force: true });
  }
});

test('it aims at loopback and at hosts that were named, whatever a profile says', async () => {
  for (const url of ['http://127.0.0.1:1/x', 'https://localhost/x', 'http://[::1]:8442/x', 'http://127.8.9.1/'])
    assert.ok(mayAim(url, []), url);
  for (const url of [
    ...['http://mdm.example/x', 'http://127.0.0.1.example/', 'http://localhost.example/', 'http://2130706433.example/'],
    ...[
      'http://0.0.0.0/',
      'http://[::]/',
      'http://10.0.0.1/',
      'ftp://127.0.0.1/',
      'not a url',
      'http://mdm.example@10.0.0.1/',
    ],
  ])
    assert.ok(!mayAim(url, ['other.example']), url);
  assert.ok(mayAim('https://mdm.example/x', ['mdm.example']));
  assert.ok(!mayAim('https://sub.mdm.example/x', ['mdm.example']));
  // the profile is on loopback, the server that it names is not
  const away = join(dir, 'away.mobileconfig');
  const mine = newAuthority();
  writeFileSync(join(dir, 'away.pem'), toPem('CERTIFICATE', mine.certificate.der));
  writeFileSync(join(dir, 'away.key'), mine.key.export({ format: 'pem', type: 'pkcs8' }));
  const { profileOf } = await import('#sim');
  writeFileSync(
    away,
    profileOf({ serverUrl: 'https://mdm.example/mdm', topic: 't', scepUrl: 'https://mdm.example/scep' }),
  );
  await assert.rejects(sim('--enrol', away, '--phones', '1', '--duration', '1s'), (error: { stdout: string }) => {
    const summary = JSON.parse(error.stdout.trim()) as SimSummary;
    assert.equal(summary.enrolled, 0);
    assert.match(Object.keys(summary.problems).join(), /may not send to mdm\.example.*--i-own-this-server/);
    return true;
  });
});

test('what it does not understand it refuses', () => {
  assert.throws(() => readMisbehaviour('nothing-of-the-kind'), SimError);
  assert.throws(() => readMisbehaviour('notnow=2'), SimError);
  assert.deepEqual(readMisbehaviour('notnow=0.2,ber-bomb=0,post'), {
    ...{ faults: { notnow: 0.2 }, attacks: { 'ber-bomb': 0 }, oddities: ['post'] },
  });
});
