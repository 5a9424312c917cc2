import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { newToken, sha256 } from '#base';
import {
  advanceRollouts,
  askRollout,
  assignApp,
  beginPackage,
  executeApproved,
  finishPackage,
  listApps,
  listPackages,
  listRollouts,
  listVersions,
  PART_BYTES,
  putPackagePart,
  type RolloutDoors,
  readPackage,
  refuseApproved,
  removePackage,
  saveApp,
  sendApps,
  signPackages,
  startRollout,
} from '#fleet';
import { type CommandSet, signPermit } from '#seal';
import { KeyPool, newPhone, openLine, Phone, type Send } from '#sim';
import { tx } from '#store';
import { type IpaOptions, makeIpa } from './ipa.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// Apps of our own: handed in, agreed to, signed, rolled out in rings, fetched and checked by simulated phones.
const ME = 'amber-otter-4821';
const OTHER = 'brisk-heron-1234';
const HOUR = 3_600_000;
const APP = 'org.example.field';
const PLAN = [
  // A share of next to nothing: with 10 % of six devices by chance three stood in it, one time in sixty.
  { percent: 0.001, atLeast: 2, soakHours: 24 },
  { percent: 100, atLeast: 0, soakHours: 1 },
];
const line = openLine({ sockets: 4 });
/** Changes one byte of every package on its way. */
let spoil = false;
const send: Send = async (method, url, message) => {
  const answer = await line.send(method, url, message);
  if (spoil && url.endsWith('/package.ipa')) answer.body[answer.body.length >> 1]! ^= 1;
  return answer;
};
const phones = new Map<string, Phone>();
let plane: DevicePlane;
let doors: RolloutDoors;
let group = '';
let clock = Date.now();
/** What two people must sign. */
const asked: CommandSet[] = [];

before(async () => {
  plane = await devicePlane({ downloads: { atOnce: 2, bytesPerSecond: 64 * PART_BYTES } });
  const requestApproval = async (_t: unknown, document: CommandSet) => void asked.push(document);
  doors = { requestApproval, now: () => clock, origin: plane.url };
  const keys = new KeyPool();
  for (const { device, link } of await plane.offer(6)) {
    const phone = new Phone(newPhone({ deviceName: 'Pool phone' }), { send, keyPool: keys });
    await phone.enrol(link);
    phones.set(device, phone);
  }
  const { rows } = await plane.console.query<{ id: string }>(
    `insert into fleet.device_group (id, name, filter, created_by) values (gen_random_uuid(), 'Pool', '{"all":[]}', $1) returning id`,
    [ME],
  );
  group = rows[0]!.id;
  await plane.core.query(
    `select fleet.set_group_members($1, 1, array(select id from fleet.device where handle = any($2)), null)`,
    [group, [...phones.keys()]],
  );
});
after(async () => {
  line.close();
  await plane.close();
});

async function handIn(ipa: Buffer, by = ME) {
  const id = await tx(plane.console, (t) => beginPackage(t, { size: ipa.length, by }));
  for (let n = 0; n * PART_BYTES < ipa.length; n += 1) {
    const bytes = ipa.subarray(n * PART_BYTES, (n + 1) * PART_BYTES);
    await putPackagePart(plane.console, { id, n, bytes, by });
  }
  return finishPackage(plane.console, { id, by });
}
/** Two people agree to all that was asked for; the test plays the ledger. */
async function agree(): Promise<void> {
  for (const document of asked.splice(0)) {
    const { id: approval, verb } = document;
    const permits = document.commands.map(({ device, uuid, body }) =>
      signPermit(plane.ledgerKey, { v: 1, device, uuid, body, verb, approval, notAfter: Date.now() + HOUR }),
    );
    await tx(plane.core, (t) => executeApproved(t, { approval, permits, signKey: plane.signKey }));
  }
}
/** Handed in and signed by core; its newest version. */
async function ready(options: IpaOptions) {
  const ipa = makeIpa(options);
  const given = await handIn(ipa);
  while ((await signPackages(plane.core, plane.signKey)) > 0);
  const [version] = await listVersions(plane.console, given.app);
  return { ...given, ipa, versionId: version!.id, hash: createHash('sha256').update(ipa).digest('hex') };
}
const start = (app: string, version: string) =>
  tx(plane.console, (t) =>
    startRollout(t, { kind: 'app', subject: app, version, plan: PLAN, by: ME, purpose: 'a test of rings' }),
  );
const rolloutOf = async (id: string) => (await listRollouts(plane.console)).find((one) => one.id === id)!;
const having = (hash: string) =>
  [...phones.values()].filter(({ state }) =>
    state.extras?.apps.some((app) => app.sha256 === hash && app.status === 'Managed'),
  ).length;
