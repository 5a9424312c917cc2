import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { openPool, type Pool, type TestDatabase, testDatabase, tx } from '#store';
import { advanceRetirements, CUT_OFFS_PER_HOUR, nextStep } from './advance.ts';
import { evidenceMarkdown, retireEvidence } from './evidence.ts';
import { getRetirement, listRetirements } from './list.ts';
import { cancelRetirement, type RetireWay, requestRetirement } from './request.ts';

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

const BY = 'amber-otter-4821';
let count = 1000;
async function enrolled(ownership = 'organisation'): Promise<string> {
  count += 1;
  const handle = `oak-lantern-${count}`;
  await owner.query(
    `insert into fleet.device (handle, state, ownership, holder, serial, udid, model, push_token, push_magic, certificate_sha256, last_seen_at)
     values ($1, 'enrolled', $2, 'ruby-heron-2001', 'SERIAL', $1, 'MODEL', 'token', 'magic', sha256(convert_to($1, 'UTF8')), now())`,
    [handle, ownership],
  );
  await owner.query(
    `insert into fleet.inventory (device_id, kind, facts) select id, 'SecurityInfo', '{"PasscodePresent": true}' from fleet.device where handle = $1`,
    [handle],
  );
  await owner.query(
    `insert into people.sealed (subject, field, version, row) values ($1, 'device-name', 1, decode(repeat('00', 204), 'hex'))`,
    [handle],
  );
  return handle;
}
const ask = (way: RetireWay, ...devices: string[]) =>
  tx(console_, (t) =>
    requestRetirement(t, { devices, way, requester: BY, purpose: 'The holder leaves', now: Date.now() }),
  );
/** What core's dispatcher, edge and the phone would do, by rows. */
const queue = (handle: string) =>
  owner.query(
    `insert into fleet.command (uuid, device_id, intent_id, request_type, body, signature)
     select r.command_uuid, r.device_id, r.intent_id, n.verb, 'x', 'x' from fleet.retirement r join fleet.device d on d.id = r.device_id
     join fleet.intent n on n.id = r.intent_id where d.handle = $1 and r.ended_at is null`,
    [handle],
  );
const answer = (handle: string, state: string) =>
  owner.query(
    `update fleet.command c set state = $2, delivered_at = now(), done_at = case when $2 = 'delivered' then null else now() end
     from fleet.retirement r join fleet.device d on d.id = r.device_id where c.uuid = r.command_uuid and d.handle = $1 and r.ended_at is null`,
    [handle, state],
  );
const settle = async () => {
  while ((await advanceRetirements(core)) > 0) {
    // until nothing moves
  }
};
const stateOf = async (handle: string) => (await listRetirements(console_, { device: handle, limit: 1 }))[0]?.state;

test('unenrol: the device acknowledges, its certificate is revoked, what is known of it goes, the evidence stays', async () => {
  const handle = await enrolled();
  const { ids, approval } = await ask('unenrol', handle);
  assert.equal(approval, undefined);
  await settle();
  assert.equal(await stateOf(handle), 'open');
  await assert.rejects(ask('unenrol', handle), { code: 'already-leaving' });
  await queue(handle);
  await answer(handle, 'acknowledged');
  await settle();
  const { retirement, cause } = await getRetirement(console_, ids[0]!);
  assert.equal(retirement.state, 'forgotten');
  assert.match(cause, /acknowledged the command; it is forgotten/);
  const { rows } = await owner.query(
    `select state, holder, serial, udid, model, push_token, push_magic, certificate_sha256 from fleet.device where handle = $1`,
    [handle],
  );
  assert.deepEqual(rows, [
    {
      state: 'retired',
      holder: null,
      serial: null,
      udid: null,
      model: null,
      push_token: null,
      push_magic: null,
      certificate_sha256: null,
    },
  ]);
  assert.equal((await owner.query('select from people.sealed where subject = $1', [handle])).rows.length, 0);
  assert.equal(
    (
      await owner.query('select from fleet.inventory i join fleet.device d on d.id = i.device_id where d.handle = $1', [
        handle,
      ])
    ).rows.length,
    0,
  );

  const evidence = await retireEvidence(console_, ids[0]!);
  assert.match(evidence.certificate ?? '', /^[0-9a-f]{64}$/);
  assert.deepEqual((evidence.erased as Record<string, number>)['people.sealed'], 1);
  assert.deepEqual(
    evidence.commands.map(({ verb, state }) => [verb, state]),
    [['RemoveProfile', 'acknowledged']],
  );
  assert.deepEqual(
    evidence.events.map(({ kind, detail }) => `${kind} ${(detail as { step?: string }).step ?? ''}`.trim()),
    ['retire.requested', 'retire.step confirmed', 'retire.step revoked', 'device.retired', 'retire.step forgotten'],
  );
  const text = evidenceMarkdown(evidence);
  for (const part of [
    handle,
    evidence.certificate!,
    ids[0]!,
    'people.sealed: 1 rows',
    'not in the transparency log yet',
  ])
    assert.ok(text.includes(part), part);
  // The same hardware enrols anew: the identifier is free, under another handle.
  await owner.query(
    `insert into fleet.device (handle, state, udid, certificate_sha256) values ('elm-anchor-1000', 'enrolled', $1, sha256(convert_to($1, 'UTF8')))`,
    [handle],
  );
});

