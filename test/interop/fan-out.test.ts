import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cancelIntent, getDevice } from '#fleet';
import { fanOutUuid } from '#seal';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// One command to many devices: signed once, handed to each with an identifier of its own, and only to those that core meant.
const line = openLine({ sockets: 4 });
const keys = new KeyPool();
let plane: DevicePlane;
const phones = new Map<string, Phone>();
before(async () => {
  plane = await devicePlane();
  for (const { device, link } of await plane.offer(4)) {
    const phone = new Phone(newPhone({ deviceName: 'Pool phone' }), { send: line.send, keyPool: keys });
    await phone.enrol(link);
    phones.set(device, phone);
  }
  // The rest of the fleet, asleep.
  await plane.core.query(
    `insert into fleet.device (handle, state) select 'sleeping-phone-' || n, 'enrolled' from generate_series(1000, 1199) n`,
  );
});
after(async () => {
  line.close();
  await plane.close();
});

const statesOf = async (intent: string) =>
  (
    await plane.core.query<{ state: string; n: number }>(
      'select state, count(*)::int as n from fleet.command where fan_out_id = $1 group by 1 order by 1',
      [intent],
    )
  ).rows.map(({ state, n }) => `${state} ${n}`);
const lastIntent = async () =>
  (await plane.core.query<{ id: string }>('select id from fleet.intent order by created_at desc limit 1')).rows[0]!.id;

test('every device gets the one command once, under its own identifier, and the log names them all', async () => {
  await plane.order('SecurityInfo', 'all');
  const intent = await lastIntent();
  assert.deepEqual(await statesOf(intent), ['queued 204']);
  await Promise.all([...phones.values()].map((phone) => phone.poll()));
  for (const [device, phone] of phones) {
    assert.equal(phone.state.executed[fanOutUuid(intent, device)]?.times, 1);
    assert.equal(await phone.poll(), 0);
    assert.deepEqual(
      (await getDevice(plane.console, device)).inventory.map(({ kind }) => kind),
      ['SecurityInfo'],
    );
  }
  assert.deepEqual(await statesOf(intent), ['acknowledged 4', 'queued 200']);
  const { rows } = await plane.core.query<{ kind: string; devices: string[] | null; count: number | null }>(
    `select kind, body->'unmapped'->'devices' as devices, (body->'unmapped'->>'count')::int as count
     from log.event where body->'unmapped'->>'fan_out' = $1`,
    [intent],
  );
  const named = (kind: string) => rows.filter((row) => row.kind === kind).flatMap((row) => row.devices ?? []);
  assert.deepEqual(named('command.group_delivered').sort(), [...phones.keys()].sort());
  assert.deepEqual(named('command.group_result').sort(), [...phones.keys()].sort());
  assert.equal(rows.find((row) => row.kind === 'command.group_queued')?.count, 204);
  assert.equal(
    await tx(plane.console, (t) => cancelIntent(t, { intent, by: 'amber-otter-4821' })),
    200,
    'what nobody fetched can be taken back',
  );
});

test('PostgreSQL and we give a device’s command the same identifier', async () => {
  const { rows } = await plane.core.query<{ handle: string; a: string }>(
    `select handle, fleet.fan_out_uuid('01941234-1234-7234-8234-123412341234', handle) as a from fleet.device`,
  );
  for (const { handle, a } of rows) assert.equal(a, fanOutUuid('01941234-1234-7234-8234-123412341234', handle));
});

test('whoever owns the database adds no device to a fan-out, and changes no byte of it', async () => {
  const [victim, other] = [...phones.keys()] as [string, string];
  const tamper = async (sql: string): Promise<string> => {
    await plane.order('SecurityInfo', [other, ...Array.from({ length: 120 }, (_, n) => `sleeping-phone-${n + 1000}`)]);
    const intent = await lastIntent();
    await plane.core.query(sql, sql.includes('$2') ? [intent, victim] : [intent]);
    await phones.get(victim)!.poll();
    await phones.get(other)!.poll();
    return intent;
  };
  // core's own role may write commands: the signature is what edge believes
  const added = await tamper(
    `insert into fleet.command (uuid, device_id, intent_id, request_type, fan_out_id)
     select fleet.fan_out_uuid($1, handle), id, $1, 'SecurityInfo', $1 from fleet.device where handle = $2`,
  );
  assert.equal(phones.get(victim)!.state.executed[fanOutUuid(added, victim)], undefined);
  const renamed = await tamper(`update fleet.command set request_type = 'EraseDevice' where fan_out_id = $1`);
  assert.equal(phones.get(other)!.state.executed[fanOutUuid(renamed, other)], undefined);
  const { rows } = await plane.core.query<{ why: string; n: number }>(
    `select body->'unmapped'->>'why' as why, count(*)::int as n from log.event where kind = 'command.unsigned' group by 1 order by 1`,
  );
  assert.deepEqual(rows, [
    { why: 'not-signed-by-core', n: 2 },
    { why: 'verb-differs', n: 1 },
  ]);
  for (const phone of phones.values()) assert.ok(phone.enrolled);
});

test('locking and erasing never fan out', async () => {
  for (const verb of ['DeviceLock', 'EraseDevice'] as const)
    await assert.rejects(plane.order(verb, 'all'), { code: 'too-many' });
});
