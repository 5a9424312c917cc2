import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  advanceRetirements,
  evidenceMarkdown,
  publishCrl,
  renewCertificates,
  requestRetirement,
  retireEvidence,
} from '#fleet';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Renewal of device certificates with phones that help, put off, fail and keep silent; the clock is handed in. And what is
// revoked by it, judged by OpenSSL and strongSwan.
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const keyPool = new KeyPool();

async function renewing(t: TestContext, count: number) {
  const plane: DevicePlane = await devicePlane();
  const line = openLine();
  t.after(async () => {
    line.close();
    await plane.close();
  });
  const clock = { now: Date.now() };
  const offers = await plane.offer(count);
  const phones: { handle: string; phone: Phone }[] = [];
  for (const { device, link } of offers) {
    const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool });
    await phone.enrol(link);
    phones.push({ handle: device, phone });
  }
  const rows = async <T extends object>(sql: string, params: unknown[] = []) =>
    (await plane.core.query<T>(sql, params)).rows;
  return {
    ...{ plane, clock, phones, rows },
    /** The certificates of all devices end in so many days. */
    left: (days: number) =>
      rows('update fleet.device set certificate_not_after = to_timestamp($1::double precision / 1000)', [
        clock.now + days * DAY,
      ]),
    round: () =>
      renewCertificates(plane.core, {
        ...{ signKey: plane.signKey, origin: plane.url, organisation: 'Example Agency', days: 90, now: clock.now },
      }),
    renewal: async (handle: string) =>
      (
        await rows<{ state: string; attempts: number; reason: string | null }>(
          `select r.state, r.attempts, r.reason from fleet.renewal r join fleet.device d on d.id = r.device_id where d.handle = $1`,
          [handle],
        )
      )[0],
    /** Certificates of a device that count, and which of them is pinned. */
    good: async (handle: string) =>
      rows<{ pinned: boolean; sha256: Buffer }>(
        `select c.sha256, c.sha256 = d.certificate_sha256 as pinned from fleet.certificate c join fleet.device d on d.id = c.device_id
         where d.handle = $1 and c.revoked_at is null`,
        [handle],
      ),
    events: async (kind: string) =>
      (
        await rows<{ detail: Record<string, unknown> }>(
          `select body->'unmapped' as detail from log.event where kind = $1 order by seq`,
          [kind],
        )
      ).map(({ detail }) => detail),
  };
}

const held = (phone: Phone) =>
  new X509Certificate(Buffer.from(phone.state.identity!.certificate, 'base64')).fingerprint256
    .replaceAll(':', '')
    .toLowerCase();

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
  await rows(`update fleet.enrolment set identity = 'acme'`);
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