test('erase waits for two people and is never done to a personal device', async () => {
  const own = await enrolled('personal');
  await assert.rejects(ask('erase', own), { code: 'personal-device' });
  assert.equal(await stateOf(own), undefined);
  const handle = await enrolled();
  const { approval } = await ask('erase', handle);
  assert.equal(approval?.verb, 'EraseDevice');
  await settle();
  assert.equal(await stateOf(handle), 'open');
  assert.match(
    (await getRetirement(console_, (await listRetirements(console_, { device: handle, limit: 1 }))[0]!.id)).cause,
    /two people/,
  );
  await owner.query(`update fleet.intent set state = 'refused' where approval_id = $1`, [approval!.id]);
  await settle();
  assert.equal(await stateOf(handle), 'failed');
  assert.equal(
    (await owner.query('select state from fleet.device where handle = $1', [handle])).rows[0]!['state'],
    'enrolled',
  );
});

test('it can be taken back until the device fetches it, and not after', async () => {
  const handle = await enrolled();
  const first = await ask('unenrol', handle);
  await queue(handle);
  assert.equal(await tx(console_, (t) => cancelRetirement(t, { id: first.ids[0]!, by: BY })), 1);
  assert.equal(await stateOf(handle), 'cancelled');
  await settle();
  assert.equal(
    (await owner.query('select state from fleet.device where handle = $1', [handle])).rows[0]!['state'],
    'enrolled',
  );
  const second = await ask('unenrol', handle);
  await queue(handle);
  await answer(handle, 'delivered');
  await assert.rejects(
    tx(console_, (t) => cancelRetirement(t, { id: second.ids[0]!, by: BY })),
    { code: 'too-late' },
  );
  await owner.query(`update fleet.device set state = 'checked_out' where handle = $1`, [handle]);
  await settle();
  assert.equal((await getRetirement(console_, second.ids[0]!)).retirement.confirmedBy, 'check-out');
});

test('a device that never answers is retired without its word after thirty days, and the evidence says so', async () => {
  const handle = await enrolled();
  const { ids } = await ask('unenrol', handle);
  await queue(handle);
  await settle();
  assert.equal(await stateOf(handle), 'open');
  await owner.query(`update fleet.retirement set not_after = now() - interval '1 second' where id = $1`, [ids[0]]);
  await settle();
  const evidence = await retireEvidence(console_, ids[0]!);
  assert.equal(evidence.retirement.confirmedBy, 'nobody');
  assert.equal(evidence.commands[0]?.state, 'cancelled');
  assert.ok(evidence.caveats.some((one) => one.includes('confirmed nothing')));
});

