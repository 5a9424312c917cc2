import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Phone } from '#sim';
import { DAY, HOUR, held, renewing } from './renewal-stage.ts';

// Renewal of device certificates with phones that help, put off, fail and keep silent; the clock is handed in.

test('a willing phone: due, told, a new key and certificate, the pin moves, the old one is refused', async (t) => {
  const { clock, phones, left, round, renewal, good, events, plane } = await renewing(t, 1);
  const { handle, phone } = phones[0]!;
  await left(91);
  assert.equal(await round(), 0);
  await left(89);
  assert.equal(await round(), 1);
  assert.equal(await round(), 0, 'one command at a time');
  const before = { identity: phone.state.identity!, key: held(phone) };
  await phone.poll();
  assert.notEqual(held(phone), before.key);
  assert.deepEqual(await renewal(handle), { state: 'done', attempts: 1, reason: null });
  const now = await good(handle);
  assert.deepEqual(
    now.map((one) => [one.pinned, one.sha256.toString('hex')]),
    [[true, held(phone)]],
  );
  assert.equal((await events('device.renewed')).length, 1);
  // The phone is managed on with the new one; the old one opens nothing any more, not even with its own UDID.
  assert.equal(await phone.poll(), 0);
  const kept = phone.state.identity;
  phone.state.identity = before.identity;
  await assert.rejects(phone.poll(), { status: 400 });
  await assert.rejects(phone.updateToken(), { status: 400 });
  phone.state.identity = kept;
  assert.equal(await phone.poll(), 0);
  clock.now += DAY;
  assert.equal(await round(), 0, 'nothing is left to do');
  assert.deepEqual(plane.problems, []);
});

test('Error, NotNow, silence and failed SCEP: each is tried again with pauses, counted and told; none is lost', async (t) => {
  const { clock, phones, left, round, renewal, good, rows, events } = await renewing(t, 4);
  const [errs, putsOff, silent, noScep] = phones as [
    (typeof phones)[0],
    (typeof phones)[0],
    (typeof phones)[0],
    (typeof phones)[0],
  ];
  errs.phone.behaviour.error = { times: 2, code: 12_345 };
  putsOff.phone.behaviour.notNow = 40;
  silent.phone.behaviour.offline = true;
  noScep.phone.behaviour.scepFailure = 3;
  await left(80);
  for (let hour = 0; hour < 24 * 6; hour += 1) {
    await round();
    if (hour === 24 * 4) silent.phone.behaviour.offline = false;
    for (const { phone } of phones) await phone.poll();
    clock.now += HOUR;
  }
  const of = async ({ handle }: { handle: string }) => ({
    ...(await renewal(handle)),
    certificates: (await good(handle)).length,
  });
  for (const one of phones) {
    const { state, certificates } = await of(one);
    assert.equal(state, 'done', one.handle);
    assert.equal(certificates, 1);
  }
  assert.equal((await of(errs)).attempts, 3);
  assert.equal((await of(noScep)).attempts, 4);
  assert.ok(((await of(putsOff)).attempts ?? 0) >= 2);
  assert.ok(((await of(silent)).attempts ?? 0) >= 3);
  const reasons = new Set((await events('device.renewal_failed')).map((one) => one['reason']));
  assert.deepEqual(reasons, new Set(['DeviceError', 'NotNow', 'Silence']));
  assert.deepEqual(await rows('select 1 from fleet.command where done_at is null'), []);
});

test('a certificate that was fetched while its answer was lost is accepted when the phone uses it, even after later attempts', async (t) => {
  const { clock, phones, left, round, renewal, good } = await renewing(t, 1);
  const { handle, phone } = phones[0]!;
  await left(50);
  await round();
  // It gets its certificate and then no connection for three days.
  const options = phone.options as { send: Phone['options']['send'] };
  const { send } = options;
  let cut = false;
  options.send = async (method, url, message) => {
    if (cut) throw new Error('no connection');
    const answer = await send(method, url, message);
    if (url.includes('operation=PKIOperation')) cut = true;
    return answer;
  };
  await phone.poll().catch(() => {});
  assert.equal((await renewal(handle))!.state, 'issued');
  for (let hour = 0; hour < 72; hour += 1) {
    await round();
    clock.now += HOUR;
  }
  assert.ok((await renewal(handle))!.attempts >= 2);
  options.send = send;
  await phone.poll();
  assert.equal((await renewal(handle))!.state, 'done');
  assert.deepEqual(
    (await good(handle)).map((one) => [one.pinned, one.sha256.toString('hex')]),
    [[true, held(phone)]],
  );
});

test('a renewed certificate in the hands of another device is not adopted, and the phone’s own goes on', async (t) => {
  const { phones, left, round, good, renewal } = await renewing(t, 2);
  const [victim, thief] = phones as [(typeof phones)[0], (typeof phones)[0]];
  await left(50);
  await round();
  const own = victim.phone.state.identity;
  const options = victim.phone.options as { send: Phone['options']['send'] };
  const { send } = options;
  // The certificate is issued; the victim's phone never hears of it, the thief does.
  options.send = async (method, url, message) => {
    if (!url.includes('/scep') && victim.phone.state.identity !== own) throw new Error('no connection');
    return send(method, url, message);
  };
  await victim.phone.poll().catch(() => {});
  options.send = send;
  const stolen = victim.phone.state.identity;
  victim.phone.state.identity = own;
  thief.phone.state.identity = stolen;
  await assert.rejects(thief.phone.poll(), { status: 400 });
  assert.equal((await renewal(victim.handle))!.state, 'issued');
  await victim.phone.poll();
  assert.equal((await good(victim.handle)).filter((one) => one.pinned).length, 1);
});

