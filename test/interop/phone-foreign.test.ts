import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { getDevice } from '#fleet';
import { buildGo } from './go-build.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const run = promisify(execFile);
const profile = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.passcode</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D11</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.passcode.1</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D12</string><key>forcePIN</key><true/></dict></array></dict></plist>`;

let plane: DevicePlane;
let program: string;
let dir: string;
before(async () => {
  program = await buildGo('foreignphone');
  dir = mkdtempSync(join(tmpdir(), 'btz-foreign-'));
  plane = await devicePlane();
});
after(async () => {
  await plane?.close();
  for (const path of [dir, program && dirname(program)]) if (path) rmSync(path, { recursive: true, force: true });
});

/** One connection of the phone; what it did, in order. */
async function poll(of = dir): Promise<{ verb: string; uuid: string; profiles: number; status: string }[]> {
  const { stdout } = await run(program, ['poll', of]);
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { verb: string; uuid: string; profiles: number; status: string });
}

test("a phone made of micromdm's SCEP client and smallstep's PKCS #7 enrols, reports and takes a profile", async () => {
  const [offer] = await plane.offer(1);
  const { device, link } = offer!;
  await run(program, ['enrol', dir, link]);
  assert.equal((await getDevice(plane.console, device)).device.state, 'enrolled');
  assert.deepEqual(await poll(), [], 'no command waits');

  await plane.order('DeviceInformation', [device]);
  const orders = await plane.order('InstallProfile', [device], { profile });
  await plane.order('ProfileList', [device]);
  await plane.order('SecurityInfo', [device]);
  const done = await poll();
  assert.deepEqual(
    done.map(({ verb }) => verb),
    ['DeviceInformation', 'InstallProfile', 'ProfileList', 'SecurityInfo'],
  );
  assert.equal(done[1]!.uuid.toLowerCase(), orders.get(device)!.toLowerCase());
  assert.equal(done[1]!.profiles, 1);

  const seen = await getDevice(plane.console, device);
  assert.deepEqual(Object.fromEntries(seen.commands.map((command) => [command.verb, command.state])), {
    DeviceInformation: 'acknowledged',
    InstallProfile: 'acknowledged',
    ProfileList: 'acknowledged',
    SecurityInfo: 'acknowledged',
  });
  assert.equal(seen.device.serial, 'FOREIGN00001');
  assert.deepEqual(plane.problems, []);
  assert.deepEqual(await poll(), [], 'nothing is sent twice');
});

test('the link is spent: a second phone gets nothing', async () => {
  const [offer] = await plane.offer(1);
  const other = mkdtempSync(join(tmpdir(), 'btz-foreign-'));
  try {
    await run(program, ['enrol', other, offer!.link, 'n=F']);
    await assert.rejects(run(program, ['enrol', other, offer!.link]), /GET answered 4(04|10)/);
  } finally {
    rmSync(other, { recursive: true, force: true });
  }
});

/** Every command that one person may send to a phone that is not supervised. */
const SET: readonly (readonly [Parameters<DevicePlane['order']>[0], Parameters<DevicePlane['order']>[2]?])[] = [
  ...(['DeviceInformation', 'SecurityInfo', 'CertificateList', 'ProvisioningProfileList'] as const).map(
    (verb) => [verb] as const,
  ),
  ...(['InstalledApplicationList', 'AvailableOSUpdates', 'OSUpdateStatus'] as const).map((verb) => [verb] as const),
  ['InstallProfile', { profile }],
  ['ProfileList'],
  ['InstallApplication', { args: { Identifier: 'com.example.maps', ManagementFlags: 1 } }],
  ['ManagedApplicationList'],
  ...(['ManagedApplicationConfiguration', 'ManagedApplicationAttributes', 'ManagedApplicationFeedback'] as const).map(
    (verb) => [verb, { args: { Identifiers: ['com.example.maps'] } }] as const,
  ),
  ['ValidateApplications', { args: { Identifiers: ['com.example.maps'] } }],
  ['Settings', { args: { Settings: [{ Item: 'DataRoaming', Enabled: false }] } }],
  ['DeviceLock', { args: { Message: 'Please bring this phone back' } }],
];
/** Ordered later: while the installation waits, a removal replaces it. */
const REMOVALS: typeof SET = [
  ['RemoveApplication', { args: { Identifier: 'com.example.maps' } }],
  ['RemoveProfile', { identifier: 'org.example.passcode' }],
];

for (const [n, style] of [
  [2, 'sha256,rsa,detached,put'],
  [3, 'sha1,rsa,attached,post'],
  [4, 'sha256,ec,attached,put'],
  [5, 'sha1,ec,detached,post'],
] as const) {
  test(`the whole command set with ${style}; re-enrolment and leaving`, async () => {
    const home = mkdtempSync(join(tmpdir(), 'btz-foreign-'));
    try {
      const [offer, again] = await plane.offer(2);
      await run(program, ['enrol', home, offer!.link, `${style},n=${n}`]);
      for (const set of [SET, REMOVALS]) {
        for (const [verb, params] of set) await plane.order(verb, [offer!.device], params);
        const done = await poll(home);
        assert.deepEqual(done.map(({ verb }) => verb).sort(), set.map(([verb]) => verb).sort());
        assert.deepEqual([...new Set(done.map(({ status }) => status))], ['Acknowledged'], JSON.stringify(done));
      }
      const seen = await getDevice(plane.console, offer!.device);
      assert.equal(seen.device.serial, `FOREIGN0000${n}`);
      assert.deepEqual([...new Set(seen.commands.map(({ state }) => state))], ['acknowledged']);
      assert.deepEqual(await poll(home), [], 'nothing is sent twice');

      await run(program, ['leave', home]);
      await assert.rejects(poll(home), /the server answered 4(?!01)/);
      await run(program, ['enrol', home, again!.link, `${style},n=${n}`]);
      await plane.order('SecurityInfo', [again!.device]);
      assert.deepEqual(
        (await poll(home)).map(({ verb }) => verb),
        ['SecurityInfo'],
      );
      assert.deepEqual(plane.problems, []);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
}