test('cutting off devices that work is bounded, whoever asks', async () => {
  const devices: string[] = [];
  for (let n = 0; n < CUT_OFFS_PER_HOUR + 5; n += 1) devices.push(await enrolled());
  await ask('forget', ...devices);
  await settle();
  const states = await Promise.all(devices.map(stateOf));
  assert.equal(states.filter((state) => state === 'forgotten').length, CUT_OFFS_PER_HOUR);
  assert.equal(states.filter((state) => state === 'confirmed').length, 5);
  await owner.query(`update fleet.retirement set revoked_at = now() - interval '2 hours' where way = 'forget'`);
  await settle();
  assert.ok((await Promise.all(devices.map(stateOf))).every((state) => state === 'forgotten'));
});

/** The states and how one follows the other, written down a second time. */
const FOLLOWS: Record<string, string[]> = {
  open: ['confirmed', 'timed-out', 'cancelled', 'failed'],
  confirmed: ['revoked'],
  'timed-out': ['revoked'],
  revoked: ['forgotten'],
  forgotten: [],
  cancelled: [],
  failed: [],
};

test('in any order of what can happen, the states follow one another as drawn, ends stay ends, and only confirmed or overdue devices are cut off', async () => {
  const act = fc.constantFrom(
    'queue',
    'deliver',
    'acknowledged',
    'error',
    'check-out',
    'overdue',
    'cancel',
    'approve-refused',
    'step',
    'step',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<RetireWay>('unenrol', 'erase'),
      fc.array(act, { maxLength: 10 }),
      async (way, acts) => {
        const handle = await enrolled();
        const { ids } = await ask(way, handle);
        const id = ids[0]!;
        let last = 'open';
        let mayCutOff = false;
        for (const one of [...acts, 'step', 'step', 'step', 'step']) {
          const { command, commandState } = (await getRetirement(console_, id)).retirement;
          const live = commandState === 'queued' || commandState === 'delivered';
          if (one === 'queue' && commandState === null && last === 'open') {
            await owner.query(
              `update fleet.intent set state = 'dispatched' where id = (select intent_id from fleet.retirement where id = $1)`,
              [id],
            );
            await queue(handle);
          } else if (one === 'deliver' && live) await answer(handle, 'delivered');
          else if ((one === 'acknowledged' || one === 'error') && live && last === 'open') {
            await answer(handle, one);
            mayCutOff ||= one === 'acknowledged';
          } else if (one === 'check-out') {
            await owner.query(
              `update fleet.device set state = 'checked_out' where handle = $1 and state = 'enrolled'`,
              [handle],
            );
            mayCutOff = true;
          } else if (one === 'overdue') {
            await owner.query(`update fleet.retirement set not_after = now() - interval '1 second' where id = $1`, [
              id,
            ]);
            mayCutOff = true;
          } else if (one === 'cancel')
            await tx(console_, (t) => cancelRetirement(t, { id, by: BY })).catch((error) =>
              assert.equal(error.code, 'too-late'),
            );
          else if (one === 'approve-refused' && way === 'erase' && commandState === null) {
            await owner.query(
              `update fleet.intent set state = 'refused' where state = 'awaiting-approval' and id = (select intent_id from fleet.retirement where id = $1)`,
              [id],
            );
          } else if (one === 'step') await advanceRetirements(core);
          const { state } = (await getRetirement(console_, id)).retirement;
          assert.ok(state === last || FOLLOWS[last]!.includes(state), `${last} → ${state} after ${one} (${command})`);
          if (state === 'revoked') assert.ok(mayCutOff, 'nobody is cut off without a reason');
          last = state;
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('nothing but the drawn steps can be taken, even by core', async () => {
  for (const from of Object.keys(FOLLOWS))
    for (const to of Object.keys(FOLLOWS)) {
      const call = core.query("select fleet.retire_step(gen_random_uuid(), $1, $2, null, 'core') as done", [from, to]);
      if (FOLLOWS[from]!.includes(to)) assert.equal((await call).rows[0]!['done'], false);
      else await assert.rejects(call, { code: '22023' });
    }
  assert.equal(
    nextStep({ state: 'forgotten', device: 'retired', command: 'acknowledged', intent: 'dispatched', overdue: true }),
    undefined,
  );
});
