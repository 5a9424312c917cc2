import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  Ade,
  AdeFiles,
  type AdePolicy,
  adeState,
  askAde,
  expectHolders,
  getDevice,
  giveHolder,
  markPersonal,
  readAdePolicy,
  readHolderList,
  releaseSetups,
} from '#fleet';
import { DepService, DeviceAuthority, KeyPool, newPhone, openLine, Phone, setUp } from '#sim';
import { fromPem, toPem } from '#wire';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const BY = 'amber-otter-4821';
const keys = new KeyPool();
const line = openLine();
const apple = new DepService();
const authority = new DeviceAuthority();
const pem = toPem('CERTIFICATE', authority.certificate.der);
let plane: DevicePlane;
let dir: string;
let ade: Ade;
before(async () => {
  plane = await devicePlane();
  dir = mkdtempSync(join(tmpdir(), 'btz-ade-'));
  writeFileSync(join(dir, 'ade-endpoint'), await apple.start());
  ade = fresh();
});
after(async () => {
  line.close();
  apple.close();
  await plane.close();
  rmSync(dir, { recursive: true, force: true });
});

/** As after a restart of core. */
const fresh = () =>
  new Ade({
    ...{ pool: plane.core, files: new AdeFiles(dir), now: Date.now },
    where: { edge: plane.url, organisation: 'Example Agency' },
  });
/** Lets core work until nothing is left to do now. */
async function settle(): Promise<void> {
  for (let steps = 0; (await ade.step()) > 0; steps += 1) assert.ok(steps < 60, 'it never comes to rest');
}
const policy = (change: Partial<AdePolicy> = {}) =>
  askAde(plane.console, BY, { what: 'policy', policy: readAdePolicy({ autoAssign: true, deviceCas: pem, ...change }) });
const again = () => askAde(plane.console, BY, { what: 'sync' });
const events = async (kind: string) =>
  (
    await plane.core.query<{ body: { unmapped: Record<string, unknown> } }>(
      'select body from log.event where kind = $1',
      [kind],
    )
  ).rows.map(({ body }) => body.unmapped);
const boxed = (phone: Phone) => ({ serial_number: phone.state.serial, model: 'iPhone 15', device_family: 'iPhone' });
const newOne = () => new Phone(newPhone({ deviceName: 'Fresh iPhone' }), { send: line.send, keyPool: keys });

test('the key is made, a token for another key is refused, the right one is taken and kept as a secret', async () => {
  await askAde(plane.console, BY, { what: 'key' });
  await settle();
  const { certificate } = await adeState(plane.console);
  const other = new DeviceAuthority().certificate;
  await askAde(plane.console, BY, { what: 'token', upload: apple.token(Buffer.from(other.der)) });
  await settle();
  assert.equal(((await adeState(plane.console)) as { problem?: string }).problem, 'ade-token');
  await askAde(plane.console, BY, { what: 'token', upload: apple.token(fromPem(certificate!), 20) });
  await policy();
  await settle();
  const state = (await adeState(plane.console)) as unknown as Record<string, unknown>;
  assert.deepEqual([state['orgName'], state['problem'], state['total']], ['Example Agency', null, 0]);
  assert.equal(statSync(join(dir, 'ade-token.json')).mode & 0o777, 0o600);
  assert.deepEqual(
    (await events('ade.token_expiring')).map((one) => one['days']),
    [30],
  );
});

test('bought devices arrive page by page, get the profile, and follow what Apple says, across restarts', async () => {
  const many = Array.from({ length: 1203 }, (_, i) => ({
    serial_number: `SER${i}X`,
    model: 'iPad',
    device_family: 'iPad',
  }));
  apple.buy(...many);
  await again();
  await settle();
  const first = await adeState(plane.console);
  assert.deepEqual([first.total, first.assigned], [1203, 1203]);
  assert.equal(apple.device('SER7X')?.profile_status, 'assigned');
  const profile = [...apple.profiles.values()].at(-1)!;
  assert.equal(profile['url'], `${plane.url}/ade`);
  assert.equal(profile['await_device_configured'], true);
  assert.ok(!JSON.stringify(profile).includes('support'), 'no contact of a person');
  ade = fresh();
  apple.release('SER7X');
  await again();
  await settle();
  assert.equal((await adeState(plane.console)).total, 1202);
  assert.ok(apple.sessions > 2, 'sessions ended and were made anew');
  const { rows } = await plane.core.query<{ text: string }>(
    `select row_to_json(a)::text as text from fleet.ade_device a union all select row_to_json(e)::text from log.event e
     union all select row_to_json(s)::text from fleet.ade_server s`,
  );
  assert.ok(!rows.some(({ text }) => /purchaser|Ada’s/.test(text)), 'who bought a device is kept nowhere');
});

