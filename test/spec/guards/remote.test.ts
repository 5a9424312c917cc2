import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect, createServer as createTls, type TLSSocket } from 'node:tls';
import { LEDGER_CALLERS, type LedgerCaller, ledgerDoors, serveRemote } from '#guard';
import { encodeFrame, FRAME_BYTES, GUARD_PROTOCOL, guardClient, LEDGER_NAME } from '#seal';
import { fromPem, issueCertificate, parseCertificate, toPem } from '#wire';
import { bundles, prepareHosts, renewHosts } from '../../../src/run/hosts.ts';
import { Guards, newBrowser, person, SILENT, touch } from './fixture.ts';

const guards = await Guards.start();
const folder = mkdtempSync(join(tmpdir(), 'btz-r'));
const where = { host: '127.0.0.1', port: 1 };
prepareHosts(folder, where, { days: 30, now: Date.now() });
const other = join(folder, 'other');
prepareHosts(other, where, { days: 30, now: Date.now() });
const { authority, ledger: ledgerHost, first } = bundles(folder);
const told: string[] = [];
const logger = { ...SILENT, warn: (_: string, fields?: object) => void told.push(JSON.stringify(fields)) };
const served = await serveRemote({
  ...{ host: '127.0.0.1', port: 0, folder: ledgerHost, callers: LEDGER_CALLERS, doors: ledgerDoors(guards.ledger) },
  ...{ clock: guards.clock, logger },
});
after(async () => {
  await served.close();
  await guards.close();
  rmSync(folder, { recursive: true, force: true });
});

const doorOf = (caller: string, port = served.port, bundle = first) => ({
  ...{ host: '127.0.0.1', port, ca: join(bundle, 'authority.pem') },
  ...{ cert: join(bundle, `${caller}.pem`), key: join(bundle, `${caller}.key`) },
});
const clientOf = (caller: string, options: { port?: number; timeoutMs?: number; bundle?: string } = {}) => {
  const client = guardClient(doorOf(caller, options.port, options.bundle), { name: 'ledger', ...options });
  after(() => client.close());
  return client;
};

/** An attacker's own TLS: sends what it is told and collects what comes back until the end. */
function attack(options: ConnectionOptions, bytes: Buffer): Promise<{ answer: string; failed: string }> {
  return new Promise((resolve) => {
    let [answer, failed] = ['', ''];
    const socket = connect({
      ...{ host: '127.0.0.1', port: served.port, servername: LEDGER_NAME, ALPNProtocols: [GUARD_PROTOCOL] },
      ...{ rejectUnauthorized: false, ...options },
    });
    socket.on('secureConnect', () => socket.write(bytes));
    socket.on('data', (part: Buffer) => {
      answer += part.toString();
      socket.destroy();
    });
    socket.on('error', (error: Error & { code?: string }) => {
      failed = error.code ?? error.message;
    });
    socket.on('close', () => resolve({ answer, failed }));
    setTimeout(() => socket.destroy(), 3_000).unref();
  });
}

const pair = (bundle: string, name: string) => ({
  cert: readFileSync(join(bundle, `${name}.pem`)),
  key: readFileSync(join(bundle, `${name}.key`)),
});
const ca = {
  certificate: parseCertificate(fromPem(readFileSync(join(authority, 'authority.pem'), 'utf8'))),
  key: createPrivateKey(readFileSync(join(authority, 'authority.key'))),
};
/** A certificate of the true authority, made with its key: what a thief of that key could make. */
function issued(commonName: string, options: { days?: number; usage?: 'device' | 'server' } = {}) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const { days = 5, usage = 'device' } = options;
  const names = usage === 'server' ? { addresses: [LEDGER_NAME] } : {};
  const made = issueCertificate(ca, { spki, commonName, days, usage, ...names, now: Date.now() });
  return {
    cert: Buffer.from(toPem('CERTIFICATE', made.der)),
    key: Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }) as string),
    made,
  };
}
const status = encodeFrame({ id: 1, type: 'status', body: {} });
const spent = encodeFrame({ id: 1, type: 'spent', body: {} });

