import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PushKeeper, pushCertificateState, pushCounts, waitingCommands } from '#fleet';
import { PushService } from '#sim';
import { openPool, testDatabase } from '#store';

// Core's loops over a true database and a push service that keeps Apple's rules. The clock is handed in.
const TOPIC = 'com.apple.mgmt.External.example';
const DAY = 86_400_000;

async function keeping(t: TestContext) {
  const database = await testDatabase();
  const core = openPool(database.as('core'));
  const dir = mkdtempSync(join(tmpdir(), 'btz-keeper-'));
  const service = new PushService();
  const url = await service.listen();
  const clock = { now: Date.now() };
  const file = join(dir, 'push.pem');
  const keeper = new PushKeeper(core, {
    ...{ file, endpoint: { url, ca: service.ca, timeoutMs: 2_000 }, topic: TOPIC, now: () => clock.now },
  });
  t.after(async () => {
    keeper.close();
    await service.close();
    await core.end();
    await database.close();
    rmSync(dir, { recursive: true, force: true });
  });
  let number = 1_000;
  return {
    ...{ core, service, keeper, clock, file },
    install: (pem: string) => {
      writeFileSync(`${file}.new`, pem);
      renameSync(`${file}.new`, file);
      return keeper.look();
    },
    /** An enrolled device that the service knows, with a push due and a command that waits. */
    device: async () => {
      number += 1;
      const token = randomBytes(32);
      service.knows(token);
      const handle = `oak-lantern-${number}`;
      const { rows } = await core.query<{ id: number }>(
        `insert into fleet.device (handle, state, push_token, push_magic, topic, token_at)
         values ($1, 'enrolled', $2, 'magic', $3, now()) returning id`,
        [handle, token, TOPIC],
      );
      await core.query(
        `insert into fleet.command (uuid, device_id, request_type, body, signature)
         values (gen_random_uuid(), $1, 'DeviceInformation', 'x', 'x')`,
        [rows[0]!.id],
      );
      await core.query('select fleet.want_push(array[$1::bigint])', [rows[0]!.id]);
      return { id: rows[0]!.id, handle, token: token.toString('hex') };
    },
    push: async (id: number) =>
      (
        await core.query<{ state: string; reason: string | null; wait: number }>(
          `select state, reason, extract(epoch from next_at - now())::float as wait from fleet.push where device_id = $1`,
          [id],
        )
      ).rows[0]!,
    dueNow: () => core.query(`update fleet.push set next_at = now() where state = 'retry'`),
    events: async (kind: string) =>
      (
        await core.query<{ detail: Record<string, unknown> }>(
          `select body->'unmapped' as detail from log.event where kind = $1 order by seq`,
          [kind],
        )
      ).rows.map(({ detail }) => detail),
  };
}

test('a certificate that appears while core runs is taken up, tried, and what waited goes out', async (t) => {
  const { core, keeper, service, install, device, push } = await keeping(t);
  const one = await device();
  assert.equal(await keeper.look(), 0);
  assert.equal(await keeper.send(), 0);
  assert.match((await waitingCommands(core, 10)).items[0]!.waitsFor!, /no push certificate is installed/);
  assert.equal(await install(service.issue(TOPIC)), 1);
  assert.equal(await keeper.look(), 0, 'the same file is taken up once');
  assert.equal((await pushCertificateState(core))!.canary, 'accepted');
  assert.equal(await keeper.send(), 1);
  assert.equal((await push(one.id)).state, 'sent');
  assert.match((await waitingCommands(core, 10)).items[0]!.waitsFor!, /APNs took the push/);
  assert.equal(await keeper.send(), 0);
});

test('410: a token given up before the device renewed it is tried again, one given up after waits for a new one', async (t) => {
  const { core, keeper, service, install, device, push, dueNow, events } = await keeping(t);
  const one = await device();
  await install(service.issue(TOPIC));
  const gone = (timestamp: number) =>
    service.faults.set(one.token, { times: 1, status: 410, reason: 'Unregistered', timestamp });
  gone(Date.now() - DAY);
  assert.equal(await keeper.send(), 0);
  assert.equal((await push(one.id)).state, 'retry');
  gone(Date.now() + DAY);
  await dueNow();
  assert.equal(await keeper.send(), 0);
  assert.deepEqual(await events('push.token_invalid').then((all) => all.length), 1);
  assert.match(
    (await waitingCommands(core, 10)).items[0]!.waitsFor!,
    /gave up the device’s push token \(Unregistered\)/,
  );
  await core.query('select fleet.want_push(array[$1::bigint])', [one.id]);
  assert.equal((await push(one.id)).state, 'invalid', 'it is not pushed again before it sent a new token');
});

