import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPool, type Pool } from '#store';
import { allOf, Person } from '../../src/run/person.ts';
import { until } from '../../src/run/stage.ts';
import { living } from './product.ts';

interface Asked {
  readonly id: string;
  readonly approval: string;
}

/** The state of everything that a device was ever asked, as an outside observer sees it. */
async function erased(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from fleet.command where request_type = 'EraseDevice' and state not in
       ('queued', 'held', 'superseded', 'expired', 'refused', 'cancelled')`,
  );
  return rows[0]!.n;
}

test('what destroys runs with the signatures of two different people, and never otherwise', async (t) => {
  const { product, stage } = await living(t, { phones: 12, admins: 3, founders: 3 });
  const pool = openPool(product.admin, { max: 2 });
  t.after(() => pool.end());
  // A phone that puts an erasure off is overtaken by the lane's lock, which then rightly holds it; here each answers at once.
  for (const phone of stage.fleet.phones) phone.behaviour.notNow = 0;
  stage.fleet.start();
  const [ada, bo, cy] = stage.admins;
  const devices = (await allOf<{ handle: string; state: string }>(ada!, '/api/devices'))
    .filter((device) => device.state === 'enrolled')
    .map((device) => device.handle);
  assert.equal(devices.length, 12);

  const erase = async (who: Person, targets: readonly string[]): Promise<Asked> => {
    const asked = await who.call('POST', '/api/intents', {
      ...{ verb: 'EraseDevice', devices: targets, params: {}, purpose: 'lost on a train' },
    });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    assert.equal(asked.body['state'], 'awaiting-approval');
    return { id: String(asked.body['id']), approval: String(asked.body['approval']) };
  };
  const stateOf = async (approval: string) =>
    (await allOf<{ id: string; state: string }>(ada!, '/api/approvals')).find((one) => one.id === approval)?.state;
  const settled = (approval: string) =>
    until(async () => !['open', 'executing'].includes((await stateOf(approval)) ?? ''), 20_000);

  let first: Asked;
  await t.test('one person, however often, is one person', async () => {
    first = await erase(ada!, devices.slice(0, 1));
    for (let times = 0; times < 3; times += 1) await ada!.approve(first.approval);
    const stranger = new Person(product.urls, bo!.admin);
    assert.notEqual((await stranger.approve(first.approval)).status, 200, 'a key that nobody pinned');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    assert.equal(await stateOf(first.approval), 'open');
    const { rows: signed } = await pool.query('select admin from respond.signature where approval_id = $1', [
      first.approval,
    ]);
    assert.deepEqual(signed, [{ admin: ada!.admin }], 'signing again changes nothing');
    assert.equal(await erased(pool), 0);
  });

  await t.test('the second person makes it run, once, on that device alone', async () => {
    assert.equal((await bo!.approve(first.approval)).status, 200);
    assert.ok(await settled(first.approval));
    assert.equal(await stateOf(first.approval), 'executed');
    assert.ok(await until(async () => (await erased(pool)) === 1, 20_000));
    const { rows } = await pool.query<{ handle: string }>(
      `select d.handle from fleet.command c join fleet.device d on d.id = c.device_id where c.request_type = 'EraseDevice'`,
    );
    assert.deepEqual(rows, [{ handle: devices[0] }]);
    // The queue counts a command from its delivery; the phone does it a moment later, and must not do it again.
    const wiped = () =>
      stage.fleet.phones
        .flatMap((phone) => Object.values(phone.state.executed).filter((one) => one.requestType === 'EraseDevice'))
        .map((one) => one.times);
    assert.ok(await until(() => wiped().length > 0, 20_000));
    assert.deepEqual(wiped(), [1]);
  });

  await t.test('a row that the console writes with a lower risk is judged anew', async () => {
    const before = await erased(pool);
    const { rows } = await pool.query<{ id: string }>(
      `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state)
       values (gen_random_uuid(), 'EraseDevice', 'read', '{}', jsonb_build_array(jsonb_build_object('device', $1::text, 'uuid', gen_random_uuid())),
         $2, 'an inventory', 'ready') returning id`,
      [devices[2], ada!.admin],
    );
    const state = async () =>
      (await pool.query<{ state: string }>('select state from fleet.intent where id = $1', [rows[0]!.id])).rows[0]!
        .state;
    await pool.query("select pg_notify('bartizan_work', '')");
    assert.ok(await until(async () => (await state()) === 'refused', 15_000));
    assert.equal(await erased(pool), before);
  });

  await t.test('above the cap nothing runs, whoever signs', async () => {
    // Three admins ask for a few each, so that no rule about one admin's requests acts before the ledger's cap does.
    const before = await erased(pool);
    assert.equal(before, 1);
    for (const [who, targets] of [
      [bo!, devices.slice(6, 8)],
      [cy!, devices.slice(8, 10)],
    ] as const) {
      const asked = await erase(who, targets);
      await ada!.approve(asked.approval);
      await (who === bo ? cy! : bo!).approve(asked.approval);
      assert.ok(await settled(asked.approval));
      assert.equal(await stateOf(asked.approval), 'executed');
    }
    assert.ok(await until(async () => (await erased(pool)) === 5, 20_000));
    const sixth = await erase(cy!, devices.slice(10, 11));
    await ada!.approve(sixth.approval);
    await bo!.approve(sixth.approval);
    assert.ok(await settled(sixth.approval));
    assert.equal(await stateOf(sixth.approval), 'refused');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    assert.equal(await erased(pool), 5);
  });

  await t.test('a signed command under another verb or body does not pass either', async () => {
    const before = await erased(pool);
    // Takes a harmless signed command and gives it a body that erases.
    stage.fleet.phones.forEach((phone) => {
      phone.behaviour.offline = true;
    });
    const asked = await ada!.call('POST', '/api/intents', {
      ...{ verb: 'SecurityInfo', devices: [devices[4]], params: {}, purpose: 'a look at it' },
    });
    assert.equal(asked.status, 200);
    const swap = () =>
      pool.query(
        `update fleet.command set body = convert_to(replace(convert_from(body, 'UTF8'), 'SecurityInfo', 'EraseDevice'), 'UTF8'),
           request_type = 'EraseDevice' where intent_id = $1 and state = 'queued'`,
        [asked.body['id']],
      );
    assert.ok(await until(async () => (await swap()).rowCount === 1, 15_000));
    stage.fleet.phones.forEach((phone) => {
      phone.behaviour.offline = false;
    });
    const state = async () =>
      (await pool.query<{ state: string }>('select state from fleet.command where intent_id = $1', [asked.body['id']]))
        .rows[0]!.state;
    // The lane is locked by now and holds what is queued; whoever writes the table takes that away too.
    const release = () =>
      pool.query(
        `update fleet.command set state = 'queued', held_by = null, done_at = null where intent_id = $1 and state = 'held'`,
        [asked.body['id']],
      );
    assert.ok(
      await until(async () => {
        await release();
        return (await state()) === 'refused';
      }, 20_000),
    );
    assert.equal(await erased(pool), before);
  });

  await t.test('a command written straight into the queue reaches no phone', async () => {
    const before = await erased(pool);
    // With the database's own superuser, who is above every grant: the signature is what counts.
    await pool.query(
      `insert into fleet.command (uuid, device_id, request_type, body, signature)
       select gen_random_uuid(), id, 'EraseDevice', $2, $3 from fleet.device where handle = $1`,
      [
        devices[3],
        Buffer.from('<plist><dict><key>x</key><string>EraseDevice</string></dict></plist>'),
        Buffer.alloc(64, 1),
      ],
    );
    const refused = async () =>
      (await pool.query(`select from log.event where kind = 'command.unsigned' and device = $1`, [devices[3]]))
        .rowCount;
    // Whoever can write the queue takes its holds away as well.
    const release = () =>
      pool.query(
        `update fleet.command set state = 'queued', held_by = null, done_at = null
         where signature = $1 and state = 'held'`,
        [Buffer.alloc(64, 1)],
      );
    const said = async () => {
      await release();
      return (await refused()) === 1;
    };
    assert.ok(await until(said, 20_000), 'refused, and said so');
    assert.equal(await erased(pool), before);
    const gone = () => stage.fleet.phones.filter((phone) => !phone.enrolled).length;
    await until(() => gone() >= 5, 20_000);
    assert.equal(gone(), 5, 'those that two people erased');
  });
});
