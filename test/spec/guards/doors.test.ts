import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { canonicalJson, fromBase64url, type Json, sha256 } from '#base';
import { leafHash, openCheckpoint, verifyInclusion } from '#proof';
import { FRAME_BYTES } from '#seal';
import { ADMINS, Guards, newBrowser, person, touch } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());

/** Sends raw bytes to a guard's socket and returns what came back until the guard hung up. */
function send(guard: string, caller: string, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(guards.socketPath(guard, caller));
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EPIPE' || error.code === 'ECONNRESET' ? {} : reject(error),
    );
    socket.on('close', () => resolve(answer));
    socket.write(bytes);
  });
}

function frame(value: unknown): Buffer {
  const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

const header = (length: number) =>
  Buffer.from([length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255]);

for (const [name, caller, bytes] of [
  ['an unknown message', 'core', frame({ id: 1, type: 'decrypt', body: {} })],
  ['a message named like a built-in', 'core', frame({ id: 1, type: 'constructor', body: {} })],
  ['another caller’s message', 'core', frame({ id: 1, type: 'spent', body: {} })],
  ['an extra member', 'core', frame({ id: 1, type: 'status', body: { verbose: true } })],
  ['an extra member of the frame', 'core', frame({ id: 1, type: 'status', body: {}, admin: 'admin-ada' })],
  ['a prototype', 'core', frame('{"id":1,"type":"status","body":{"__proto__":{}}}')],
  ['a missing member', 'core', frame({ id: 1, type: 'tail', body: { after: 0 } })],
  ['a wrong type', 'core', frame({ id: 1, type: 'tail', body: { after: '0', waitMs: 0 } })],
  ['a fraction', 'core', frame({ id: 1, type: 'tail', body: { after: 0.5, waitMs: 0 } })],
  ['a handle that is a path', 'intake', frame({ id: 1, type: 'decoys', body: { handles: ['../../etc/passwd'] } })],
  ['no JSON', 'core', frame('{')],
  ['an array', 'core', frame([])],
  ['bytes that are not UTF-8', 'core', Buffer.concat([header(2), Buffer.from([0xc3, 0x28])])],
  ['an empty frame', 'core', header(0)],
  ['a frame over the limit', 'core', header(FRAME_BYTES + 1)],
] as const) {
  test(`${name} drops the peer without an answer`, async () => {
    assert.equal(await send('ledger', caller, bytes), '');
  });
}

test('a peer that is dropped takes nobody with it, and answers match their requests', async () => {
  const core = guards.client('ledger', 'core');
  const pending = core.call<{ entries: object[] }>('tail', { after: 1_000_000, waitMs: 300 });
  await send('ledger', 'core', frame({ id: 1, type: 'decrypt', body: {} }));
  const status = await core.call<{ size: number }>('status', {});
  assert.ok(status.size > 0);
  assert.deepEqual((await pending).entries, []);
});

test('more requests than may be in flight are all answered', async () => {
  const core = guards.client('ledger', 'core');
  const answers = await Promise.all(Array.from({ length: 500 }, () => core.call<{ size: number }>('status', {})));
  assert.equal(answers.length, 500);
});

test('a waiting tail is woken by news', async () => {
  const core = guards.client('ledger', 'core');
  const { next } = await core.call<{ next: number }>('tail', { after: 0, waitMs: 0 });
  const waiting = core.call<{ entries: { kind: string; detail: object }[] }>(
    'tail',
    { after: next, waitMs: 20_000 },
    { timeoutMs: 25_000 },
  );
  await core.call('lock', { scope: 'admin', target: 'admin-zoe', reason: 'a test', alert: 'A1' });
  const { entries } = await waiting;
  assert.deepEqual(
    entries.map((one) => one.kind),
    ['lock.on'],
  );
  assert.deepEqual(entries[0]!.detail, { scope: 'admin', target: 'admin-zoe', reason: 'a test', alert: 'A1' });
});

test('the sealer’s refusals enter the log; a flood of them does not fill it, and none is forgotten', async () => {
  const core = guards.client('ledger', 'core');
  const { next } = await core.call<{ next: number }>('tail', { after: 0, waitMs: 0 });
  const grant = guards.grant(newBrowser(), [person(0)]);
  const glass = guards.client('sealer', 'glass');
  const bad = { grant, assertion: touch(guards.passkey(1), grant), rows: [] };
  const tries = await Promise.allSettled(Array.from({ length: 200 }, () => glass.call('reveal', bad)));
  assert.ok(tries.every((one) => one.status === 'rejected'));
  const seen: { kind: string; detail: Record<string, unknown>; actor: unknown }[] = [];
  for (let after = next; ; ) {
    const page = await core.call<{ entries: typeof seen; next: number }>('tail', { after, waitMs: 0 });
    if (page.entries.length === 0) break;
    seen.push(...page.entries);
    after = page.next;
  }
  const refused = seen.filter((one) => one.kind === 'directory.refused');
  assert.ok(refused.length > 0 && refused.length <= 120, `${refused.length} entries`);
  assert.equal(refused[0]!.detail['code'], 'refused');
});

test('exposure names who was read, with entries that prove themselves', async () => {
  const from = Date.now();
  const rows = await guards.settle({ [person(1)]: 'one', [person(2)]: 'two' });
  await guards.reveal(rows);
  await guards.reveal([rows[0]!], {}, 1);
  const console_ = guards.client('ledger', 'console');
  type Entry = { leaf: number; envelope: string; body: Json; salt: string; proof: string[] };
  type Exposure = { entries: Entry[]; checkpoint: string; subjects: string[]; decoys: number };
  const report = await console_.call<Exposure>('exposure', { from, to: Date.now() + 1, principal: ADMINS[0] });
  assert.deepEqual(report.subjects, [person(1), person(2)]);
  assert.equal(report.decoys, 0);
  assert.equal(report.entries.length, 1);
  const { size, root } = openCheckpoint(report.checkpoint, guards.keys.log);
  for (const entry of report.entries) {
    const path = entry.proof.map((hash) => fromBase64url(hash));
    assert.ok(verifyInclusion(leafHash(Buffer.from(entry.envelope)), entry.leaf, size, root, path));
    const digest = sha256(fromBase64url(entry.salt), canonicalJson(entry.body)).toString('base64url');
    assert.equal((JSON.parse(entry.envelope) as { digest: string }).digest, digest);
  }
  const one = await console_.call<Entry & { checkpoint: string }>('proof', { leaf: 0 });
  const checkpoint = openCheckpoint(one.checkpoint, guards.keys.log);
  const path = one.proof.map((hash) => fromBase64url(hash));
  assert.ok(verifyInclusion(leafHash(Buffer.from(one.envelope)), 0, checkpoint.size, checkpoint.root, path));
  await assert.rejects(console_.call('proof', { leaf: 1_000_000 }), { code: 'unknown' });
});
