import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { accountCounts, getDevice, stateIntent } from '#fleet';
import {
  DeviceAuthority,
  enrolAccount,
  Hunter,
  IdentityProvider,
  type IdpFault,
  inventPeople,
  KeyPool,
  newPhone,
  openLine,
  ownersDeviceName,
  Phone,
  plainWebView,
} from '#sim';
import { tx } from '#store';
import { launch } from '../flows/browser-person.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const HOLDER = 'coral-heron-1234';
const keys = new KeyPool();
const line = openLine();
const authority = new DeviceAuthority();
const idp = new IdentityProvider();
const [ada, bo] = inventPeople(2);
const account = ada!.email;
let plane: DevicePlane;
before(async () => {
  const issuer = await idp.start();
  idp.users.push(
    { email: account, password: 'right', sub: 'u1', handle: HOLDER },
    { email: bo!.email, password: 'right', sub: 'u2' },
  );
  plane = await devicePlane({
    account: {
      ...{ issuer, clientId: idp.client.id, clientSecret: idp.client.secret, scopes: 'openid email' },
      ...{ accountClaim: 'email', handleClaim: 'bartizan_handle' },
    },
  });
  idp.client.redirect = `${plane.url}/account/signed-in`;
});
after(async () => {
  line.close();
  idp.close();
  await plane.close();
});

const newOne = () =>
  new Phone(newPhone({ deviceName: ownersDeviceName(ada!), phoneNumber: ada!.mobile }), {
    send: line.send,
    keyPool: keys,
  });
const options = (phone: Phone, signIn = plainWebView(account, 'right')) => ({
  ...{ domain: plane.url, account, signIn },
  identity: authority.identity(phone.state.udid),
});
const deviceOf = async (phone: Phone) => {
  const id = phone.state.enrolment!.enrollmentId!;
  return (await plane.owner<{ handle: string }>('select handle from fleet.device where udid = $1', [id]))[0]!.handle;
};

