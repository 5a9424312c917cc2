import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Ade, AdeFiles, adeState, askAde, dryRun, proposeDeclaration, saveApp, storeProfile } from '#fleet';
import { DEP_CONTACT, DepService, Hunter, KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { fromPem, type PlistInput, parseCertificate, signCms, writePlist } from '#wire';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// What Apple's protocols bring along of people, planted in every place where it could come, and hunted in every table.
const ME = 'amber-otter-4821';
const line = openLine({ sockets: 4 });
const keys = new KeyPool();
let plane: DevicePlane;
let phone: Phone;
let device = '';

const DEVICE_NAME = 'Ottoline Fairweather’s iPhone';
const USERS = ['ottoline.fairweather@example.org', 'cosima.fairweather@example.org', 'Cosima Q. Fairweather'];
const PLACE = ['51.50735091', '-0.12775831', 'Fairweather Cottage'];
const SAID = [
  'ottoline.at.home@example.net',
  '+44 7700 900452',
  '+447700900453',
  'Ottoline’s Home Wi-Fi',
  '8944110068765432109',
];
const REFUSED = ['hermione.lockhart@example.org', '+44 7700 900454'];
const WIFI = 'correct-horse-battery-staple';
const hunter = new Hunter([DEVICE_NAME, ...USERS, ...PLACE, ...SAID, ...REFUSED, ...Object.values(DEP_CONTACT)]);

before(async () => {
  plane = await devicePlane();
  phone = new Phone(newPhone({ deviceName: DEVICE_NAME }), { send: line.send, keyPool: keys });
  const [offer] = await plane.offer(1);
  device = offer!.device;
  await phone.enrol(offer!.link);
});
after(async () => {
  line.close();
  await plane.close();
});

const OWN = {
  ...{ DeviceInformation: 'QueryResponses', SecurityInfo: 'SecurityInfo', ProfileList: 'ProfileList' },
  ...{ CertificateList: 'CertificateList', InstalledApplicationList: 'InstalledApplicationList' },
} as const;
const ANSWERS: readonly string[] = [...Object.values(OWN), 'Users'];

/** Every row of every table as text, and what edge told its operator. */
async function everything(): Promise<Buffer> {
  const tables = await plane.owner<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^(pg_|information_schema)' and c.relkind in ('r', 'm') order by 1`,
    [],
  );
  const texts = [plane.problems.join('\n')];
  for (const { name } of tables)
    texts.push(
      (
        await plane.owner<{ all: string }>(
          `select coalesce(string_agg(to_jsonb(t)::text, E'\\n'), '') as all from ${name} t`,
          [],
        )
      )[0]!.all,
    );
  assert.ok(tables.length > 80, `${tables.length} tables`);
  return Buffer.from(texts.join('\n'));
}
const found = async () => hunter.search(await everything());

/** An answer to the command that waits, of the phone's own invention. */
async function answer(more: Record<string, PlistInput>, uuid: string): Promise<number> {
  const { key, certificate } = phone.state.identity!;
  const body = writePlist({ UDID: phone.state.udid, Status: 'Acknowledged', CommandUUID: uuid, ...more });
  const signature = signCms({
    ...{ content: body, certificate: parseCertificate(Buffer.from(certificate, 'base64')), detached: true },
    key: createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' }),
  }).toString('base64');
  const headers = { 'content-type': 'application/x-apple-aspen-mdm', 'mdm-signature': signature };
  return (await line.send('PUT', phone.state.enrolment!.serverUrl, { body, headers })).status;
}

test('check-ins: device names, users of a shared iPad and their managed Apple IDs', async () => {
  await phone.updateUserToken({ shared: USERS[0]! });
  await phone.updateUserToken({ shared: USERS[1]! });
  await phone.pollUser({ shared: USERS[1]! });
  await phone.checkInWith({
    MessageType: 'UserAuthenticate',
    UserID: 'x',
    UserShortName: USERS[0]!,
    UserLongName: USERS[2]!,
  });
  await phone.checkInWith({ MessageType: 'Authenticate', Topic: 'x', DeviceName: DEVICE_NAME, [SAID[0]!]: SAID[3]! });
  await phone.updateToken();
  await phone.checkOutUser({ shared: USERS[0]! });
  assert.deepEqual(await found(), []);
});

