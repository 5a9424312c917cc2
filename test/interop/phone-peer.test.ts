import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { KeyPool, newPhone, openLine, Phone, PhoneError, PhoneFleet, type PhoneOptions, type PhoneState } from '#sim';
import { buildCommand, type CommandRequest, parseCommandResult } from '#wire';
import { type TinyPeer, tinyPeer } from './phone-tiny-peer.ts';

const line = openLine({ sockets: 4 });
const keys = new KeyPool([], { repeat: true });
let peer: TinyPeer;
before(async () => {
  await keys.fill(2);
  peer = await tinyPeer();
});
after(async () => {
  line.close();
  await peer.close();
});

async function enrolled(options: Partial<PhoneOptions> = {}): Promise<Phone> {
  const phone = new Phone(newPhone({ deviceName: 'Maja\u2019s iPhone', phoneNumber: '+33639980001' }), {
    send: line.send,
    keyPool: keys,
    ...options,
  });
  await phone.enrol(peer.url);
  peer.told.length = 0;
  peer.queue.length = 0;
  return phone;
}

function order(request: CommandRequest): string {
  const uuid = randomUUID();
  peer.queue.push({ uuid, body: buildCommand(uuid, request) });
  return uuid;
}

const profile = Buffer.from(
  `<?xml version="1.0"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string>
   <key>PayloadIdentifier</key><string>org.example.passcode</string><key>PayloadUUID</key><string>A1</string>
   <key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.mobiledevice.passwordpolicy</string>
   </dict></array></dict></plist>`,
);

for (const [name, options] of Object.entries({
  'PUT, SHA-256, detached': {},
  'POST, SHA-1, attached, no content type': { method: 'POST', digest: 'sha1', attached: true, withoutType: true },
} satisfies Record<string, Partial<PhoneOptions>>)) {
  test(`a phone enrols and carries out commands: ${name}`, async () => {
    const phone = await enrolled(options);
    assert.ok(phone.enrolled);
    const uuid = order({ verb: 'DeviceInformation' });
    order({ verb: 'InstallProfile', payload: profile });
    order({ verb: 'ProfileList' });
    assert.equal(await phone.poll(), 3);
    const answer = peer.told.find((one) => one.uuid === uuid)!;
    assert.equal(answer.method, options && 'method' in options ? 'POST' : 'PUT');
    assert.equal(parseCommandResult(answer.body).inventory?.facts['SerialNumber'], phone.state.serial);
    assert.deepEqual(
      phone.state.profiles.map((installed) => installed.identifier),
      ['org.bartizan.enrolment', 'org.example.passcode'],
    );
    assert.equal(phone.state.executed[uuid]?.times, 1);
    assert.equal(await phone.poll(), 0);
  });
}

test('a signed profile is read as well, and a wrong challenge refused', async () => {
  const signed = await tinyPeer({ signedProfile: true });
  try {
    const phone = new Phone(newPhone({ deviceName: 'Pool' }), { send: line.send, keyPool: keys });
    await phone.enrol(signed.url);
    assert.ok(phone.enrolled);
    const send: PhoneOptions['send'] = async (method, url, message) => {
      const answer = await line.send(method, url, message);
      const wrong = Buffer.from(answer.body.toString().replace('one-time_challenge', 'guess'));
      return answer.type.includes('config') ? { ...answer, body: wrong } : answer;
    };
    const guesser = new Phone(newPhone({ deviceName: 'Guess' }), { send, keyPool: keys });
    await assert.rejects(guesser.enrol(peer.url), { name: 'ScepRefused', failInfo: '2' });
    assert.ok(!guesser.enrolled);
  } finally {
    await signed.close();
  }
});

test('a phone tells its number only to a server with the right to network information', async () => {
  const phone = await enrolled();
  const uuid = randomUUID();
  const body = buildCommand(uuid, { verb: 'DeviceInformation' }).toString();
  const asking = Buffer.from(body.replace('<array>', '<array><string>PhoneNumber</string>'));
  peer.queue.push({ uuid, body: asking });
  await phone.poll();
  assert.ok(!peer.told.some((one) => one.body.includes('+33639980001')));
  const rights = { ...phone.state.enrolment!, accessRights: 8191 };
  const open = new Phone({ ...phone.state, enrolment: rights }, phone.options);
  peer.queue.push({ uuid, body: asking });
  await open.poll();
  assert.ok(peer.told.some((one) => one.body.includes('+33639980001')));
});