test('a holder signs in and the phone is managed as personal: no identifier of it, no erase, its account kept nowhere', async () => {
  const phone = newOne();
  const token = await enrolAccount(phone, options(phone));
  assert.notEqual(phone.state.enrolment?.enrollmentId, undefined);
  const device = await deviceOf(phone);
  const { device: row } = await getDevice(plane.console, device);
  assert.deepEqual([row.state, row.ownership, row.holder, row.serial], ['enrolled', 'personal', HOLDER, null]);
  await plane.order('SecurityInfo', [device]);
  assert.equal(await phone.poll(), 1);
  const erase = tx(plane.console, (t) =>
    stateIntent(t, {
      ...{ verb: 'EraseDevice', devices: [device], params: {}, requester: 'amber-otter-4821' },
      ...{ purpose: 'a test of phones', now: Date.now() },
    }),
  );
  await assert.rejects(erase, { code: 'personal-device' });
  assert.deepEqual(idp.hints, [account], 'the identity provider may know it');
  const tables = await plane.owner<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname !~ '^(pg_|information_schema)'`,
    [],
  );
  const text = [];
  for (const { name } of tables)
    text.push(
      ...(await plane.owner<{ row: string }>(`select row_to_json(x)::text as row from ${name} x`, [])).map(
        ({ row }) => row,
      ),
    );
  assert.ok(text.length > 50);
  const planted = [account, phone.state.udid, phone.state.serial, token];
  assert.deepEqual(new Hunter(planted).search(Buffer.from(text.join('\n'))), []);
  assert.deepEqual(plane.problems, []);
});

test('a token gives one profile; a made-up one, one of a cut-off sign-in and none give none', async () => {
  const phone = newOne();
  const token = await enrolAccount(phone, options(phone));
  const again = async (authorization?: string) =>
    (
      await line.send('POST', `${plane.url}/account`, {
        body: Buffer.from('<?xml version="1.0"?><plist version="1.0"><dict></dict></plist>'),
        ...(authorization === undefined ? {} : { headers: { authorization } }),
      })
    ).status;
  assert.equal(await again(`Bearer ${token}`), 403);
  assert.equal(await again(`Bearer ${token.slice(0, -4)}AAAA`), 403);
  assert.equal(await again(), 401);
  assert.equal((await line.send('POST', `${plane.url}/account`, { body: Buffer.from('junk') })).status, 400);
});

test('two phones of one person are known to be of one person, of another not', async () => {
  const other = newOne();
  await enrolAccount(other, { ...options(other, plainWebView(bo!.email, 'right')), account: bo!.email });
  const rows = await plane.owner<{ n: number }>(
    'select count(*)::int as n from fleet.account_device group by hmac order by n',
    [],
  );
  assert.deepEqual(rows, [{ n: 1 }, { n: 2 }]);
  const { people, devices } = await accountCounts(plane.console);
  assert.deepEqual([people, devices], [2, 3], 'the console counts, and learns no more');
  assert.equal(
    (await getDevice(plane.console, await deviceOf(other))).device.holder,
    null,
    'the provider knew no handle',
  );
});

for (const fault of [
  ...(['nonce', 'audience', 'issuer', 'expired', 'foreign-key', 'no-signature', 'unverified-email'] as const),
] satisfies IdpFault[]) {
  test(`an identity token with a fault is refused: ${fault}`, async () => {
    idp.fault = fault;
    const phone = newOne();
    await assert.rejects(enrolAccount(phone, options(phone)), { status: 403 });
    assert.equal(phone.enrolled, false);
    idp.fault = undefined;
  });
}

test('a wrong password, another browser’s answer and a replayed one end nowhere; new keys of the provider are found', async () => {
  const phone = newOne();
  await assert.rejects(enrolAccount(phone, options(phone, plainWebView(account, 'wrong'))), { status: 403 });
  const stolen = await fetch(`${plane.url}/account/sign-in`, { redirect: 'manual' });
  const state = new URL(stolen.headers.get('location')!).searchParams.get('state')!;
  const answer = await fetch(`${plane.url}/account/signed-in?code=x&state=${state}`, { redirect: 'manual' });
  assert.equal(answer.status, 403, 'the browser that began it holds a cookie');
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  idp.rotate('second');
  await enrolAccount(phone, options(phone));
  assert.equal(phone.enrolled, true);
});

test('the same in Chromium, as the device’s web view', {
  skip: existsSync(process.env['CHROMIUM'] ?? '/usr/bin/chromium') ? false : 'no Chromium on this machine',
}, async (t) => {
  const chrome = await launch();
  t.after(() => chrome.close());
  const page = await chrome.newPage();
  const phone = newOne();
  const signIn = async (url: string) => {
    const ended = new Promise<string>((resolve) => {
      page.on('response', (response) => {
        if (response.status() === 308) resolve(response.headers()['location'] ?? '');
      });
    });
    await page.goto(url);
    assert.equal(new URL(page.url()).origin, idp.issuer);
    assert.equal(await page.getByLabel('Account').inputValue(), account);
    await page.getByLabel('Password').fill('right');
    // The last address is the device's own and not the browser's to open.
    await page.getByRole('button', { name: 'Sign in' }).click({ noWaitAfter: true });
    return ended;
  };
  await enrolAccount(phone, options(phone, signIn));
  assert.equal((await getDevice(plane.console, await deviceOf(phone))).device.ownership, 'personal');
});

test('a kind of device that is the organisation’s enrols whole by account, with its identifiers and a holder', async () => {
  const { issuer } = idp;
  const other = await devicePlane({
    account: {
      ...{ issuer, clientId: idp.client.id, clientSecret: idp.client.secret, scopes: 'openid email' },
      ...{ accountClaim: 'email', handleClaim: 'bartizan_handle', deviceEnrolment: ['iPad'] },
    },
  });
  idp.client.redirect = `${other.url}/account/signed-in`;
  try {
    const make = (kind: 'iPad' | 'iPhone') =>
      new Phone(newPhone({ deviceName: ownersDeviceName(ada!), kind }), { send: line.send, keyPool: keys });
    const [pad, phone] = [make('iPad'), make('iPhone')];
    const as = (one: Phone) => ({ ...options(one), domain: other.url });
    await assert.rejects(enrolAccount(phone, { ...as(phone), kind: 'mdm-adde' }), /another enrolment/);
    await enrolAccount(pad, { ...as(pad), kind: 'mdm-adde' });
    await enrolAccount(phone, as(phone));
    assert.equal(pad.state.enrolment!.enrollmentId, undefined);
    const rows = await other.owner<{ handle: string; ownership: string; serial: string | null; holder: string }>(
      'select handle, ownership, serial, holder from fleet.device order by ownership',
      [],
    );
    assert.deepEqual(
      rows.map(({ ownership, serial, holder }) => [ownership, serial, holder]),
      [
        ['organisation', pad.state.serial, HOLDER],
        ['personal', null, HOLDER],
      ],
    );
    await other.order('DeviceInformation', [rows[0]!.handle]);
    assert.equal(await pad.poll(), 1);
    assert.deepEqual(other.problems, []);
  } finally {
    await other.close();
    idp.client.redirect = `${plane.url}/account/signed-in`;
  }
  // Where no kind of device is the organisation's, the address leads nowhere.
  const body = Buffer.from('<?xml version="1.0"?><plist version="1.0"><dict></dict></plist>');
  assert.equal((await line.send('POST', `${plane.url}/account/device`, { body })).status, 404);
});
