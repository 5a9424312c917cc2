import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { Ledger, Sealer } from '#guard';
import { Keeper, type KeySettings, parseKeySettings, serveKeeper } from '#keeper';
import { encodeFrame, type GuardClient, guardClient, type SealedRow, x25519Private, x25519Secret } from '#seal';
import { Guards, ORG, ORIGIN, person, SILENT } from '../spec/guards/fixture.ts';
import { localCertificate, TransitPeer } from './transit-peer.ts';

// Where the organisation's key lives: each source with the real tool or a peer over real TLS, what it takes to lose it, and
// what a thief of the sealer's folder has.
const MODULE = '/usr/lib/softhsm/libsofthsm2.so';
const PIN = '731904';
const HOUR = 3_600_000;
const code = (expected: string) => ({ code: expected });

let guards: Guards;
let rows: SealedRow[];
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  guards = await Guards.start();
  rows = await guards.settle({ [person(1)]: 'one', [person(2)]: 'two' });
});
afterEach(async () => {
  await guards.close();
  for (const work of cleanups.splice(0).reverse()) await work();
});
after(() => undefined);

const values = { [person(1)]: 'one', [person(2)]: 'two' };
const state = async () =>
  (await guards.client('sealer', 'console').call<{ keys: { state: string } }>('status', {})).keys.state;

interface Kept {
  readonly keeper: Keeper;
  operator(type: string, body?: object): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

/** Starts a keeper with these settings, and the sealer with it. */
async function startKeeper(settings: KeySettings): Promise<Kept> {
  const folder = join(guards.folder, 'keeper');
  const keeper = new Keeper({ state: folder, settings: parseKeySettings(settings), log: SILENT, timeoutMs: 700 });
  const path = (caller: string) => join(guards.folder, 'run', `keeper-${caller}`);
  const served = [
    await serveKeeper({ path: path('sealer'), caller: 'sealer', keeper, log: SILENT }),
    await serveKeeper({ path: path('operator'), caller: 'operator', keeper, log: SILENT }),
  ];
  const client: GuardClient = guardClient(path('sealer'), { name: 'keeper' });
  const operator = guardClient(path('operator'), { name: 'keeper' });
  guards.sources = { keeper: client, keySource: settings.next };
  const stop = async () => {
    client.close();
    operator.close();
    for (const one of served) await one.close();
  };
  cleanups.push(stop);
  await guards.stopSealer();
  await guards.startSealer();
  return { keeper, operator: (type, body = {}) => operator.call(type, body), stop };
}

/** From the founding file to the source under test, to the end: the file is destroyed. */
async function moveOver(): Promise<SealedRow[]> {
  await guards.promote(await guards.staged());
  const fresh = await guards.reseal(rows);
  guards.now = Date.now() + HOUR;
  const ended = await guards.client('sealer', 'core').call<{ retired: boolean }>('reseal', { rows: [] });
  assert.equal(ended.retired, true);
  assert.ok(!existsSync(join(guards.folder, 'sealer', 'organisation.key')));
  return fresh;
}

/** The sealer's whole folder in a thief's hands: no file of it, however read, is the key in force. */
function stolenFolderHasNoKey(): void {
  const folder = join(guards.folder, 'sealer');
  const { key } = guards.sealer.keys.current;
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name));
    for (let at = 0; at + 32 <= bytes.length; at++) {
      // Every run of 32 bytes as a private key; as text the record holds public keys only.
      if (name.endsWith('.json')) continue;
      const secret = bytes.subarray(at, at + 32);
      assert.notEqual(publicOfSecret(secret), key, name);
    }
  }
}
const publicOfSecret = (secret: Uint8Array): string => {
  const spki = x25519Private(secret).export({ format: 'jwk' }) as { x: string };
  return spki.x;
};