test('what a device would refuse is never sent: own devices, imported ones and ACME say early that they must enrol again', async (t) => {
  const { plane, clock, phones, left, round, rows, renewal, events } = await renewing(t, 4);
  const [own, imported, acme, plain] = phones.map(({ handle }) => handle) as [string, string, string, string];
  const device = '(select id from fleet.device where handle = $1)';
  await plane.owner('insert into fleet.account (hmac) values ($1)', [Buffer.alloc(32, 7)]);
  await plane.owner(`insert into fleet.account_device (device_id, hmac) values (${device}, $2)`, [
    ...[own, Buffer.alloc(32, 7)],
  ]);
  await plane.owner(`update fleet.enrolment set used_at = null where device_id = ${device}`, [imported]);
  await plane.owner(`update fleet.enrolment set identity = 'acme' where device_id = ${device}`, [acme]);
  await left(61);
  await round();
  assert.deepEqual(await events('device.renewal_impossible'), [], 'not before 60 days');
  clock.now += 2 * DAY;
  for (let i = 0; i < 3; i += 1) await round();
  const said = (await events('device.renewal_impossible')).map(({ days, why, next }) => [days, why, next]);
  assert.deepEqual(said.sort(), [
    [60, 'account', 'enrol-again'],
    [60, 'acme', 'enrol-again'],
    [60, 'imported', 'enrol-again'],
  ]);
  for (const [handle, reason] of [
    [own, 'account'],
    [imported, 'imported'],
    [acme, 'acme'],
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

test('the list of revoked certificates: edge hands it out, OpenSSL and strongSwan believe it', async (t) => {
  const { plane, clock, phones, left, round, rows } = await renewing(t, 2);
  const dir = mkdtempSync(join(tmpdir(), 'btz-crl-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string, text: string | Buffer) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const [renewed, revoked] = phones as [(typeof phones)[0], (typeof phones)[0]];
  const pem = (phone: Phone) =>
    new X509Certificate(Buffer.from(phone.state.identity!.certificate, 'base64')).toString();
  const old = file('old.pem', pem(renewed.phone));
  const fetched = async () => {
    const answer = await fetch(`${plane.url}/crl`);
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      der: Buffer.from(await answer.arrayBuffer()),
    };
  };
  assert.equal((await fetched()).status, 404);
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 1);
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 0, 'the same list is not signed again');
  await left(80);
  await round();
  await renewed.phone.poll();
  const lost = file('lost.pem', pem(revoked.phone));
  await plane.console.query('select fleet.revoke_certificates($1, $2, $3)', [
    revoked.handle,
    'amber-otter-4821',
    'keyCompromise',
  ]);
  await assert.rejects(revoked.phone.poll(), { status: 400 });
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 1);
  const { rows: kept } = await plane.core.query<{ der: Buffer }>('select der from fleet.crl');
  const crl = file('crl.der', kept[0]!.der);
  const crlPem = file('crl.pem', '');
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  const ca = file('ca.pem', new X509Certificate(plane.ca.certificate.der).toString());
  openssl('crl', '-inform', 'DER', '-in', crl, '-CAfile', ca, '-out', crlPem);
  const text = openssl('crl', '-in', crlPem, '-noout', '-text', '-CAfile', ca);
  assert.match(text, /CRL Number[\s\S]*?2/);
  assert.match(text, /Superseded/);
  assert.match(text, /Key Compromise/);
  const check = (certificate: string) => {
    try {
      return openssl('verify', '-crl_check', '-x509_strict', '-CAfile', ca, '-CRLfile', crlPem, certificate);
    } catch (error) {
      return String((error as { stderr: Buffer }).stderr);
    }
  };
  assert.match(check(file('new.pem', pem(renewed.phone))), /OK/);
  for (const one of [old, lost]) assert.match(check(one), /certificate revoked/);
  const swan = (certificate: string) => {
    try {
      return execFileSync('pki', ['--verify', '--in', certificate, '--cacert', ca, '--crl', crl], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }).toString();
    } catch (error) {
      const { stdout, stderr } = error as { stdout: Buffer; stderr: Buffer };
      return `${stdout}${stderr}`;
    }
  };
  assert.match(swan(join(dir, 'new.pem')), /certificate trusted, lifetimes valid, certificate not revoked/);
  assert.match(swan(lost), /revoked/);
  assert.match(swan(lost), /key compromise/i);
  // Half of its time later it is signed anew, and what ended by itself is left out.
  await rows(`update fleet.certificate set not_after = now() - interval '1 day' where revoked_at is not null`);
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now + 25 * HOUR), 1);
  assert.deepEqual(await rows('select number, entries from fleet.crl'), [{ number: 3, entries: 0 }]);
});

test('a retirement puts the device’s certificate on the list, OpenSSL sees its serial there, and the evidence names it', async (t) => {
  const { plane, clock, phones } = await renewing(t, 2);
  const { handle, phone } = phones[0]!;
  const serialOf = (one: Phone) =>
    new X509Certificate(Buffer.from(one.state.identity!.certificate, 'base64')).serialNumber;
  const listed = async () => {
    const { rows } = await plane.core.query<{ der: Buffer }>('select der from fleet.crl');
    return execFileSync('openssl', ['crl', '-inform', 'DER', '-noout', '-text'], { input: rows[0]!.der }).toString();
  };
  const serial = serialOf(phone);
  await publishCrl(plane.core, plane.ca, clock.now);
  assert.ok(!(await listed()).includes(serial), 'not before');
  const { ids } = await tx(plane.console, (c) =>
    requestRetirement(c, {
      ...{ devices: [handle], way: 'forget', requester: 'amber-otter-4821', purpose: 'it was broken', now: clock.now },
    }),
  );
  for (let i = 0; i < 4; i += 1) await advanceRetirements(plane.core);
  const before = await retireEvidence(plane.console, ids[0]!);
  assert.equal(before.retirement.state, 'forgotten');
  assert.deepEqual(
    before.revoked.map((one) => [one.serial?.toUpperCase(), one.reason, one.listed]),
    [[serial, 'cessationOfOperation', null]],
  );
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 1);
  const text = await listed();
  assert.ok(text.includes(`Serial Number: ${serial}`), text);
  assert.match(text, /Cessation Of Operation/);
  assert.ok(!text.includes(serialOf(phones[1]!.phone)), 'nobody else’s');
  const after = await retireEvidence(plane.console, ids[0]!);
  assert.deepEqual(
    after.revoked.map((one) => one.listed),
    [2],
  );
  assert.match(evidenceMarkdown(after), new RegExp(`\\| ${serial} \\|.*\\| cessationOfOperation \\| 2 \\|`, 'i'));
  await assert.rejects(phone.poll(), { status: 400 });
});