test('429 and 5xx: tried again later and later, and not before APNs’ own word', async (t) => {
  const { keeper, service, install, device, push, dueNow } = await keeping(t);
  const one = await device();
  await install(service.issue(TOPIC));
  service.faults.set(one.token, { times: 1, status: 429, reason: 'TooManyRequests', retryAfter: 1_800 });
  await keeper.send();
  const asked = await push(one.id);
  assert.equal(asked.reason, 'TooManyRequests');
  assert.ok(asked.wait >= 1_795, `${asked.wait} s`);
  const waits: number[] = [];
  for (let n = 0; n < 4; n += 1) {
    service.faults.set(one.token, { times: 1, status: 503, reason: 'ServiceUnavailable' });
    await dueNow();
    assert.equal(await keeper.send(), 0);
    waits.push((await push(one.id)).wait);
  }
  for (const [n, wait] of waits.entries()) assert.ok(n === 0 || wait > waits[n - 1]! * 1.4, String(waits));
  await dueNow();
  assert.equal(await keeper.send(), 1);
});

test('a refusal of our certificate stops everything, says so once, and ends when APNs takes the canary again', async (t) => {
  const { core, keeper, service, clock, install, device, push, events } = await keeping(t);
  const devices = await Promise.all(Array.from({ length: 5 }, device));
  await install(service.issue(TOPIC));
  service.faults.set('*', { times: 1_000, status: 403, reason: 'BadCertificate' });
  assert.equal(await keeper.send(), 0);
  const arrived = service.arrived;
  for (let n = 0; n < 10; n += 1) assert.equal(await keeper.send(), 0);
  assert.equal(service.arrived, arrived, 'nothing more is sent');
  assert.match((await waitingCommands(core, 10)).items[0]!.waitsFor!, /BadCertificate/);
  clock.now += 61_000;
  assert.equal(await keeper.send(), 0);
  assert.equal(service.arrived, arrived + 1, 'only the canary');
  assert.deepEqual(
    (await events('push.refused')).map((one) => one['reason']),
    ['BadCertificate'],
  );
  service.faults.clear();
  clock.now += 61_000;
  assert.equal(await keeper.send(), 5, 'what waited goes out at once');
  assert.equal((await push(devices[0]!.id)).state, 'sent');
  assert.equal((await events('push.accepted')).length, 1);
});

test('files that cannot be used: unreadable, for another topic, expired, gone; each is told once and none is used', async (t) => {
  const { core, keeper, service, file, install, device, events } = await keeping(t);
  await device();
  const said = async () => (await pushCertificateState(core))?.canary;
  await install('no certificate');
  assert.equal(await said(), 'CertificateUnreadable');
  await install(service.issue('com.apple.mgmt.External.other'));
  assert.equal(await said(), 'OtherTopic');
  await install(service.issue(TOPIC, -1));
  assert.equal(await said(), 'CertificateExpired');
  assert.match(
    (await waitingCommands(core, 10)).items[0]!.waitsFor!,
    /expired; renew it at Apple with the same Apple ID/,
  );
  assert.equal(await keeper.send(), 0);
  await install(service.issue(TOPIC));
  assert.equal(await said(), 'accepted');
  rmSync(file);
  await keeper.look();
  assert.equal(await said(), 'NotInstalled');
  assert.equal(service.pushed.length, 0);
  const reasons = (await events('push.refused')).map((one) => one['reason']);
  assert.deepEqual(reasons, ['CertificateUnreadable', 'OtherTopic', 'CertificateExpired', 'NotInstalled']);
});

test('the days are counted: one alarm each at 60, 30, 14, 7, 3, 1 and 0 days, and a new certificate starts anew', async (t) => {
  const { keeper, service, clock, install, events } = await keeping(t);
  await install(service.issue(TOPIC, 90));
  const start = clock.now;
  for (let day = 0; day <= 91; day += 0.5) {
    clock.now = start + day * DAY;
    await keeper.watch();
  }
  const alarms = await events('push.certificate_expiring');
  assert.deepEqual(
    alarms.map((one) => one['days']),
    [60, 30, 14, 7, 3, 1, 0],
  );
  assert.deepEqual(
    alarms.map((one) => one['urgent']),
    [false, false, true, true, true, true, true],
  );
  assert.deepEqual(
    (await events('push.refused')).map((one) => one['reason']),
    ['CertificateExpired'],
  );
  clock.now = start;
  await install(service.issue(TOPIC, 40));
  assert.equal((await events('push.certificate_expiring')).at(-1)!['days'], 60);
});

test('a device that left is not pushed, and one that never answered a push is woken again after hours', async (t) => {
  const { core, keeper, service, install, device } = await keeping(t);
  const [left, quiet] = [await device(), await device()];
  await core.query(`update fleet.device set state = 'checked_out' where id = $1`, [left.id]);
  await install(service.issue(TOPIC));
  assert.equal(await keeper.send(), 1);
  assert.deepEqual(
    service.pushed.map(({ token }) => token),
    [quiet.token],
  );
  assert.equal(await keeper.again(), 0);
  await core.query(`update fleet.push set sent_at = now() - interval '7 hours' where device_id = $1`, [quiet.id]);
  assert.equal(await keeper.again(), 1);
  assert.equal(await keeper.send(), 1);
  assert.deepEqual(await pushCounts(core), [{ state: 'sent', reason: null, devices: 1 }]);
});
