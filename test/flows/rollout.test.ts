import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPool } from '#store';
import { allOf } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { living } from './product.ts';

const KILLS = 12;
const xml = (identifier: string, note: string) => `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000001</string>
<key>PayloadDisplayName</key><string>${note}</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>${identifier}.a</string><key>PayloadUUID</key><string>9b1c2f1e-0000-4000-8000-000000000002</string>
<key>forcePIN</key><true/></dict></array></dict></plist>`;

test('a rollout halts on errors, a stolen account is braked, and kill -9 loses no last wish', async (t) => {
  const { product, stage } = await living(t, {
    ...{ phones: 8, admins: 3, founders: 3, pollMs: 300, caps: { changePerHour: 100 } },
  });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  stage.fleet.start();
  const [ada, bo, cy] = stage.admins;
  const post = async (who: typeof ada, path: string, body: object) => {
    const answer = await who!.call('POST', path, body);
    assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
    return answer.body as Record<string, string>;
  };
  const devices = (await allOf<{ handle: string }>(ada!, '/api/devices?state=enrolled')).map((one) => one.handle);
  assert.equal(devices.length, 8);
  const named = (note: string) =>
    stage.fleet.phones.filter((phone) => phone.state.profiles.some(({ name }) => name === note)).length;

  await t.test('a rollout whose first ring fails halts, and the watch says so', async () => {
    const { profile, version } = await post(ada, '/api/profiles', { profile: xml('org.example.flow', 'first') });
    for (const device of devices) await post(ada, `/api/profiles/${profile}/assignments`, { device });
    for (const phone of stage.fleet.phones) phone.behaviour.error = { times: 1, code: 1000 };
    const { id } = await post(ada, `/api/profiles/${profile}/rollouts`, { version, purpose: 'a test of rings' });
    const rollout = async () =>
      (await allOf<{ id: string; state: string; why: string }>(ada!, '/api/rollouts')).find((one) => one.id === id)!;
    assert.ok(await until(async () => (await rollout()).state === 'halted', 20_000));
    assert.match((await rollout()).why, /devices failed, more than 10 %/);
    const alerted = async () =>
      (await pool.query(`select from watch.alert where rule = 'rollout-halted'`)).rowCount === 1;
    assert.ok(await until(alerted, 10_000));
    assert.equal(named('first'), 0);
    for (const phone of stage.fleet.phones) phone.behaviour.error = { times: 0, code: 0 };
    await post(ada, `/api/rollouts/${id}/acts`, { act: 'cancel' });
  });

  await t.test(
    `kill -9 of core and edge, ${KILLS} times, while profiles are wished for: the last wish is on every phone`,
    async () => {
      let last = '';
      for (let round = 0; round < KILLS; round += 1) {
        const note = `wish ${round}`;
        const asked = await ada!.call('POST', '/api/intents', {
          ...{ verb: 'InstallProfile', devices, params: { profile: xml('org.example.kill', note) } },
          purpose: 'a test of kills',
        });
        if (asked.status === 200) last = note;
        await sleep(randomInt(10, 400));
        const victim = round % 2 === 0 ? 'core' : 'edge';
        const pid = product.pids()[victim];
        if (pid === undefined) continue;
        process.kill(pid, 'SIGKILL');
        await until(() => product.pids()[victim] !== undefined && product.pids()[victim] !== pid, 5_000, 50);
      }
      assert.ok(
        await until(() => named(last) === devices.length, 60_000),
        `${named(last)} of ${devices.length} have ${last}`,
      );
      await sleep(1_500);
      assert.equal(named(last), devices.length, 'and nothing older came after it');
      const { rows } = await pool.query<{ open: number; superseded: number }>(
        `select count(*) filter (where state in ('queued', 'delivered', 'not_now'))::int as open,
         count(*) filter (where state = 'superseded')::int as superseded from fleet.command where key = 'org.example.kill'`,
      );
      assert.equal(rows[0]!.open, 0);
      t.diagnostic(`${rows[0]!.superseded} commands were superseded`);
    },
  );

  await t.test(
    'D1: a stolen account tries a mass change: held, frozen in one step, taken back in one step',
    async () => {
      const before = named('evil');
      const change = () =>
        post(cy, '/api/intents', {
          ...{ verb: 'InstallProfile', devices, params: { profile: xml('org.example.evil', 'evil') } },
          purpose: 'nothing to see here',
        });
      // 100 an hour: the thirteenth wish for eight phones is above it.
      for (const phone of stage.fleet.phones) phone.behaviour.offline = true;
      let held = false;
      for (let times = 0; times < 14 && !held; times += 1) {
        await change();
        await sleep(300);
        const { rows } = await pool.query(`select from fleet.intent where requester = $1 and state = 'held'`, [
          cy!.admin,
        ]);
        held = rows.length > 0;
      }
      assert.ok(held);
      const alerted = async () =>
        (await pool.query(`select from watch.alert where rule = 'mass-change-held'`)).rowCount === 1;
      assert.ok(await until(alerted, 10_000));
      await post(bo, '/api/locks', { scope: 'commands', target: '', reason: 'a stolen account' });
      const waiting = async () =>
        Number(
          (
            await pool.query<{ n: string }>(
              `select count(*) as n from fleet.command where done_at is null and request_type = 'InstallProfile'`,
            )
          ).rows[0]!.n,
        );
      assert.ok(
        await until(async () => (await waiting()) === 0, 15_000),
        'the lane is locked: nothing is left to fetch',
      );
      for (const phone of stage.fleet.phones) phone.behaviour.offline = false;
      await sleep(1_500);
      assert.equal(named('evil'), before);
      const gone = await post(bo, '/api/intents/cancel', { requester: cy!.admin });
      assert.ok(Number(gone['commands']) >= devices.length);
      const { rows } = await pool.query(
        `select from fleet.command c join fleet.intent i on i.id = c.intent_id where i.requester = $1 and c.state in ('queued', 'held', 'not_now')`,
        [cy!.admin],
      );
      assert.equal(rows.length, 0);
      assert.equal(named('evil'), 0);
    },
  );
});