test('an expired cursor means to fetch all anew; what vanished meanwhile is noticed', async () => {
  apple.release('SER8X');
  apple.expireCursors();
  await again();
  await settle();
  assert.equal((await adeState(plane.console)).total, 1201);
  const { rows } = await plane.core.query<{ state: string }>(`select state from fleet.device where serial = 'SER8X'`);
  assert.equal(rows[0]?.state, 'retired');
});

test('throttling and unsigned terms postpone, say why once, and end by themselves', async () => {
  apple.faults.set('/devices/sync', { times: 1, status: 429, headers: { 'retry-after': '120' } });
  await again();
  await settle();
  const state = (await adeState(plane.console)) as unknown as { problem: string; nextAt: Date };
  assert.equal(state.problem, 'throttled');
  assert.ok(state.nextAt.getTime() - Date.now() > 100_000);
  apple.faults.set('/devices/sync', { times: 2, status: 403, body: 'T_C_NOT_SIGNED' });
  await again();
  await settle();
  assert.equal(((await adeState(plane.console)) as unknown as { problem: string }).problem, 't_c_not_signed');
  apple.faults.clear();
  await again();
  await settle();
  assert.equal(((await adeState(plane.console)) as unknown as { problem: string | null }).problem, null);
});

for (const byQuery of [false, true]) {
  test(`an assigned phone sets itself up (${byQuery ? '?deviceinfo=' : 'POST'}) and keeps its handle when it is set up again`, async () => {
    const phone = newOne();
    apple.buy(boxed(phone));
    await again();
    await settle();
    const device = (await adeState(plane.console, 5000)).devices.find(
      (one) => one.serial === phone.state.serial,
    )!.device;
    const identity = authority.identity(phone.state.udid);
    await setUp(phone, `${plane.url}/ade`, { identity, byQuery });
    assert.equal((await getDevice(plane.console, device)).device.state, 'enrolled');
    await plane.order('SecurityInfo', [device]);
    assert.equal(await phone.poll(), 1);
    await setUp(phone, `${plane.url}/ade`, { identity, byQuery });
    assert.equal((await getDevice(plane.console, device)).device.state, 'enrolled');
    assert.equal(await phone.poll(), 0);
    assert.deepEqual(plane.problems, []);
  });
}

test('who is not ours, not Apple’s or too old gets no profile', async () => {
  const phone = newOne();
  const identity = authority.identity(phone.state.udid);
  const ask = (use = identity, canUpdate = true) => setUp(phone, `${plane.url}/ade`, { identity: use, canUpdate });
  await assert.rejects(ask(), { status: 403, message: /unrecognized/ });
  apple.buy(boxed(phone));
  await again();
  await settle();
  await assert.rejects(ask(new DeviceAuthority().identity(phone.state.udid)), { status: 403, message: /unrecognized/ });
  await policy({ minimumOs: '18.2' });
  await assert.rejects(ask(), { status: 403, message: /com\.apple\.softwareupdate\.required.*18\.2/ });
  await policy({ deviceCas: '' });
  await assert.rejects(ask(), { status: 403 });
  await policy({ deviceCas: '', unverified: 'accept' });
  await ask();
  assert.ok((await events('device.finding')).some((one) => JSON.stringify(one).includes('ade-signature-not-verified')));
  await assert.rejects(
    line.send('POST', `${plane.url}/ade`, { body: Buffer.from('junk') }).then((answer) => {
      if (answer.status !== 200) throw Object.assign(new Error(), { status: answer.status });
    }),
    { status: 400 },
  );
  await policy();
});