/** A sealer that a thief starts elsewhere with the folder alone. */
async function thiefsSealer(): Promise<string> {
  const folder = join(guards.folder, 'stolen');
  cpSync(join(guards.folder, 'sealer'), folder, { recursive: true });
  const { ledger: ledgerKey, release: releaseKey } = guards.keys;
  const ledger = guardClient(join(guards.folder, 'nowhere'), { name: 'ledger' });
  const stolen = new Sealer({
    ...{ org: ORG, state: folder, origin: ORIGIN, caps: guards.caps, clock: guards.clock, logger: SILENT },
    ...{ ledgerKey, releaseKey, ledger },
  });
  await stolen.loading.catch(() => {});
  return stolen.keys.state;
}

test('a file: whoever copies the folder has the key, and the grade says so', async () => {
  assert.equal(guards.sealer.keys.status().current.grade, 'D');
  const stolen = x25519Secret(readFileSync(join(guards.folder, 'sealer', 'organisation.key')));
  assert.equal(publicOfSecret(stolen), guards.sealer.keys.current.key);
  assert.equal(await thiefsSealer(), 'open');
});

test('a credential of systemd: as systemd provides it, and through systemd-creds where it works', async () => {
  const folder = join(guards.folder, 'credentials');
  mkdirSync(folder, { mode: 0o700 });
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), randomBytes(32)]);
  // systemd-creds encrypts for this machine; systemd decrypts into a folder that the unit alone reads.
  const plain = join(guards.folder, 'plain');
  writeFileSync(plain, der);
  const encrypted = join(guards.folder, 'organisation-2.cred');
  const creds = (...args: string[]) => execFileSync('systemd-creds', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  creds('encrypt', '--with-key=host', '--name=organisation-2', plain, encrypted);
  assert.ok(!readFileSync(encrypted).includes(der.subarray(16)), 'at rest it is encrypted');
  assert.throws(() => creds('decrypt', '--name=organisation-3', encrypted, '-'), 'and bound to its name');
  writeFileSync(join(folder, 'organisation-2'), creds('decrypt', '--name=organisation-2', encrypted, '-'), {
    mode: 0o400,
  });
  chmodSync(folder, 0o500);
  guards.sources = { credentials: folder, keySource: 'credential' };
  await guards.stopSealer();
  await guards.startSealer();
  const fresh = await moveOver();
  assert.equal(guards.sealer.keys.status().current.grade, 'C');
  assert.deepEqual(await guards.reveal(fresh), values);
  stolenFolderHasNoKey();
  assert.equal(await thiefsSealer(), 'locked-at-boot');
  // The other keys of the guards too: from credentials, with no file beside them.
  const keysOf = { ledger: ['outer.key', 'receipts.key', 'log.key'], sealer: ['signing.key'] } as const;
  chmodSync(folder, 0o700);
  for (const [guard, names] of Object.entries(keysOf)) {
    for (const name of names) renameSync(join(guards.folder, guard, name), join(folder, name));
  }
  await guards.stopSealer();
  await guards.stopLedger();
  await assert.rejects(Ledger.open(guards.ledgerOptions()), code('not-founded'));
  guards.credentials = folder;
  await guards.startLedger();
  await guards.startSealer();
  assert.deepEqual(await guards.reveal(fresh, {}, 1), values);
  assert.ok(guards.sealer.resealing.notice !== undefined, 'the sealer vouches for its key with the credential');
  // Another key under the same name is not taken, and none at all neither.
  await guards.stopSealer();
  chmodSync(folder, 0o700);
  rmSync(join(folder, 'organisation-2'));
  der.fill(7, 16);
  writeFileSync(join(folder, 'organisation-2'), der);
  await guards.startSealer();
  assert.equal(await state(), 'locked-at-boot');
  await assert.rejects(guards.reveal(fresh), code('locked-at-boot'));
  renameSync(join(folder, 'signing.key'), join(guards.folder, 'sealer', 'signing.key'));
  guards.sources = { keySource: 'credential' };
  await guards.stopSealer();
  await guards.startSealer();
  await assert.rejects(guards.client('sealer', 'console').call('stage', {}), code('no-source'));
});

