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
async function poll(): Promise<{ verb: string; uuid: string; profiles: number }[]> {
  const { stdout } = await run(program, ['poll', dir]);
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { verb: string; uuid: string; profiles: number });
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
    // This phone does not know the command: the answer is an error and final.
    SecurityInfo: 'error',
  });
  assert.equal(seen.device.serial, 'FOREIGN00001');
  assert.deepEqual(plane.problems, []);
  assert.deepEqual(await poll(), [], 'nothing is sent twice');
});

test('the link is spent: a second phone gets nothing', async () => {
  const [offer] = await plane.offer(1);
  const other = mkdtempSync(join(tmpdir(), 'btz-foreign-'));
  try {
    await run(program, ['enrol', other, offer!.link]);
    await assert.rejects(run(program, ['enrol', other, offer!.link]), /GET answered 4(04|10)/);
  } finally {
    rmSync(other, { recursive: true, force: true });
  }
});