test('a phone that waits in Setup Assistant is let go on: after what it must get, or when its time is up', async () => {
  const phone = newOne();
  apple.buy(boxed(phone));
  await again();
  await settle();
  const device = (await adeState(plane.console, 5000)).devices.find((one) => one.serial === phone.state.serial)!.device;
  phone.state.awaitingConfiguration = true;
  await setUp(phone, `${plane.url}/ade`, { identity: authority.identity(phone.state.udid) });
  const waits = async () =>
    (await plane.core.query('select awaiting_since from fleet.device where handle = $1', [device])).rows[0]
      ?.awaiting_since;
  assert.ok(await waits(), 'the phone said that it waits');
  assert.equal(await releaseSetups(plane.core), 0, 'others get a moment to queue what it needs');
  await plane.order('SecurityInfo', [device]);
  const now = { calmMs: 0, longestMs: 60_000 };
  assert.equal(await releaseSetups(plane.core, now), 0, 'something is still to be done');
  assert.equal(await releaseSetups(plane.core, { calmMs: 0, longestMs: 0 }), 1, 'but not for ever');
  assert.equal(await releaseSetups(plane.core, { calmMs: 0, longestMs: 0 }), 0, 'once is enough');
  await plane.dispatch();
  assert.equal(await phone.poll(), 2);
  assert.equal(phone.state.awaitingConfiguration, false);
  assert.equal(await releaseSetups(plane.core, now), 0);
  assert.equal(await waits(), null);
});

test('a device has the holder that somebody named: before Apple knew it, before it enrolled, after; and keeps it', async () => {
  const [first, second] = [newOne(), newOne()];
  const list = readHolderList(
    `serial,handle\n${first.state.serial},coral-heron-1234\n${second.state.serial.toLowerCase()};amber-otter-4821\nx y,amber-otter-4821\nABC,Jane Doe\n`,
  );
  assert.deepEqual(
    list.refused.map(({ line }) => line),
    [4, 5],
  );
  const done = await expectHolders(plane.console, { named: list.named, by: BY });
  assert.deepEqual(done, { given: 0, same: 0, waits: 2, own: [] });
  assert.equal((await adeState(plane.console)).expected, 2);
  apple.buy(boxed(first), boxed(second));
  await again();
  await settle();
  const state = await adeState(plane.console, 5000);
  assert.equal(state.expected, 0);
  const of = (phone: Phone) => state.devices.find(({ serial }) => serial === phone.state.serial)!;
  assert.deepEqual([of(first).holder, of(second).holder], ['coral-heron-1234', 'amber-otter-4821']);
  const { device } = of(first);
  const holder = async () => (await getDevice(plane.console, device)).device.holder;
  await setUp(first, `${plane.url}/ade`, { identity: authority.identity(first.state.udid) });
  assert.equal(await holder(), 'coral-heron-1234');
  await giveHolder(plane.console, { device, holder: 'brisk-heron-1234', by: BY });
  await setUp(first, `${plane.url}/ade`, { identity: authority.identity(first.state.udid) });
  assert.equal(await holder(), 'brisk-heron-1234', 'set up again it is still theirs');
  const again2 = await expectHolders(plane.console, { named: list.named, by: BY });
  assert.deepEqual(again2, { given: 1, same: 1, waits: 0, own: [] });
  await giveHolder(plane.console, { device, holder: null, by: BY });
  assert.equal(await holder(), null);
  await giveHolder(plane.console, { device, holder: 'coral-heron-1234', by: BY });
  await markPersonal(plane.console, { device, by: BY });
  const other = giveHolder(plane.console, { device, holder: 'brisk-heron-1234', by: BY });
  await assert.rejects(other, { code: 'personal-device' });
  assert.deepEqual(
    (await expectHolders(plane.console, { named: [{ ...list.named[0]!, holder: 'brisk-heron-1234' }], by: BY })).own,
    [first.state.serial],
  );
  await assert.rejects(giveHolder(plane.console, { device: 'nobody-there-1000', holder: null, by: BY }), {
    status: 404,
  });
  const { rows } = await plane.core.query(
    `select from log.event where kind = 'device.holder_given' and subject = 'brisk-heron-1234'`,
  );
  assert.equal(rows.length, 1);
});