test('a PKCS #11 token: the key is made in it and never leaves it; a killed token process opens nothing', async (t) => {
  const dir = join(guards.folder, 'hsm');
  mkdirSync(join(dir, 'tokens'), { recursive: true });
  const conf = `directories.tokendir = ${join(dir, 'tokens')}\nobjectstore.backend = file\n`;
  writeFileSync(join(dir, 'softhsm2.conf'), conf);
  writeFileSync(join(dir, 'pin'), `${PIN}\n`, { mode: 0o600 });
  const environment = { SOFTHSM2_CONF: join(dir, 'softhsm2.conf') };
  const env = { ...process.env, ...environment };
  const tool = (...args: string[]) =>
    execFileSync('pkcs11-tool', ['--module', MODULE, '--token-label', 'bartizan', '--login', '--pin', PIN, ...args], {
      ...{ env, stdio: ['ignore', 'pipe', 'pipe'] },
    }).toString();
  execFileSync(
    'softhsm2-util',
    ['--init-token', '--free', '--label', 'bartizan', '--pin', PIN, '--so-pin', '9'.repeat(8)],
    { env, stdio: 'ignore' },
  );
  const pkcs11 = { module: MODULE, token: 'bartizan', pinFile: join(dir, 'pin'), environment };
  let kept = await startKeeper({ next: 'pkcs11', pkcs11 });
  const startedAt = performance.now();
  const fresh = await moveOver();
  t.diagnostic(`two rows moved into the token's key in ${Math.round(performance.now() - startedAt)} ms`);
  const { current } = guards.sealer.keys.status();
  assert.deepEqual([current.grade, current.source, Buffer.from(current.key, 'base64url').length], ['B', 'pkcs11', 65]);
  assert.equal(fresh[0]!.row.length, rows[0]!.row.length, 'rows are of one size whatever the key is');
  const opening = performance.now();
  assert.deepEqual(await guards.reveal(fresh), values);
  t.diagnostic(`a reading of two rows took ${Math.round(performance.now() - opening)} ms`);
  stolenFolderHasNoKey();
  assert.equal(await thiefsSealer(), 'locked-at-boot');

  // With the PIN in hand and the token in reach: CKA_VALUE is not given out.
  const listed = tool('--list-objects', '--type', 'privkey');
  const id = /^ *ID: +([0-9a-f]+)/m.exec(listed)![1]!;
  assert.match(listed, /sensitive, always sensitive, never extract/);
  const thief = execFileSync('python3', [join(import.meta.dirname, 'cka-value.py'), MODULE, 'bartizan', PIN, id], {
    env,
  });
  const answers = JSON.parse(thief.toString()) as Record<string, number | boolean>;
  // CKR_ATTRIBUTE_SENSITIVE, and no way to change that or to copy it away.
  assert.deepEqual([answers['value'], answers['leaked']], [0x11, false]);
  assert.ok(answers['change'] !== 0 && answers['copy'] !== 0, thief.toString());
  // The keeper owned: points that are not on the curve do not reach the token.
  const off = Buffer.alloc(65, 9);
  off[0] = 4;
  await assert.rejects(kept.keeper.derive(current.key, [off.toString('base64url')]), code('key'));

  // The keeper dies in the midst of a reading.
  const glass = guards.client('sealer', 'glass');
  const reading = guards.reveal(fresh, {}, 1, glass);
  setTimeout(() => void kept.stop(), 5);
  const outcome = await reading.then(
    (opened) => opened,
    (error: Error & { code: string }) => error.code,
  );
  // Either it was quick enough or nothing was opened; never a part of it.
  assert.ok(
    ['dropped', 'unreachable', 'timeout'].includes(String(outcome)) || typeof outcome === 'object',
    String(outcome),
  );
  await kept.stop();
  await assert.rejects(guards.reveal(fresh, {}, 1, glass), code('unreachable'));
  kept = await startKeeper({ next: 'pkcs11', pkcs11 });
  assert.deepEqual(await guards.reveal(fresh, {}, 2), values);

  // A token that was put in the place of the right one.
  await guards.stopSealer();
  tool('--delete-object', '--type', 'privkey', '--id', id);
  tool('--delete-object', '--type', 'pubkey', '--id', id);
  tool('--keypairgen', '--key-type', 'EC:prime256v1', '--usage-derive', '--id', id, '--label', 'another');
  await guards.startSealer();
  assert.equal(await state(), 'locked-at-boot');
  await assert.rejects(guards.sealer.keys.load(), code('wrong-key'));
});