test('a caller with its certificate is served, each through its own doors only', async () => {
  const through = clientOf('core');
  assert.ok((await through.call<{ size: number }>('status', {})).size > 0);
  assert.ok((await clientOf('sealer').call<{ time: number }>('spent', {})).time > 0);
  await assert.rejects(clientOf('glass').call('spent', {}), { code: 'dropped' });
  await assert.rejects(clientOf('console').call('open', {}), { code: 'dropped' });
});

test('a whole reveal through the line, and none with somebody else’s certificate', async () => {
  const [row] = await guards.settle({ [person(0)]: 'value' });
  const grant = guards.grant(newBrowser(), [person(0)]);
  const body = { grant, assertion: touch(guards.passkey(), grant), rows: [row!] };
  for (const caller of LEDGER_CALLERS.filter((one) => one !== 'sealer'))
    await assert.rejects(clientOf(caller).call('open', body), { code: 'dropped' });
  const { inner } = await clientOf('sealer').call<{ inner: object[] }>('open', body);
  assert.equal(inner.length, 1);
  await assert.rejects(clientOf('sealer').call('open', body), { code: 'used' });
});

const listed = JSON.parse(readFileSync(join(ledgerHost, 'callers.json'), 'utf8')) as Record<string, string[]>;
const list = (callers: object) => {
  writeFileSync(join(ledgerHost, 'callers.new'), JSON.stringify(callers));
  renameSync(join(ledgerHost, 'callers.new'), join(ledgerHost, 'callers.json'));
};

const expired = issued('sealer', { days: -0.01 });
const unlisted = issued('sealer');
const attacks: readonly [string, ConnectionOptions, Buffer][] = [
  ['no certificate', {}, status],
  ['a certificate of another authority', pair(bundles(other).first, 'sealer'), spent],
  ['a certificate of the true authority that is on no list', unlisted, spent],
  ['the founding certificate', pair(first, 'founding'), status],
  ['the ledger’s own certificate', pair(ledgerHost, 'ledger'), status],
  ['an expired certificate', expired, spent],
  ['TLS 1.2', { ...pair(first, 'sealer'), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }, spent],
  ['another protocol', { ...pair(first, 'sealer'), ALPNProtocols: ['http/1.1'] }, spent],
  ['no protocol at all', { ...pair(first, 'sealer'), ALPNProtocols: [] }, spent],
  ['a certificate without its key', { cert: pair(first, 'sealer').cert, key: unlisted.key }, spent],
];
for (const [name, options, bytes] of attacks) {
  test(`${name} gets no answer`, async () => {
    // The expired one stands on the list: it is the end that is tested.
    if (name.startsWith('an expired')) list({ ...listed, sealer: [...listed['sealer']!, hex(expired)] });
    let answer = '';
    try {
      ({ answer } = await attack(options, bytes));
    } catch (error) {
      assert.match(String(error), /key values mismatch|key/i);
    }
    list(listed);
    assert.equal(answer, '');
    assert.ok((await clientOf('core').call<{ size: number }>('status', {})).size > 0, 'others are served');
  });
}

const hex = (one: { made: { sha256: Buffer } }) => one.made.sha256.toString('hex');

test('a certificate that is listed under another name than its own is nobody', async () => {
  const wrong = issued('core');
  list({ ...listed, sealer: [...listed['sealer']!, hex(wrong)] });
  assert.equal((await attack(wrong, spent)).answer, '');
  assert.equal((await attack(wrong, status)).answer, '');
  list({ ...listed, core: [...listed['core']!, hex(wrong)] });
  assert.match((await attack(wrong, status)).answer, /"ok"/, 'it was the name');
  list({ ...listed, sealer: [hex(unlisted)], core: [hex(unlisted)] });
  assert.equal((await attack(unlisted, status)).answer, '', 'a list that contradicts itself admits nobody');
  writeFileSync(join(ledgerHost, 'callers.json'), '{');
  assert.equal((await attack(pair(first, 'core'), status)).answer, '', 'nor does one that cannot be read');
  list(listed);
});

test('frames over the wire are held to the same rules: too long, empty, no JSON', async () => {
  const long = Buffer.alloc(4);
  long.writeUInt32BE(FRAME_BYTES + 1);
  for (const bytes of [
    long,
    Buffer.alloc(4),
    Buffer.from([0, 0, 0, 1, 0x7b]),
    encodeFrame({ id: 1, type: 'x', body: {} }),
  ])
    assert.equal((await attack(pair(first, 'core'), bytes)).answer, '');
});