test('answers to commands: places, accounts, SIMs, networks, users, under known and unknown keys', async () => {
  const planted: Record<string, PlistInput> = {
    ...{ Latitude: Number(PLACE[0]), Longitude: Number(PLACE[1]), Place: PLACE[2]! },
    QueryResponses: {
      ...{
        DeviceName: DEVICE_NAME,
        PhoneNumber: SAID[1]!,
        ICCID: SAID[4]!,
        CurrentCarrierNetwork: SAID[3]!,
        OSVersion: '26.1',
      },
      ServiceSubscriptions: [{ PhoneNumber: SAID[2]!, ICCID: SAID[4]!, Label: USERS[2]! }],
      ...{ iTunesStoreAccountHash: SAID[0]!, [SAID[0]!]: 'x' },
      OrganizationInfo: { OrganizationEmail: SAID[0]! },
    },
    Users: [{ UserName: USERS[0]!, FullName: USERS[2]!, HasDataToSync: false }],
    SecurityInfo: { PasscodePresent: true, Owner: USERS[2]! },
    ProfileList: [
      { PayloadIdentifier: 'org.example.x', PayloadDisplayName: USERS[2]!, PayloadContent: [{ Email: USERS[0]! }] },
    ],
    CertificateList: [{ CommonName: USERS[2]!, Data: Buffer.from(USERS[0]!), IsIdentity: true }],
    InstalledApplicationList: [{ Identifier: 'com.example.x', Name: USERS[2]!, Account: USERS[0]! }],
    ErrorChain: [{ ErrorCode: 1, ErrorDomain: 'x', LocalizedDescription: USERS[2]!, USEnglishDescription: USERS[0]! }],
  };
  for (const verb of [
    'DeviceInformation',
    'SecurityInfo',
    'ProfileList',
    'CertificateList',
    'InstalledApplicationList',
  ] as const) {
    const uuid = (await plane.order(verb, [device])).get(device)!;
    // Once with what belongs to it and once with all the others' besides: which of them is meant must not matter.
    const own = OWN[verb];
    const rest = Object.fromEntries(Object.entries(planted).filter(([key]) => key === own || !ANSWERS.includes(key)));
    assert.equal(await answer(rest, uuid), 200, verb);
    const again = (await plane.order(verb, [device])).get(device)!;
    assert.equal(await answer(planted, again), 200, verb);
  }
  const uuid = (await plane.order('SecurityInfo', [device])).get(device)!;
  await answer({ ...planted, Status: 'Error' }, uuid);
  assert.deepEqual(await found(), []);
  const { rows } = await plane.core.query(`select kind from fleet.inventory where facts <> '{}'`);
  assert.ok(rows.length >= 3, 'the answers were taken');
});

test('status reports: accounts, names, errors and values that nobody asked for', async () => {
  await plane.declare();
  const report = {
    StatusItems: {
      account: {
        list: {
          mail: [
            {
              identifier: 'a',
              'declaration-identifier': 'b',
              username: SAID[0],
              hostname: 'x',
              'incoming-mail': { username: SAID[0] },
            },
          ],
          caldav: [{ identifier: 'c', username: USERS[0], 'is-enabled': true }],
        },
      },
      device: {
        model: { family: 'iPhone' },
        name: DEVICE_NAME,
        'operating-system': { version: '26.1', owner: USERS[2] },
      },
      mdm: { app: [{ identifier: 'com.example.x', state: 'managed', name: USERS[2] }] },
      person: { name: USERS[2], email: USERS[0] },
    },
    Errors: [
      {
        StatusItem: 'account.list.mail',
        Reasons: [{ Code: 'Error.x', Description: USERS[2], Details: { who: USERS[0] } }],
      },
    ],
  };
  const said = await phone.sayDeclarative('status', undefined, Buffer.from(JSON.stringify(report)));
  assert.equal(said.status, 200);
  const { rows } = await plane.core.query('select "values" from fleet.declared_status');
  assert.match(JSON.stringify(rows), /26\.1/, 'the report was taken');
  assert.deepEqual(await found(), []);
});

