import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { parseCertificate, RESULT_BYTES, signCms } from '#wire';
import { type DevicePlane, devicePlane } from '../interop/phone-stack.ts';

// Whoever can open connections to the device plane: large bodies that never end, and connections that ask for nothing.
const line = openLine({ sockets: 2, timeoutMs: 20_000 });
let plane: DevicePlane;
let phone: Phone;
const sockets: Socket[] = [];
before(async () => {
  plane = await devicePlane();
  phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool: new KeyPool() });
  await phone.enrol((await plane.offer(1))[0]!.link);
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  line.close();
  await plane.close();
});

/** Opens a connection, sends text, and gathers what comes back. */
function say(text: string): { answer: () => string; closed: () => boolean } {
  const socket = connect(Number(new URL(plane.url).port), '127.0.0.1', () => socket.write(text));
  sockets.push(socket);
  let got = '';
  let closed = false;
  socket.on('data', (part) => {
    got += part.toString('latin1');
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  return { answer: () => got, closed: () => closed };
}
const head = (more = '') =>
  `PUT /mdm HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-apple-aspen-mdm\r\nContent-Length: ${RESULT_BYTES - 1}\r\n${more}\r\n`;
const count = (all: readonly { answer: () => string }[], start: string) =>
  all.filter((one) => one.answer().startsWith(start)).length;

test('a stranger’s large bodies are refused by their heads; not one byte of them is read', async () => {
  const all = Array.from({ length: 200 }, () => say(head()));
  await sleep(1_500);
  assert.equal(count(all, 'HTTP/1.1 400'), 200);
  assert.equal(await phone.poll(), 0);
});

test('a phone’s own large bodies have 32 places, which it loses if it stalls; small messages pass all the while', async () => {
  const identity = phone.state.identity!;
  const signature = signCms({
    ...{ content: Buffer.from('x'), certificate: parseCertificate(Buffer.from(identity.certificate, 'base64')) },
    key: createPrivateKey({ key: Buffer.from(identity.key, 'base64'), format: 'der', type: 'pkcs8' }),
    detached: true,
  }).toString('base64');
  const all = Array.from({ length: 80 }, () => say(head(`Mdm-Signature: ${signature}\r\n`) + 'x'.repeat(1_000)));
  await sleep(1_500);
  assert.equal(count(all, 'HTTP/1.1 503'), 48);
  assert.match(all.find((one) => one.answer() !== '')!.answer(), /\r\nRetry-After: 5\r\n/);
  assert.equal(await phone.poll(), 0);
  await sleep(9_500);
  assert.equal(count(all, 'HTTP/1.1 408'), 32, 'their places are free again');
  const counted = await plane.counted();
  assert.ok(counted['too-slow']! >= 32 && counted['too-busy'] === 48, JSON.stringify(counted));
});

test('4 000 connections that ask for nothing give way to a phone that does', async () => {
  const idle: ReturnType<typeof say>[] = [];
  for (let n = 0; n < 3_999; n += 1) {
    idle.push(say('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'));
    if (n % 100 === 0) await sleep(10);
  }
  await sleep(1_000);
  for (let n = 0; n < 20; n += 1) idle.push(say('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'));
  const closed = () => idle.filter((one) => one.closed()).length;
  const fresh = openLine({ sockets: 1, timeoutMs: 5_000 });
  const other = new Phone(phone.state, { send: fresh.send });
  assert.equal(await other.poll(), 0);
  fresh.close();
  for (let n = 0; n < 50 && closed() <= 300; n += 1) await sleep(100);
  assert.ok(closed() > 300, `${closed()} idle ones were closed`);
});