test('alarms at 60, 30 and 14 days while a phone keeps silent, each once; it is never given up', async (t) => {
  const { clock, phones, left, round, renewal, events } = await renewing(t, 1);
  phones[0]!.phone.behaviour.offline = true;
  await left(70);
  for (let day = 0; day < 72; day += 0.25) {
    await round();
    clock.now += 6 * HOUR;
  }
  const alarms = await events('device.certificate_expiring');
  assert.deepEqual(
    alarms.map((one) => [one['days'], one['urgent']]),
    [...[60, 30].map((days) => [days, false]), ...[14, 7, 3, 1, 0].map((days) => [days, true])],
  );
  assert.ok(['due', 'sent'].includes((await renewal(phones[0]!.handle))!.state));
});

test('a device whose profile we cannot make anew is not touched, and its end is spoken of', async (t) => {
  const { clock, phones, left, round, rows, events, plane } = await renewing(t, 1);
  await plane.owner('update fleet.enrolment set used_at = null', []);
  await left(70);
  for (let day = 0; day < 60; day += 1) {
    assert.equal(await round(), 0);
    clock.now += DAY;
  }
  assert.deepEqual(
    (await events('device.certificate_expiring')).map((one) => one['days']),
    [60, 30, 14],
  );
  assert.deepEqual(await rows('select 1 from fleet.command'), []);
  await plane.console.query('select fleet.ask_renewal($1, $2)', [phones[0]!.handle, 'amber-otter-4821']);
  await round();
  assert.deepEqual(await rows('select 1 from fleet.command'), []);
});

test('asked for by hand; a phone that checks out stops it, and all its certificates are revoked', async (t) => {
  const { plane, clock, phones, round, renewal, good, rows } = await renewing(t, 2);
  const [one, two] = phones as [(typeof phones)[0], (typeof phones)[0]];
  for (const { handle } of phones) {
    const { rows: asked } = await plane.console.query<{ asked: boolean }>('select fleet.ask_renewal($1, $2) as asked', [
      ...[handle, 'amber-otter-4821'],
    ]);
    assert.equal(asked[0]!.asked, true);
  }
  clock.now = Date.now() + 1_000;
  assert.equal(await round(), 2);
  await one.phone.poll();
  assert.equal((await renewal(one.handle))!.state, 'done');
  await two.phone.removeManagement();
  assert.equal((await renewal(two.handle))!.state, 'stopped');
  assert.deepEqual(await good(two.handle), []);
  assert.deepEqual(
    await rows(`select reason from fleet.certificate c join fleet.device d on d.id = c.device_id where d.handle = $1`, [
      two.handle,
    ]),
    [{ reason: 'cessationOfOperation' }],
  );
  const { rows: asked } = await plane.console.query<{ asked: boolean }>('select fleet.ask_renewal($1, $2) as asked', [
    ...[two.handle, 'amber-otter-4821'],
  ]);
  assert.equal(asked[0]!.asked, false);
});

test('what a device would refuse is never sent: own devices and imported ones say early that they must enrol again', async (t) => {
  const { plane, clock, phones, left, round, rows, renewal, events } = await renewing(t, 3);
  const [own, imported, plain] = phones.map(({ handle }) => handle) as [string, string, string];
  const device = '(select id from fleet.device where handle = $1)';
  await plane.owner('insert into fleet.account (hmac) values ($1)', [Buffer.alloc(32, 7)]);
  await plane.owner(`insert into fleet.account_device (device_id, hmac) values (${device}, $2)`, [
    ...[own, Buffer.alloc(32, 7)],
  ]);
  await plane.owner(`update fleet.enrolment set used_at = null where device_id = ${device}`, [imported]);
  await left(61);
  await round();
  assert.deepEqual(await events('device.renewal_impossible'), [], 'not before 60 days');
  clock.now += 2 * DAY;
  for (let i = 0; i < 3; i += 1) await round();
  const said = (await events('device.renewal_impossible')).map(({ days, why, next }) => [days, why, next]);
  assert.deepEqual(said.sort(), [
    [60, 'account', 'enrol-again'],
    [60, 'imported', 'enrol-again'],
  ]);
  for (const [handle, reason] of [
    [own, 'account'],
    [imported, 'imported'],
  ] as const) {
    assert.deepEqual(await renewal(handle), { state: 'due', attempts: 0, reason });
    const asked = await plane.console.query('select fleet.ask_renewal($1, $2) as asked', [handle, 'amber-otter-4821']);
    assert.deepEqual(asked.rows, [{ asked: false }]);
  }
  await round();
  const sent = await rows<{ handle: string }>(
    `select d.handle from fleet.command c join fleet.device d on d.id = c.device_id where c.request_type = 'InstallProfile'`,
  );
  assert.deepEqual(sent, [{ handle: plain }], 'the one that can be renewed is');
});