test('erase is confirmed, then the phone is blank', async () => {
  const phone = await enrolled();
  const uuid = order({ verb: 'EraseDevice' });
  await phone.poll();
  assert.equal(peer.told.at(-1)?.uuid, uuid);
  assert.equal(peer.told.at(-1)?.status, 'Acknowledged');
  assert.equal(phone.state.erasedTimes, 1);
  assert.ok(!phone.enrolled && phone.state.identity === null && phone.state.profiles.length === 0);
  assert.equal(await phone.poll(), 0);
});

test('faults on purpose: NotNow, error, format error, duplicate, lost result, garbage, wrong signature, offline', async () => {
  const phone = await enrolled();
  const said = () => peer.told.splice(0).map((one) => one.status);
  const uuid = order({ verb: 'SecurityInfo' });
  phone.behaviour.notNow = 1;
  await phone.poll();
  assert.deepEqual(said(), ['Idle', 'NotNow']);
  phone.behaviour.loseResult = 1;
  await phone.poll();
  phone.behaviour.duplicate = 1;
  await phone.poll();
  assert.deepEqual(said(), ['Idle', 'Idle', 'Acknowledged', 'Acknowledged']);
  assert.equal(phone.state.executed[uuid]?.times, 2);
  phone.behaviour.error = { times: 1, code: 12021 };
  order({ verb: 'SecurityInfo' });
  await phone.poll();
  phone.behaviour.commandFormatError = 1;
  order({ verb: 'SecurityInfo' });
  await phone.poll();
  assert.deepEqual(said(), ['Idle', 'Error', 'Idle', 'CommandFormatError']);
  phone.behaviour.garbage = 1;
  order({ verb: 'SecurityInfo' });
  await assert.rejects(phone.poll(), { status: 400 });
  phone.behaviour.wrongSignature = 1;
  const before = peer.refused();
  await assert.rejects(phone.poll(), PhoneError);
  assert.equal(peer.refused(), before + 1);
  said();
  phone.behaviour.offline = true;
  await phone.poll();
  assert.deepEqual(said(), []);
});

test('removing management says CheckOut', async () => {
  const phone = await enrolled();
  await phone.removeManagement();
  assert.deepEqual(
    peer.told.map((one) => [one.path, one.status]),
    [['/checkin', 'CheckOut']],
  );
  assert.ok(!phone.enrolled);
});

test('an empty answer without Content-Length: 0 is an error, as strict clients see it', async () => {
  const phone = await enrolled();
  const send: PhoneOptions['send'] = async (...request) => {
    const answer = await line.send(...request);
    return { ...answer, headers: { ...answer.headers, 'content-length': undefined } };
  };
  await assert.rejects(new Phone(phone.state, { ...phone.options, send }).poll(), /Content-Length: 0/);
});

test('a fleet enrols, polls, stops, and goes on from stored state', async () => {
  const make = (state: PhoneState) => new Phone(state, { send: line.send, keyPool: keys });
  const states = Array.from({ length: 6 }, (_, i) =>
    newPhone({ deviceName: `Pool ${i}`, kind: i % 2 ? 'iPad' : 'iPhone' }),
  );
  const errors: unknown[] = [];
  const options = { intervalMs: 5, concurrency: 2, onError: (_: Phone, error: unknown) => errors.push(error) };
  const fleet = new PhoneFleet(states.map(make), options);
  assert.equal(await fleet.enrol(states.map(() => peer.url)), 6);
  const stored: PhoneState[] = JSON.parse(JSON.stringify(states));
  const resumed = new PhoneFleet(stored.map(make), options);
  const uuid = order({ verb: 'SecurityInfo' });
  resumed.start();
  while (peer.queue.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await resumed.stop();
  const { polls, executed, enrolled: managed } = resumed.numbers();
  assert.deepEqual(errors, []);
  assert.equal(managed, 6);
  assert.ok((executed.get(uuid) ?? 0) >= 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(resumed.numbers().polls, polls);
});
