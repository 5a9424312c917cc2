import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPool } from '#store';
import { verifyLogDir } from '../../src/run/log-verify.ts';
import { allOf } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { watch } from '../kill/witness.ts';
import { decoysOf } from './decoys.ts';
import { living } from './product.ts';

const KILLS = 50;
const PER_DAY = 8;
test(`kill -9 of any process, ${KILLS} times: nothing acknowledged is lost or done again, caps hold, the log verifies`, async (t) => {
  const { product, stage, home } = await living(t, {
    ...{ people: 30, phones: 16, admins: 2, founders: 3, pollMs: 400 },
    caps: { perTouch: 5, perDay: PER_DAY },
  });
  const [ada, bo] = stage.admins;
  const witnesses = stage.fleet.phones.map(watch);
  stage.fleet.start();
  const devices = (await allOf<{ handle: string }>(ada!, '/api/devices?state=enrolled')).map((one) => one.handle);
  assert.equal(devices.length, 16);
  const decoys = decoysOf(home);
  const people = (await allOf<{ handle: string }>(bo!, '/api/people'))
    .map((one) => one.handle)
    .filter((one) => !decoys.has(one));

  const taken: string[] = [];
  let read = 0;
  const work: Promise<unknown>[] = [];
  const killed = new Map<string, number>();
  for (let round = 0; round < KILLS; round += 1) {
    work.push(
      ada!
        .call('POST', '/api/intents', {
          ...{
            verb: round % 2 === 0 ? 'DeviceInformation' : 'SecurityInfo',
            devices,
            params: {},
            purpose: 'an inventory',
          },
        })
        .then((answer) => void (answer.status === 200 && taken.push(String(answer.body['id']))))
        .catch(() => {}),
    );
    if (round % 3 === 0)
      work.push(
        bo!
          .reveal('number', [people[(round / 3) % people.length]!], 'calling about a lost phone')
          .then(({ values }) => {
            read += Object.keys(values).length;
          })
          .catch(() => {}),
      );
    await sleep(randomInt(20, 350));
    const alive = Object.entries(product.pids());
    const [name, pid] = alive[randomInt(alive.length)]!;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was dead already, and the supervisor has not seen it yet.
      round -= 1;
      continue;
    }
    killed.set(name, (killed.get(name) ?? 0) + 1);
    // Often the next one dies while this one is still coming back.
    await until(() => product.pids()[name] !== undefined && product.pids()[name] !== pid, randomInt(1, 1_500), 50);
  }
  t.diagnostic(`killed: ${JSON.stringify(Object.fromEntries(killed))}`);
  await Promise.all(work);

  const names = ['ledger', 'sealer', 'core', 'edge', 'intake', 'console', 'glass'];
  assert.ok(
    await until(() => names.every((name) => product.pids()[name] !== undefined), 60_000),
    'everything came back',
  );
  // On a machine that is busy with other things the console may have been away for most of the time.
  t.diagnostic(`${taken.length} intents were taken while processes died`);
  for (let more = taken.length; more < 5; more += 1) {
    const answer = await ada!.call('POST', '/api/intents', {
      ...{ verb: 'SecurityInfo', devices, params: {}, purpose: 'an inventory' },
    });
    assert.equal(answer.status, 200);
    taken.push(String(answer.body['id']));
  }
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  const one = async <T>(sql: string, params: unknown[] = []): Promise<T> =>
    (await pool.query<{ v: T }>(sql, params)).rows[0]!.v;
  const open = () =>
    one<number>(
      `select (select count(*) from fleet.intent where state = 'ready') + (select count(*) from fleet.command
         where state in ('queued', 'delivered', 'not_now')) as v`,
    ).then(Number, () => -1);
  assert.ok(await until(async () => (await open()) === 0, 120_000, 500), `${await open()} commands are still open`);

  // Every intent that was taken ran on every device, exactly once, or gave way to a later question of the same kind that did.
  for (const id of taken) {
    const done = await one<string>(
      `select count(*) filter (where state in ('acknowledged', 'superseded')) || ' of ' || count(*) as v
       from fleet.command where intent_id = $1`,
      [id],
    );
    assert.equal(done, '16 of 16');
  }
  const stranded = await one<string>(
    `with recursive way as (select uuid as first, superseded_by as at from fleet.command where state = 'superseded'
       union select w.first, c.superseded_by from way w join fleet.command c on c.uuid = w.at where c.state = 'superseded')
     select count(*) as v from fleet.command s where s.state = 'superseded' and not exists
       (select from way w join fleet.command c on c.uuid = w.at where w.first = s.uuid and c.state = 'acknowledged')`,
  );
  assert.equal(Number(stranded), 0, 'what was superseded gave way to something that ran');
  const again = witnesses.flatMap((one) => one.again);
  assert.deepEqual(again, [], 'a command that the server had acknowledged was sent again');
  const executed = stage.fleet.numbers().executed;
  const { rows } = await pool.query<{ uuid: string; deliveries: number; state: string }>(
    'select uuid, deliveries, state from fleet.command where intent_id = any($1)',
    [taken],
  );
  assert.equal(rows.length % 16, 0, 'intents are dispatched whole');
  for (const { uuid, deliveries, state } of rows) {
    const times = executed.get(uuid) ?? 0;
    if (state === 'superseded') {
      assert.equal(times, 0, 'a superseded command was carried out');
      continue;
    }
    // A phone does a command again only if its first answer was lost with the process that should have taken it. A delivery
    // of what disrupts nothing is not waited for on disk (edge.deliver): each end of PostgreSQL may forget one.
    assert.ok(
      times >= 1 && times <= deliveries + (killed.get('postgres') ?? 0),
      `command done ${times} times in ${deliveries} deliveries`,
    );
  }
  const twice = await one<string>(
    `select count(*) as v from (select 1 from log.event where kind = 'command.result' and body->'unmapped'->>'status' <> 'NotNow'
       group by body->'unmapped'->>'command' having count(*) > 1) d`,
  );
  assert.equal(Number(twice), 0, 'one result a command in the log');

  // The cap counts what was charged before the crash, and the log has an entry for everything that was read.
  assert.ok(read <= PER_DAY, `${read} people were read`);
  assert.ok(
    await until(
      async () => Number(await one('select count(*) as v from log.event where leaf is null')) === 0,
      60_000,
      500,
    ),
  );
  const logged = Number(
    await one(`select count(*) as v from log.event where kind = 'directory.revealed' and actor = $1`, [bo!.admin]),
  );
  assert.ok(logged >= read && logged <= PER_DAY, `${logged} reveals in the log, ${read} seen`);
  const report = await verifyLogDir(`${home}/ledger/log`, { verifierKey: product.keys.log });
  assert.ok(report.ok, JSON.stringify(report.problems));
  const leaves = await one<string>('select count(distinct leaf) as v from log.event');
  const events = await one<string>('select count(*) as v from log.event');
  assert.equal(leaves, events, 'each event is one leaf of its own');
});