const statuses = () =>
  [...phones.values()].map(({ state }) => state.extras?.apps.find(({ identifier }) => identifier === APP)?.status);
async function round(hours = 0): Promise<void> {
  clock += hours * HOUR;
  for (let times = 0; times < 2; times += 1) {
    await advanceRollouts(plane.core, doors);
    await sendApps(plane.core, doors);
    await agree();
    while ((await plane.dispatch()) > 0);
    for (const phone of phones.values()) await phone.poll();
    await advanceRollouts(plane.core, doors);
  }
}
const events = async (kind: string) =>
  (await plane.core.query('select from log.event where kind = $1', [kind])).rows.length;

const read = (ipa: Buffer) => readPackage(async (n) => ipa.subarray(n * PART_BYTES, (n + 1) * PART_BYTES), ipa.length);

test('what an archive says is read whether its list is binary or XML, and over the edges of its parts', async () => {
  for (const xml of [false, true]) {
    const ipa = makeIpa({ xml, bytes: 2 * PART_BYTES + 17, name: '  Field \n notes ' });
    const facts = await read(ipa);
    assert.deepEqual(
      [facts.identifier, facts.name, facts.version, facts.build, facts.minimumOs],
      [APP, 'Field notes', '1.2', '345', '16.0'],
    );
    assert.equal(facts.sha256.toString('hex'), createHash('sha256').update(ipa).digest('hex'));
    assert.equal(facts.partHashes.length, 3 * 32);
  }
  await read(makeIpa({ comment: 'a comment of the archive' }));
});

test('an archive that is not an app package is refused and says why', async () => {
  const whole = makeIpa();
  const spoilt = (at: number, xor = 0xff) => {
    const copy = Buffer.from(whole);
    copy[at]! ^= xor;
    return copy;
  };
  const directory = whole.lastIndexOf(Buffer.from([0x50, 0x4b, 1, 2]));
  const first = whole.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
  const info = whole.indexOf('Info.plist') + 'Info.plist'.length + 40;
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['no archive', randomBytes(5000), /no ZIP archive/],
    ['one that is cut off', whole.subarray(0, whole.length - 30), /no ZIP archive/],
    ['one with something before it', Buffer.concat([randomBytes(9), whole]), /not where it should be/],
    ['a damaged Info.plist', spoilt(info), /unpack|damaged/],
    ['an encrypted one', spoilt(first + 8, 1), /encrypted/],
    ['an odd compression', spoilt(first + 10, 4), /unknown way/],
    ['a damaged list', spoilt(directory), /list of files/],
    ['no app', makeIpa({ info: 'Field.app/Info.plist' }), /exactly one app/],
    ['two apps', makeIpa({ more: { 'Payload/Other.app/Info.plist': '' } }), /exactly one app/],
    ['a name that leads elsewhere', makeIpa({ more: { 'Payload/../../x': '' } }), /leads elsewhere/],
    ['another system', makeIpa({ platforms: ['MacOSX'] }), /another system/],
    ['an odd identifier', makeIpa({ identifier: 'a b<c' }), /bundle identifier/],
    ['an odd version', makeIpa({ version: '' }), /CFBundleShortVersionString/],
  ];
  for (const [what, ipa, why] of cases)
    await assert.rejects(read(ipa), { code: 'bad-package', message: why }, `${what} must be refused`);
  await assert.rejects(handIn(randomBytes(5000)), { code: 'bad-package' });
  const left = await plane.owner<{ n: number }>('select count(*)::int as n from fleet.package', []);
  assert.equal(left[0]!.n, 0, 'what cannot be used is thrown away');
});

test('an upload is one’s own, whole and bounded', async () => {
  const ipa = makeIpa({ bytes: PART_BYTES });
  await assert.rejects(
    tx(plane.console, (t) => beginPackage(t, { size: 513 * PART_BYTES, by: ME })),
    { status: 413 },
  );
  const id = await tx(plane.console, (t) => beginPackage(t, { size: ipa.length, by: ME }));
  const part = (n: number, bytes: Uint8Array, by = ME) => putPackagePart(plane.console, { id, n, bytes, by });
  await assert.rejects(part(0, ipa.subarray(0, 10)), { code: 'bad-package' });
  await assert.rejects(part(2, ipa.subarray(0, 10)), { code: 'bad-package' });
  await assert.rejects(part(0, ipa.subarray(0, PART_BYTES), OTHER), { code: 'bad-package' });
  await part(0, ipa.subarray(0, PART_BYTES));
  await assert.rejects(finishPackage(plane.console, { id, by: ME }), { code: 'bad-package', message: /missing/ });
  for (let n = 0; n < 4; n += 1) await tx(plane.console, (t) => beginPackage(t, { size: 100, by: ME }));
  await assert.rejects(
    tx(plane.console, (t) => beginPackage(t, { size: 100, by: ME })),
    { status: 429 },
  );
  await plane.asOwner('delete from fleet.package', []);
});

