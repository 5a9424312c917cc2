import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PushClient, parsePushCertificate, readPushCertificate } from '#fleet';
import { PushService } from '#sim';
import { readDer } from '#wire';
import { freePorts } from '../flows/product.ts';

// Our APNs client against a push service that keeps Apple's rules, and against every way in which it can fail.
const TOPIC = 'com.apple.mgmt.External.example';
const expiration = Math.floor(Date.now() / 1000) + 604_800;

async function apns(t: TestContext, options: ConstructorParameters<typeof PushService>[0] = {}) {
  const service = new PushService(options);
  const url = await service.listen();
  const endpoint = { url, ca: service.ca, timeoutMs: 2_000 };
  const client = new PushClient(endpoint, readPushCertificate(service.issue(TOPIC), Date.now()));
  t.after(async () => {
    client.close();
    await service.close();
  });
  const phone = () => {
    const token = randomBytes(32);
    service.knows(token);
    return { token, magic: token.toString('hex').slice(0, 8), expiration };
  };
  return { service, client, endpoint, phone };
}

const until = async (ready: () => boolean) => {
  for (let waited = 0; !ready(); waited += 5) {
    assert.ok(waited < 5_000, 'it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

test('300 pushes go over one connection, no more at a time than the peer takes, each with what APNs wants', async (t) => {
  const { service, client, phone } = await apns(t, { maxStreams: 8 });
  const phones = Array.from({ length: 300 }, phone);
  const outcomes = await Promise.all(phones.map((one) => client.send(one)));
  assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(['sent']));
  assert.equal(service.connections, 1);
  assert.ok(service.peak <= 8, `${service.peak} at a time`);
  assert.deepEqual(new Set(service.pushed.map(({ magic }) => magic)), new Set(phones.map(({ magic }) => magic)));
  assert.ok(service.pushed.every((one) => one.expiration === expiration));
  assert.equal(new Set(outcomes.map((one) => (one.kind === 'sent' ? one.apnsId : ''))).size, 300);
});

test('each of APNs’ reasons is told apart', async (t) => {
  const { service, client, phone } = await apns(t);
  const one = phone();
  const said = async (status: number, reason: string, more = {}) => {
    service.faults.set('*', { times: 1, status, reason, ...more });
    return client.send(one);
  };
  const at = 1_790_000_000_000;
  assert.deepEqual(await said(410, 'Unregistered', { timestamp: at }), {
    ...{ kind: 'invalid', reason: 'Unregistered', since: at },
  });
  assert.deepEqual(await said(410, 'ExpiredToken', { timestamp: at }), {
    ...{ kind: 'invalid', reason: 'ExpiredToken', since: at },
  });
  for (const reason of ['BadDeviceToken', 'DeviceTokenNotForTopic'])
    assert.deepEqual(await said(400, reason), { kind: 'invalid', reason, since: undefined });
  assert.deepEqual(await said(429, 'TooManyRequests', { retryAfter: 90 }), {
    ...{ kind: 'retry', reason: 'TooManyRequests', after: 90 },
  });
  for (const [status, reason] of [
    [429, 'TooManyRequests'],
    [500, 'InternalServerError'],
    [503, 'ServiceUnavailable'],
    [503, 'Shutdown'],
  ] as const)
    assert.deepEqual(await said(status, reason), { kind: 'retry', reason });
  for (const [status, reason] of [
    [403, 'BadCertificate'],
    [403, 'BadCertificateEnvironment'],
    [400, 'TopicDisallowed'],
    [400, 'MissingTopic'],
    [413, 'PayloadTooLarge'],
  ] as const)
    assert.deepEqual(await said(status, reason), { kind: 'refused', reason });
  assert.deepEqual(await said(418, 'not a word <script>'), { kind: 'refused', reason: 'Status418' });
  assert.equal((await client.send(one)).kind, 'sent');
  assert.equal(service.connections, 1, 'no refusal cost the connection');
});

test('GOAWAY: what was not processed goes out again at once on a new connection, what was is not', async (t) => {
  const { service, client, phone } = await apns(t);
  await client.send(phone());
  const held = Promise.withResolvers<void>();
  service.hold = held.promise;
  const phones = Array.from({ length: 20 }, phone);
  const outcomes = Promise.all(phones.map((one) => client.send(one)));
  await until(() => service.arrived === 21);
  // Streams of a client are odd: 1 was the first push, 21 the tenth of these.
  service.goAway(21);
  service.hold = undefined;
  held.resolve();
  assert.deepEqual(new Set((await outcomes).map(({ kind }) => kind)), new Set(['sent']));
  assert.equal(service.connections, 2);
  for (const { magic } of phones) assert.ok(service.pushed.some((one) => one.magic === magic));
});

test('a connection that is cut under way, or that hangs, costs no push', async (t) => {
  const { service, client, phone } = await apns(t);
  await client.send(phone());
  service.hold = new Promise(() => {});
  const outcomes = Promise.all(Array.from({ length: 5 }, () => client.send(phone())));
  await until(() => service.arrived === 6);
  service.hold = undefined;
  service.cut();
  assert.deepEqual(new Set((await outcomes).map(({ kind }) => kind)), new Set(['sent']));
  service.faults.set('*', { times: 1, status: 0, reason: 'Silence' });
  const connections = service.connections;
  assert.deepEqual(await client.send(phone()), { kind: 'retry', reason: 'Timeout' });
  assert.equal((await client.send(phone())).kind, 'sent');
  assert.equal(service.connections, connections + 1, 'the connection that hung is not used again');
});

test('our certificate: expired is known without asking; one that APNs does not take is a refusal, not a retry', async (t) => {
  const { service, endpoint, phone } = await apns(t);
  const expired = parsePushCertificate(service.issue(TOPIC, -1));
  const honest = new PushClient(endpoint, expired);
  assert.deepEqual(await honest.send(phone()), { kind: 'refused', reason: 'CertificateExpired' });
  assert.equal(service.connections, 0);
  const slow = new PushClient(endpoint, expired, () => expired.certificate.notAfter - 1);
  const foreign = new PushClient(endpoint, parsePushCertificate(new PushService().issue(TOPIC)));
  for (const client of [slow, foreign]) {
    assert.deepEqual(await client.send(phone()), { kind: 'refused', reason: 'BadCertificate' });
    client.close();
  }
});

/** Files of a foreign server, and the server itself; gone when the test ends. */
async function foreign(
  t: TestContext,
  service: PushService,
  program: string,
  args: (file: Files, port: number) => string[],
) {
  const dir = mkdtempSync(join(tmpdir(), 'btz-push-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const { key, certificate } = service.serverIdentity();
  const files = { ca: file('ca.pem', service.ca), key: file('key.pem', key), certificate: file('c.pem', certificate) };
  const port = await freePorts();
  const server = spawn(program, args({ ...files, dir }, port), { stdio: ['pipe', 'ignore', 'ignore'] });
  t.after(() => {
    server.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  const url = `https://127.0.0.1:${port}`;
  for (let tried = 0; !(await answers(port)); tried += 1) {
    assert.ok(tried < 100, `${program} did not start`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { url, ca: service.ca, timeoutMs: 1_500 };
}

type Files = Readonly<Record<'ca' | 'key' | 'certificate' | 'dir', string>>;

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(() => resolve(true)));
    socket.on('error', () => resolve(false));
  });

test('nghttpd, an HTTP/2 server of others that asks for a client certificate, takes our requests', async (t) => {
  const service = new PushService();
  const endpoint = await foreign(t, service, 'nghttpd', ({ key, certificate, dir }, port) => [
    ...['--verify-client', '-a', '127.0.0.1', '-d', dir, String(port), key, certificate],
  ]);
  const client = new PushClient(endpoint, readPushCertificate(service.issue(TOPIC), Date.now()));
  // It serves files: that it says so means that handshake, client certificate and request were good.
  const push = { token: randomBytes(32), magic: 'a magic', expiration };
  assert.deepEqual(await client.send(push), { kind: 'refused', reason: 'Status404' });
  client.close();
});

test('openssl s_server, which verifies client certificates in the handshake: an alert is a refusal of our certificate', async (t) => {
  const service = new PushService();
  const endpoint = await foreign(t, service, 'openssl', ({ ca, key, certificate }, port) => [
    ...['s_server', '-accept', `127.0.0.1:${port}`, '-key', key, '-cert', certificate, '-CAfile', ca, '-alpn', 'h2'],
    ...['-Verify', '1', '-verify_return_error', '-quiet'],
  ]);
  const push = { token: randomBytes(32), magic: 'a magic', expiration };
  const expired = parsePushCertificate(service.issue(TOPIC, -1));
  for (const [certificate, outcome] of [
    [expired, { kind: 'refused', reason: 'CertificateRefused' }],
    [parsePushCertificate(new PushService().issue(TOPIC)), { kind: 'refused', reason: 'CertificateRefused' }],
    // The good one passes the handshake; s_server has no HTTP/2 to answer with.
    [parsePushCertificate(service.issue(TOPIC)), { kind: 'retry', reason: 'Timeout' }],
  ] as const) {
    const client = new PushClient(endpoint, certificate, () => expired.certificate.notAfter - 1);
    assert.deepEqual(await client.send(push), outcome);
    client.close();
  }
});

test('the way there: an endpoint that nobody vouches for, and one that is not there, are tried again later', async (t) => {
  const { service, endpoint, client, phone } = await apns(t);
  const certificate = readPushCertificate(service.issue(TOPIC), Date.now());
  const other = new PushClient({ url: endpoint.url, ca: new PushService().ca }, certificate);
  assert.deepEqual(await other.send(phone()), { kind: 'retry', reason: 'EndpointNotTrusted' });
  assert.equal(service.pushed.length, 0);
  await service.close();
  assert.deepEqual(await client.send(phone()), { kind: 'retry', reason: 'Unreachable' });
});

test('the canary tells whether APNs takes our pushes, and wakes nobody', async (t) => {
  const { service, client, endpoint } = await apns(t);
  assert.equal(await client.canary(), 'accepted');
  const wrong = new PushClient(endpoint, readPushCertificate(service.issue(`${TOPIC}.other`), Date.now()));
  assert.equal(await wrong.canary(), 'accepted');
  service.faults.set('*', { times: 1, status: 403, reason: 'BadCertificate' });
  assert.equal(await client.canary(), 'BadCertificate');
  assert.equal(service.pushed.length, 0);
  wrong.close();
});

test('a push certificate is read with its chain in any order; what does not fit is refused with a reason', () => {
  const service = new PushService();
  const pem = service.issue(TOPIC);
  assert.equal(readPushCertificate(`${service.ca}${pem}`, Date.now()).topic, TOPIC);
  assert.ok(readDer(readPushCertificate(pem, Date.now()).certificate.der));
  const key = /-----BEGIN PRIVATE KEY[\s\S]+/.exec(service.issue(TOPIC))![0];
  assert.throws(
    () => readPushCertificate(pem.replace(/-----BEGIN PRIVATE KEY[\s\S]+/, key), Date.now()),
    /does not belong/,
  );
  assert.throws(() => readPushCertificate(service.issue(TOPIC, -1), Date.now()), /expired on .*same Apple ID/);
  assert.throws(() => readPushCertificate(service.issue('org.example.app'), Date.now()), /not an MDM push certificate/);
  assert.throws(() => readPushCertificate(service.ca, Date.now()), /private key/);
});
