import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getDevice } from '#fleet';
import { type DevicePlane, devicePlane } from '../phone-stack.ts';
import { findMdmb, foreignPhone, type Tool } from './phone-mdmb.ts';

const profile = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.passcode</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D11</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>org.example.passcode.1</string>
<key>PayloadUUID</key><string>6E6A2B0C-9C7E-4A53-8C52-2E4B6E0C9D12</string><key>forcePIN</key><true/></dict></array></dict></plist>`;

let plane: DevicePlane;
let tool: Tool;
before(async () => {
  tool = await findMdmb();
  plane = await devicePlane();
});
after(() => plane.close());

test('a phone that is not ours (mdmb) enrols, reports, takes a profile and refuses what it does not know', async (t) => {
  if ('missing' in tool) {
    t.skip(tool.missing);
    return;
  }
  const [offer] = await plane.offer(1);
  const phone = await foreignPhone({ mdmb: tool.path, enrolUrl: offer!.link });
  try {
    const { device } = offer!;
    assert.equal((await getDevice(plane.console, device)).device.state, 'enrolled');
    await plane.order('DeviceInformation', [device]);
    await plane.order('InstallProfile', [device], { profile });
    await plane.order('SecurityInfo', [device]);
    await plane.order('ProfileList', [device]);
    await phone.connect();
    await phone.updateToken();
    const seen = await getDevice(plane.console, device);
    const states = Object.fromEntries(seen.commands.map((command) => [command.verb, command.state]));
    assert.deepEqual(states, {
      DeviceInformation: 'acknowledged',
      InstallProfile: 'acknowledged',
      ProfileList: 'acknowledged',
      // mdmb does not know this command: the answer is an error and final.
      SecurityInfo: 'error',
    });
    assert.ok(seen.device.serial);
    assert.match(await phone.profiles(), /org\.example\.passcode/);
    assert.deepEqual(plane.problems, []);
    await assert.rejects(foreignPhone({ mdmb: tool.path, enrolUrl: offer!.link }), /410|404/);
  } finally {
    phone.close();
  }
});