test('a key service over TLS: unwraps at each start; wrong, slow, sealed and false answers open nothing', async () => {
  const certificate = localCertificate(join(guards.folder, 'tls'));
  const peer = new TransitPeer(certificate);
  const url = await peer.start();
  cleanups.push(() => peer.stop());
  const tokenFile = join(guards.folder, 'token');
  writeFileSync(tokenFile, `${peer.token}\n`);
  const kms = { url, key: 'bartizan', tokenFile, ca: certificate.ca };
  const kept = await startKeeper({ next: 'kms', kms });
  const fresh = await moveOver();
  assert.equal(guards.sealer.keys.status().current.grade, 'B');
  stolenFolderHasNoKey();
  assert.equal(await thiefsSealer(), 'locked-at-boot');
  const box = JSON.parse(readFileSync(join(guards.folder, 'keeper', 'kept.json'), 'utf8')) as { keys: object[] };
  assert.equal(box.keys.length, 1, 'the keeper keeps what the service wrapped, and nothing else');

  const restart = async () => {
    await guards.stopSealer();
    await guards.startSealer();
    return state();
  };
  peer.asked.length = 0;
  assert.equal(await restart(), 'open');
  assert.deepEqual(peer.asked, ['decrypt'], 'asked once at the start, never for a reading');
  assert.deepEqual(await guards.reveal(fresh), values);
  assert.deepEqual(peer.asked, ['decrypt']);
  for (const [mood, expected] of [
    ['another-key', 'refused'],
    ['wrong', 'wrong-key'],
    ['slow', 'unreachable'],
    ['sealed', 'unreachable'],
    ['garbage', 'refused'],
    ['long', 'refused'],
  ] as const) {
    peer.mood = mood;
    assert.equal(await restart(), 'locked-at-boot', mood);
    await assert.rejects(guards.sealer.keys.load(), code(expected), mood);
    await assert.rejects(guards.reveal(fresh), code('locked-at-boot'), mood);
  }
  peer.mood = 'good';
  writeFileSync(tokenFile, 'stolen-or-expired\n');
  assert.equal(await restart(), 'locked-at-boot');
  await assert.rejects(guards.sealer.keys.load(), code('refused'));
  writeFileSync(tokenFile, `${peer.token}\n`);
  await guards.sealer.tend();
  assert.equal(await state(), 'open', 'once the service answers again, the sealer is open by itself');
  assert.deepEqual(await guards.reveal(fresh, {}, 1), values);

  // Somebody else's certificate in the service's place.
  await kept.stop();
  const other = localCertificate(join(guards.folder, 'other-tls'));
  await startKeeper({ next: 'kms', kms: { ...kms, ca: other.ca } });
  assert.equal(await state(), 'locked-at-boot');
  await assert.rejects(guards.sealer.keys.load(), code('unreachable'));
});