test('a package goes to a few, soaks, and then to all, each byte checked; assigning alone sends nothing', async () => {
  const ipa = makeIpa({ bytes: 2 * PART_BYTES + 99 });
  const given = await handIn(ipa);
  assert.deepEqual([given.identifier, given.version], [APP, '1.2']);
  assert.equal((await handIn(ipa)).package, given.package, 'the same bytes are kept once');
  const [version] = await listVersions(plane.console, given.app);
  await tx(plane.console, (t) => assignApp(t, { app: given.app, group, by: ME }));
  await assert.rejects(start(given.app, version!.id), { code: 'unknown-app' });
  assert.equal(await signPackages(plane.core, plane.signKey), 1);
  await round();
  assert.deepEqual(new Set(statuses()), new Set([undefined]), 'nothing was sent yet');
  const rollout = await start(given.app, version!.id);
  await advanceRollouts(plane.core, doors);
  assert.deepEqual(
    asked.map(({ verb, purpose, commands }) => [verb, purpose, commands.length]),
    [['InstallApplication', `rollout of version 1 of ${APP}`, 2]],
    'two people must agree to the ring',
  );
  assert.equal((await rolloutOf(rollout)).facts.ok, 0);
  const hash = createHash('sha256').update(ipa).digest('hex');
  await round();
  assert.equal(having(hash), 2);
  let now = await rolloutOf(rollout);
  assert.deepEqual([now.kind, now.name, now.facts.ok, now.ring], ['app', 'Field notes', 2, 0]);
  assert.ok(now.soakUntil !== null, 'the devices said that it is there');
  await round(23);
  assert.equal(having(hash), 2, 'the soak is not over');
  await round(2);
  await round();
  assert.equal(having(hash), 6);
  await round(2);
  now = await rolloutOf(rollout);
  assert.deepEqual([now.state, now.facts.ok, now.facts.failed], ['done', 6, 0]);
  const installs = [...phones.values()].flatMap(({ state }) => Object.values(state.executed));
  assert.equal(installs.filter(({ requestType }) => requestType === 'InstallApplication').length, 6, 'once each');
  assert.deepEqual(plane.problems, []);
});

test('a new configuration goes out by a rollout too; the package stays', async () => {
  const [app] = (await listApps(plane.console)).apps;
  await tx(plane.console, (t) =>
    saveApp(t, { identifier: APP, name: 'Field notes', configuration: { server: 'https://a.example' }, by: ME }),
  );
  await round();
  const configured = () =>
    [...phones.values()].filter(({ state }) => state.extras!.apps.at(-1)!.configuration !== null);
  assert.equal(configured().length, 0);
  const [version] = await listVersions(plane.console, app!.id);
  assert.deepEqual([version!.number, version!.version, version!.configured], [2, '1.2', true]);
  await start(app!.id, version!.id);
  await round();
  assert.equal(configured().length, 2);
  await assert.rejects(removePackage(plane.console, { id: (await listPackages(plane.console))[0]!.id, by: ME }), {
    code: 'bad-package',
  });
});

test('an address counts for a time, while its app is being installed, and for nobody who guesses', async () => {
  const [pack] = await listPackages(plane.console);
  const get = async (path: string, init: RequestInit = {}) => fetch(`${plane.url}${path}`, init);
  const link = async (id: string, days: number, fingerprint = pack!.fingerprint) => {
    const token = newToken();
    await plane.core.query(
      `insert into fleet.package_link (token_sha256, package_id, expires_at) values ($1, $2, now() + make_interval(days => $3))`,
      [sha256(token), id, days],
    );
    return `/apps/${token}/${fingerprint}`;
  };
  const good = await link(pack!.id, 1);
  const manifest = await (await get(`${good}/manifest.plist`)).text();
  assert.match(manifest, /<key>bundle-version<\/key><string>345<\/string>/);
  assert.ok(manifest.includes(`<string>${plane.url}${good}/package.ipa</string>`));
  const whole = Buffer.from(await (await get(`${good}/package.ipa`)).arrayBuffer());
  assert.equal(createHash('sha256').update(whole).digest('hex'), pack!.sha256);
  const range = async (text: string) => {
    const answer = await get(`${good}/package.ipa`, { headers: { range: text } });
    return [answer.status, Buffer.from(await answer.arrayBuffer())] as const;
  };
  const over = PART_BYTES - 5;
  assert.deepEqual(await range(`bytes=${over}-${over + 9}`), [206, whole.subarray(over, over + 10)]);
  assert.deepEqual(await range('bytes=-7'), [206, whole.subarray(-7)]);
  assert.equal((await range(`bytes=${whole.length}-`))[0], 416);
  const head = await get(`${good}/package.ipa`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(whole.length)]);
  for (const path of [
    `/apps/${newToken()}/${pack!.fingerprint}/manifest.plist`,
    `${await link(pack!.id, 1, newToken())}/manifest.plist`,
    `${await link(pack!.id, -1)}/package.ipa`,
    `${good}/other`,
    '/apps',
  ])
    assert.equal((await get(path)).status, 404, path);
  assert.equal((await get(`${good}/manifest.plist`, { method: 'POST' })).status, 400);
  const idle = await ready({ identifier: 'org.example.idle' });
  const { fingerprint } = (await listPackages(plane.console)).find(({ id }) => id === idle.package)!;
  const resting = `${await link(idle.package, 1, fingerprint)}/manifest.plist`;
  assert.equal((await get(resting)).status, 404, 'nobody is installing it');
  assert.ok((await plane.counted())['link']! >= 3);
});