test('what was recorded on the line is worth nothing when it is sent again', async () => {
  const recorded: Buffer[] = [];
  const relay = createServer((near) => {
    const far = connectTcp(served.port, '127.0.0.1');
    near.on('data', (part: Buffer) => void recorded.push(part));
    near.pipe(far).pipe(near);
    for (const end of [near, far]) end.on('error', () => {});
    near.on('close', () => far.destroy());
  });
  const port = await listening(relay);
  const client = clientOf('core', { port });
  await client.call('lock', { scope: 'admin', target: 'admin-zoe', reason: 'a test' });
  client.close();
  await new Promise((done) => relay.close(done));
  const before = guards.ledger.log.tree.size;
  const answer = await new Promise<Buffer>((resolve) => {
    const parts: Buffer[] = [];
    const again = connectTcp(served.port, '127.0.0.1', () => again.write(Buffer.concat(recorded)));
    again.on('data', (part: Buffer) => void parts.push(part));
    again.on('error', () => {});
    again.on('close', () => resolve(Buffer.concat(parts)));
  });
  // With its quotes: two bytes alone come up by chance in what is encrypted.
  assert.ok(recorded.length > 1 && !answer.includes('"ok"'));
  assert.equal(guards.ledger.log.tree.size, before, 'nothing happened');
});

test('a session is not resumed: the list is asked at every connection', async () => {
  let session: Buffer | undefined;
  const early = connect({ ...base(), ...pair(first, 'core') });
  early.on('session', (one: Buffer) => {
    session = one;
  });
  await new Promise((done) => early.once('secureConnect', done));
  early.write(status);
  await new Promise((done) => early.once('data', done));
  early.destroy();
  if (session !== undefined) {
    const again = connect({ ...base(), ...pair(first, 'core'), session });
    again.on('error', () => {});
    const reused = await new Promise<boolean>((done) => {
      again.once('secureConnect', () => done(again.isSessionReused()));
      again.once('close', () => done(false));
    });
    again.destroy();
    assert.equal(reused, false);
  }
});
const base = () => ({
  host: '127.0.0.1',
  port: served.port,
  servername: LEDGER_NAME,
  ALPNProtocols: [GUARD_PROTOCOL],
  rejectUnauthorized: false,
});

test('whoever is taken off the list is cut off while connected, and back once listed', async () => {
  const client = clientOf('intake');
  await client.call('decoys', { handles: [] });
  const { intake: _, ...rest } = listed;
  list(rest);
  const held = connect({ ...base(), ...pair(first, 'intake') });
  held.on('error', () => {});
  await new Promise((done) => held.once('close', done));
  await sleep(1_200);
  await assert.rejects(client.call('decoys', { handles: [] }));
  assert.ok(told.some((one) => one.includes('does not count any more')));
  list(listed);
  await client.call('decoys', { handles: [] }).catch(() => {});
  await client.call('decoys', { handles: [] });
});

test('certificates are renewed with both in force, without a restart', async () => {
  const old = join(folder, 'old');
  mkdirSync(old);
  for (const file of ['authority.pem', 'core.pem', 'core.key']) copyFileSync(join(first, file), join(old, file));
  renewHosts(folder, { days: 60, now: Date.now() });
  const [present, renewed] = [clientOf('core', { bundle: old }), clientOf('core')];
  await present.call('status', {});
  await renewed.call('status', {});
  await sleep(1_200);
  const socket = connect({ ...base(), ...pair(first, 'core') });
  await new Promise((done) => socket.once('secureConnect', done));
  const shown = Date.parse(socket.getPeerX509Certificate()!.validTo) - Date.now();
  socket.destroy();
  assert.ok(shown > 50 * 86_400_000, 'the ledger shows its new certificate');
  renewHosts(folder, { days: 60, now: Date.now() });
  await assert.rejects(clientOf('core', { bundle: old }).call('status', {}), 'the one before the last is gone');
  assert.ok(!existsSync(join(first, 'founding.key')), 'a renewal founds nothing');
});