test('the device assignment service: contact people of the server, who bought what', async (t) => {
  const apple = new DepService();
  const dir = mkdtempSync(join(tmpdir(), 'btz-planted-'));
  t.after(() => {
    apple.close();
    rmSync(dir, { recursive: true, force: true });
  });
  writeFileSync(join(dir, 'ade-endpoint'), await apple.start());
  const ade = new Ade({
    ...{ pool: plane.core, files: new AdeFiles(dir), now: Date.now },
    where: { edge: plane.url, organisation: 'Example Agency' },
  });
  const settle = async () => {
    for (let n = 0; n < 60 && (await ade.step()) > 0; n += 1);
  };
  await askAde(plane.console, ME, { what: 'key' });
  await settle();
  const { certificate } = await adeState(plane.console);
  await askAde(plane.console, ME, { what: 'token', upload: apple.token(fromPem(certificate!)) });
  await settle();
  const [{ name } = assert.fail()] = await plane.owner<{ name: string }>(
    'select server_name as name from fleet.ade_server',
    [],
  );
  assert.equal(name, 'Bartizan', 'the account was read');
  assert.deepEqual(await found(), []);
});

const profileWith = (keys: string) => `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.wifi</string><key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D31</string>
<key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadVersion</key>
<integer>1</integer><key>PayloadIdentifier</key><string>org.example.wifi.1</string><key>PayloadUUID</key>
<string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D32</string><key>SSID_STR</key><string>agency</string>${keys}</dict></array></dict></plist>`;

test('profiles, declarations and configurations with what looks like a person’s are refused, by where and not by what', async () => {
  const said: string[] = [];
  const refused = async (act: Promise<unknown>) =>
    assert.rejects(act, (error: Error) => {
      said.push(error.message);
      return 'code' in error && ['bad-request', 'invalid-declaration', 'bad-declaration'].includes(String(error.code));
    });
  const db = plane.console;
  for (const value of [
    REFUSED[0]!,
    REFUSED[1]!,
    'user %{email}',
    '{{ user.email }}',
    '$' + '{USERNAME}',
    '%{fleet.full_name}',
  ]) {
    const profile = profileWith(
      `<key>EAPClientConfiguration</key><dict><key>UserName</key><string>${value}</string></dict>`,
    );
    const bytes = Buffer.from(profile);
    await refused(dryRun(db, bytes));
    await refused(tx(db, (t) => storeProfile(t, { bytes, by: ME })));
    await refused(plane.state({ verb: 'InstallProfile', devices: [device], params: { profile } }));
    await refused(
      tx(db, (t) =>
        saveApp(t, { identifier: 'a.b', name: 'A', adamId: 7, configuration: { deep: [{ account: value }] }, by: ME }),
      ),
    );
    await refused(
      tx(db, (t) =>
        proposeDeclaration(t, {
          ...{
            identifier: 'x.y',
            type: 'com.apple.management.properties',
            payload: { owner: value },
            unchecked: false,
          },
          ...{ author: ME, now: Date.now() },
        }),
      ),
    );
  }
  assert.ok(said.every((message) => hunter.search(Buffer.from(message)).length === 0));
  assert.match(said[0]!, /EAPClientConfiguration\.UserName/);
  assert.deepEqual(await found(), []);
});

test('what devices themselves fill in, and what only resembles an address, passes', async () => {
  for (const value of [
    '(@status(device.model.family) == "iPad")',
    '%HardwareUUID%',
    '%SerialNumber%',
    'https://help.example/a@2x.png',
    'C=US,O=Example',
    '1234567890123',
  ])
    await dryRun(plane.console, Buffer.from(profileWith(`<key>Note</key><string>${value}</string>`)));
});

test('a secret in a profile stands in the database as SECURITY.md says, and who stores it is told so', async () => {
  const bytes = Buffer.from(
    profileWith(`<key>Password</key><string>${WIFI}</string><key>EncryptionType</key><string>WPA3</string>`),
  );
  const { remarks } = await dryRun(plane.console, bytes);
  assert.deepEqual(remarks, ['holds a secret (Password) that whoever reads the database reads: prefer certificates']);
  await tx(plane.console, (t) => storeProfile(t, { bytes, by: ME }));
  assert.ok(new Hunter([WIFI]).search(await everything()).length > 0, 'if it is sealed one day, say so in SECURITY.md');
});