test('a quorum: people bring shares at each start; too few, mistyped and foreign ones do not do', async () => {
  const kept = await startKeeper({ next: 'quorum', quorum: { shares: 3, of: 5 } });
  const document = await guards.staged();
  // Nobody has fetched the shares yet: what nobody could bring back must not come into force.
  await assert.rejects(guards.promote(document), code('waiting'));
  const shares = ((await kept.operator('fetch')) as { shares: string[] }).shares;
  assert.equal(shares.length, 5);
  await assert.rejects(kept.operator('fetch'), code('share'));
  await assert.rejects(guards.promote(document), code('waiting'));
  const bring = (share: string) => kept.operator('share', { share });
  for (const share of shares.slice(0, 3)) await bring(share);
  await guards.promote(document);
  const fresh = await guards.reseal(rows);
  guards.now = Date.now() + HOUR;
  await guards.client('sealer', 'core').call('reseal', { rows: [] });
  assert.equal(guards.sealer.keys.status().current.grade, 'A');
  assert.deepEqual(await guards.reveal(fresh), values);
  stolenFolderHasNoKey();
  assert.equal(await thiefsSealer(), 'locked-at-boot');
  const secrets = readFileSync(join(guards.folder, 'keeper', 'kept.json'), 'utf8');
  assert.ok(
    shares.every((share) => !secrets.includes(share.split('.')[3]!)),
    'no share is on the keeper’s disk',
  );

  await guards.stopSealer();
  await guards.startSealer();
  assert.equal(await state(), 'locked-at-boot');
  await assert.rejects(guards.reveal(fresh), code('locked-at-boot'));
  assert.deepEqual(await bring(shares[4]!), { have: 1, need: 3, complete: false });
  assert.deepEqual(await bring(shares[4]!), { have: 1, need: 3, complete: false }, 'the same share counts once');
  await bring(shares[1]!);
  await guards.sealer.tend();
  assert.equal(await state(), 'locked-at-boot', 'two of three are none');
  const bent = shares[2]!.replace(/.(?=\.[^.]{6}$)/, (c) => (c === 'A' ? 'B' : 'A'));
  await assert.rejects(bring(bent), code('share'));
  // A false share that is well typed: the check of the box tells, and a further true one helps.
  const forged = forge(shares[2]!);
  await assert.rejects(bring(forged), code('share'));
  await guards.sealer.tend();
  assert.equal(await state(), 'locked-at-boot');
  assert.equal((await bring(shares[0]!))['complete'], true);
  await guards.sealer.tend();
  assert.equal(await state(), 'open');
  assert.deepEqual(await guards.reveal(fresh, {}, 1), values);

  // A lock forgets the key; two people's unlock is not enough without the shares.
  for (const guard of ['sealer', 'ledger'] as const) {
    await guards.client(guard as 'sealer', 'core').call('lock', { scope: 'directory', target: '', reason: 'a test' });
  }
  await guards.lift('directory');
  assert.equal(await state(), 'locked-at-boot');
  await assert.rejects(guards.reveal(fresh, {}, 2), code('locked-at-boot'));
  for (const share of shares.slice(2, 5)) await bring(share);
  await guards.sealer.tend();
  assert.deepEqual(await guards.reveal(fresh, {}, 2), values);
  await assert.rejects(bring('bzs1.nonsense'), code('share'));

  // All shares without the sealer's folder: what they make is a box that only that folder opens.
  assert.ok(existsSync(join(guards.folder, 'sealer', 'wrap.key')));
});

/** A share with another content and a right check sum: what somebody hands in who has lost his, or wants to spoil it. */
function forge(share: string): string {
  const [form, mark, shares, , ,] = share.split('.') as [string, string, string, string, string];
  const text = `${form}.${mark}.${shares}.${randomBytes(61).toString('base64url')}`;
  return `${text}.${createHash('sha256').update(text).digest('base64url').slice(0, 6)}`;
}

test('while the old key cannot be had nothing is sealed anew, so nothing is taken for lost and no key is destroyed', async () => {
  const kept = await startKeeper({ next: 'quorum', quorum: { shares: 2, of: 3 } });
  const first = await guards.staged();
  const shares = ((await kept.operator('fetch')) as { shares: string[] }).shares;
  for (const share of shares.slice(1)) await kept.operator('share', { share });
  await guards.promote(first);
  const fresh = await guards.reseal(rows);
  guards.now = Date.now() + HOUR;
  await guards.client('sealer', 'core').call('reseal', { rows: [] });
  // From the quorum to a file again; then the sealer starts anew, and nobody has brought the old key's shares.
  guards.sources = { ...guards.sources, keySource: 'file' };
  await guards.stopSealer();
  await guards.startSealer();
  for (const share of shares.slice(0, 2)) await kept.operator('share', { share });
  await guards.sealer.tend();
  await guards.promote(await guards.staged());
  await guards.stopSealer();
  await guards.startSealer();
  assert.equal(await state(), 'open', 'the key in force is a file and there at once');
  assert.deepEqual(await guards.reveal(fresh), {}, 'what is under the old key waits for its shares');
  await assert.rejects(guards.client('sealer', 'core').call('reseal', { rows: fresh }), code('locked-at-boot'));
  for (const share of shares.slice(0, 2)) await kept.operator('share', { share });
  await guards.sealer.tend();
  assert.deepEqual(await guards.reveal(await guards.reseal(fresh), {}, 1), values);
});