test('a caller gives its request to nobody who is not the ledger', async () => {
  for (const [name, options] of [
    ['another authority', pair(bundles(other).ledger, 'ledger')],
    ['a caller’s certificate', pair(first, 'core')],
    ['another name', issued('x')],
    ['TLS 1.2', { ...pair(ledgerHost, 'ledger'), maxVersion: 'TLSv1.2' as const }],
    ['another protocol', { ...pair(ledgerHost, 'ledger'), ALPNProtocols: ['h2'] }],
  ] as const) {
    let heard = '';
    const liar = createTls(
      {
        requestCert: true,
        rejectUnauthorized: false,
        ...options,
        ...('ALPNProtocols' in options ? {} : { ALPNProtocols: [GUARD_PROTOCOL] }),
      },
      (socket: TLSSocket) => {
        socket.on('data', (part: Buffer) => {
          heard += part.toString();
        });
        socket.on('error', () => {});
      },
    );
    liar.on('tlsClientError', () => {});
    const port = await listening(liar);
    await assert.rejects(clientOf('sealer', { port }).call('spent', {}), { code: 'unreachable' }, name);
    await new Promise((done) => liar.close(done));
    assert.equal(heard, '', name);
  }
});

test('a line that freezes opens nothing, is given up, and is found again by itself', async () => {
  const lines = new Set<Socket>();
  let frozen = false;
  const relay = createServer((near) => {
    const far = connectTcp(served.port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      lines.add(from);
      from.on('data', (part: Buffer) => void (frozen ? undefined : to.write(part)));
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
  });
  const port = await listening(relay);
  const client = clientOf('sealer', { port, timeoutMs: 300 });
  await client.call('spent', {});
  const size = guards.ledger.log.tree.size;
  frozen = true;
  const grant = guards.grant(newBrowser(), [person(0)], { admin: 'admin-ben' });
  const body = { grant, assertion: touch(guards.passkey(1), grant), rows: [] };
  await assert.rejects(client.call('open', body), { code: 'timeout' });
  frozen = false;
  await client.call('spent', {});
  assert.equal(guards.ledger.log.tree.size, size, 'a request that nobody waits for any more is not sent later');
  for (const line of lines) line.destroy();
  await new Promise((done) => relay.close(done));
});

test('a line of 40 ms and single bytes carries a reveal', async () => {
  const relay = createServer((near) => {
    const far = connectTcp(served.port, '127.0.0.1');
    const slowly = (from: Socket, to: Socket) => {
      let before = Promise.resolve();
      from.on('data', (part: Buffer) => {
        before = before.then(async () => {
          await sleep(40);
          for (let at = 0; at < part.length; at += 97) to.write(part.subarray(at, at + 97));
        });
      });
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    };
    slowly(near, far);
    slowly(far, near);
  });
  const client = clientOf('sealer', { port: await listening(relay) });
  const at = performance.now();
  await client.call('spent', {});
  assert.ok(performance.now() - at > 80);
  client.close();
  await new Promise((done) => relay.close(done));
});

test('strangers cannot use up the callers’ places, and one caller’s are bounded', async () => {
  const crowd = Array.from({ length: 150 }, () => connectTcp(served.port, '127.0.0.1').on('error', () => {}));
  await sleep(100);
  assert.ok((await clientOf('core').call<{ size: number }>('status', {})).size > 0);
  for (const one of crowd) one.destroy();
  const own = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const socket = connect({ ...base(), ...pair(first, 'glass') });
      socket.on('error', () => {});
      socket.write(status);
      const answered = await new Promise<boolean>((done) => {
        socket.once('data', () => done(true));
        socket.once('close', () => done(false));
      });
      return { socket, answered };
    }),
  );
  assert.equal(own.filter((one) => one.answered).length, 32);
  for (const { socket } of own) socket.destroy();
});

function listening(server: {
  listen(port: number, host: string, then: () => void): unknown;
  address(): unknown;
}): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}

test('every caller of the ledger has a certificate of its own', () => {
  const fingerprints = LEDGER_CALLERS.flatMap((caller: LedgerCaller) => listed[caller]!);
  assert.equal(new Set(fingerprints).size, LEDGER_CALLERS.length);
});