test('where two people do not agree the rollout halts, and asks anew once somebody resumes it', async () => {
  const next = await ready({ version: '1.2.1', bytes: 9000 });
  const rollout = await start(next.app, next.versionId);
  await advanceRollouts(plane.core, doors);
  const [document] = asked.splice(0);
  await tx(plane.core, (t) => refuseApproved(t, document!.id, 'not-agreed'));
  await round();
  const halted = await rolloutOf(rollout);
  assert.equal(halted.state, 'halted');
  assert.match(halted.why!, /refused/);
  assert.equal(having(next.hash), 0);
  await tx(plane.console, (t) => askRollout(t, { rollout, act: 'resume', by: ME }));
  await round();
  assert.equal(having(next.hash), 2);
  await tx(plane.console, (t) => askRollout(t, { rollout, act: 'cancel', by: ME }));
  await round();
  assert.equal(having(next.hash), 2, 'who has it keeps it, and nobody else gets it');
});

test('a byte that changes on the way fails on the phone, and halts the rollout', async () => {
  const next = await ready({ version: '1.3', bytes: 3 * PART_BYTES });
  const rollout = await start(next.app, next.versionId);
  spoil = true;
  await round();
  spoil = false;
  assert.equal(statuses().filter((status) => status === 'Failed').length, 2);
  const halted = await rolloutOf(rollout);
  assert.deepEqual([halted.state, halted.facts.failed], ['halted', 2]);
  assert.match(halted.why!, /2 of 2 devices failed/);
  assert.equal(halted.failures.length, 2);
  assert.equal(having(next.hash), 0);
});

test('a byte that changes in the database is not handed out, and raises an event', async () => {
  const next = await ready({ version: '1.4', bytes: 3 * PART_BYTES });
  await plane.asOwner(
    'update fleet.package_part set bytes = set_byte(bytes, 100, get_byte(bytes, 100) # 1) where package_id = $1 and n = 2',
    [next.package],
  );
  const rollout = await start(next.app, next.versionId);
  await round();
  assert.equal(having(next.hash), 0);
  assert.ok((await events('app.package_unsigned')) > 0);
  assert.equal((await rolloutOf(rollout)).state, 'halted');
  plane.problems.length = 0;
});

test('core signs nothing that is not what was handed in', async () => {
  for (const [change, version] of [
    [`update fleet.package set version = '9.9' where id = $1`, '1.5'],
    [
      'update fleet.package_part set bytes = set_byte(bytes, 4000, get_byte(bytes, 4000) # 1) where package_id = $1',
      '1.6',
    ],
    ['delete from fleet.package_part where package_id = $1 and n = 0', '1.7'],
  ] as const) {
    const { package: id, app } = await handIn(makeIpa({ version, bytes: 9000 }));
    await plane.asOwner(change, [id]);
    while ((await signPackages(plane.core, plane.signKey)) > 0);
    const found = (await listPackages(plane.console)).find((one) => one.id === id)!;
    assert.equal(found.state, 'refused', version);
    assert.ok(found.reason);
    const rows = await listVersions(plane.console, app);
    await assert.rejects(start(app, rows[0]!.id), { code: 'unknown-app' });
  }
  // A row that claims to be ready, with no signature of core's.
  const { package: id, app } = await handIn(makeIpa({ version: '1.8', bytes: 9000 }));
  await plane.asOwner(`update fleet.package set state = 'ready', signature = '\\x00' where id = $1`, [id]);
  const before = await events('app.package_unsigned');
  const [version] = await listVersions(plane.console, app);
  await start(app, version!.id);
  await round();
  assert.ok((await events('app.package_unsigned')) > before);
  assert.ok(!statuses().includes(undefined));
});