test('shares that were lost with the keeper before anybody had them make way for a new key', async () => {
  const quorum = { next: 'quorum', quorum: { shares: 2, of: 3 } } as const;
  const kept = await startKeeper(quorum);
  const lost = await guards.staged();
  await kept.stop();
  const again = await startKeeper(quorum);
  const document = await guards.staged();
  assert.notEqual(document.key, lost.key);
  const { shares } = (await again.operator('fetch')) as { shares: string[] };
  for (const share of shares.slice(1)) await again.operator('share', { share });
  await guards.promote(document);
  assert.equal(guards.sealer.keys.current.number, document.number);
});

test('the keeper drops whoever sends what is not a message of his, and has no door for the key itself', async () => {
  await startKeeper({ next: 'quorum', quorum: { shares: 2, of: 3 } });
  const send = (caller: string, bytes: Buffer) =>
    new Promise<string>((resolve) => {
      const socket = connect(join(guards.folder, 'run', `keeper-${caller}`));
      let answer = '';
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString();
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(answer));
      socket.write(bytes);
    });
  const frame = (value: unknown) => encodeFrame(value as object);
  const key = guards.keys.inner;
  for (const [caller, bytes] of [
    ['sealer', frame({ id: 1, type: 'unwrap', body: {} })],
    ['sealer', frame({ id: 1, type: 'share', body: { share: 'bzs1.aaaaaaaa.2.x.y' } })],
    ['sealer', frame({ id: 1, type: 'take', body: { key } })],
    ['sealer', frame({ id: 1, type: 'take', body: { key, to: key, more: 1 } })],
    ['sealer', frame({ id: 1, type: 'derive', body: { key, points: [] } })],
    ['sealer', frame({ id: 1, type: 'toString', body: {} })],
    ['operator', frame({ id: 1, type: 'take', body: { key, to: key } })],
    ['operator', frame({ id: 1, type: 'destroy', body: { key } })],
    ['operator', frame({ id: 1, type: 'share', body: { share: 7 } })],
    ['operator', Buffer.from([0, 0, 0, 0])],
    ['operator', Buffer.from([255, 255, 255, 255])],
    ['operator', Buffer.from('\0\0\0\x02{]')],
  ] as const)
    assert.equal(await send(caller, bytes), '', `${caller} ${bytes.subarray(4).toString()}`);
});

test('key settings that are not understood are refused', () => {
  const kms = { url: 'https://keys.example.org:8200', key: 'bartizan', tokenFile: '/run/token' };
  assert.deepEqual(parseKeySettings({ next: 'kms', kms }), { next: 'kms', kms });
  for (const wrong of [
    ...[null, [], {}, { next: 'cloud' }, { next: 'kms' }, { next: 'file', more: 1 }, { next: 'pkcs11', pkcs11: {} }],
    ...[
      { next: 'kms', kms: { ...kms, url: 'http://keys.example.org' } },
      { next: 'kms', kms: { ...kms, key: '../x' } },
    ],
    ...[
      { next: 'kms', kms: { ...kms, url: 'https://keys.example.org/path' } },
      { next: 'kms', kms: { ...kms, pin: '1' } },
    ],
    ...[
      { next: 'quorum', quorum: { shares: 1, of: 3 } },
      { next: 'quorum', quorum: { shares: 4, of: 3 } },
    ],
    { next: 'quorum', quorum: { shares: 2, of: 40 } },
  ])
    assert.throws(() => parseKeySettings(wrong), code('usage'), JSON.stringify(wrong));
});
