import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { cosignaturesIn, leafHash, parseCosignerKey, signCheckpoint, signNote, Tree, verifierKey } from '#proof';
import {
  type Answer,
  addCheckpoint,
  foundWitness,
  lockWitness,
  Memory,
  Rate,
  readSigners,
  serveWitness,
} from './index.ts';

const dir = mkdtempSync(join(tmpdir(), 'btz-witness-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const ORIGIN = 'log.example/org';
const { privateKey } = generateKeyPairSync('ed25519');
const other = generateKeyPairSync('ed25519').privateKey;
const grow = (count: number, word = 'entry') => {
  const tree = new Tree();
  for (let n = 0; n < count; n += 1) tree.append(leafHash(Buffer.from(`${n < 3 ? 'entry' : word} ${n}`)));
  return tree;
};
const tree = grow(40);
const fork = grow(40, 'another');
const noteOf = (of: Tree, size: number, key = privateKey, origin = ORIGIN) =>
  signCheckpoint({ origin, size, root: of.root(size) }, key);
const bodyOf = (old: number, proof: readonly Buffer[], note: string) =>
  `old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`;
const step = (old: number, size: number, of = tree) =>
  bodyOf(old, old === 0 || old === size ? [] : of.consistency(old, size), noteOf(of, size));

let made = 0;
function newWitness() {
  const at = join(dir, String(++made));
  const signers = foundWitness(at, 'witness.example/w1');
  const memory = Memory.open(at);
  memory.add(verifierKey(ORIGIN, privateKey));
  const ask = (body: string): Promise<Answer> =>
    addCheckpoint(body, memory, (text) => signers.sign(text, 1_790_000_000_500));
  return { at, signers, memory, ask };
}

test('what grows is cosigned with both keys, at the time of it', async () => {
  const { ask, signers } = newWitness();
  for (const [old, size] of [
    [0, 0],
    [0, 5],
    [5, 5],
    [5, 8],
    [8, 40],
  ] as const) {
    const { status, body } = await ask(step(old, size));
    assert.equal(status, 200, `${old} to ${size}: ${body}`);
    const note = noteOf(tree, size);
    const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
    const found = cosignaturesIn(text, body, signers.verifiers.map(parseCosignerKey));
    assert.deepEqual(
      found.map(({ key, time }) => [key.kind, time]),
      [
        ['ed25519', 1_790_000_000_000],
        ['ml-dsa-44', 1_790_000_000_000],
      ],
    );
    assert.throws(
      () =>
        cosignaturesIn(
          text.replace(ORIGIN, 'log.example/other'),
          body,
          found.map(({ key }) => key),
        ),
      {
        code: 'note',
      },
    );
  }
});

test('roll-backs, forks and everything else that is wrong are answered as the standard says, and nothing is signed', async () => {
  const { ask, memory, at } = newWitness();
  assert.equal((await ask(step(0, 20))).status, 200);
  const wrong: [string, string, number, RegExp][] = [
    ['an older size', step(0, 10), 409, /^20\n$/],
    ['a roll-back', step(10, 20), 409, /^20\n$/],
    ['a fork of this size', bodyOf(20, [], noteOf(fork, 20)), 409, /^FORK/],
    ['a fork that grew', step(20, 30, fork), 422, /does not show/],
    ['a proof too much', bodyOf(20, [tree.root()], noteOf(tree, 20)), 422, /does not show/],
    ['a proof too little', bodyOf(20, [], noteOf(tree, 30)), 422, /does not show/],
    ['another log', bodyOf(0, [], noteOf(tree, 20, privateKey, 'log.example/x')), 404, /does not know/],
    ['another key', bodyOf(20, tree.consistency(20, 30), noteOf(tree, 30, other)), 403, /not signed/],
    ['back to front', bodyOf(30, [], noteOf(tree, 20)), 400, /beyond/],
    ['no old line', noteOf(tree, 20), 400, /Expected/],
    ['no number', `old 020\n\n${noteOf(tree, 20)}`, 400, /Expected/],
    [
      'too many hashes',
      bodyOf(
        20,
        Array.from({ length: 64 }, () => tree.root()),
        noteOf(tree, 30),
      ),
      400,
      /Expected/,
    ],
    ['a hash too short', `old 20\nAAAA\n\n${noteOf(tree, 30)}`, 400, /Expected/],
    ['no checkpoint', 'old 20\n\nx\n', 400, /malformed/],
  ];
  for (const [word, body, status, said] of wrong) {
    const answer = await ask(body);
    assert.equal(answer.status, status, word);
    assert.match(answer.body, said, word);
    assert.equal(memory.of(ORIGIN)?.newest.size, 20, word);
  }
  assert.equal((await ask(step(20, 21))).status, 200, 'the honest log goes on');
  assert.ok(
    readdirSync(join(at, 'logs')).some((name) => name.includes('.exhibit-')),
    'what proves the fork is kept',
  );
});

test('any other byte in a request: an answer and no signature, or the same checkpoint', async () => {
  const { ask, memory } = newWitness();
  assert.equal((await ask(step(0, 20))).status, 200);
  const good = step(20, 33);
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 0, max: 0x17f }), async (at, code) => {
      const bent = good.slice(0, at) + String.fromCodePoint(code) + good.slice(at + 1);
      if (bent === good) return;
      assert.notEqual((await ask(bent)).status, 200, JSON.stringify(bent));
      assert.equal(memory.of(ORIGIN)?.newest.size, 20);
    }),
    { numRuns: 300 },
  );
});

test('checkpoints with extension lines of foreign logs are cosigned, and the lines with them', async () => {
  const { ask, signers, memory } = newWitness();
  const text = `${ORIGIN}\n5\n${tree.root(5).toString('base64')}\nan extension\n`;
  const { status, body } = await ask(bodyOf(0, [], signNote(text, ORIGIN, privateKey)));
  assert.equal(status, 200);
  assert.equal(cosignaturesIn(text, body, signers.verifiers.map(parseCosignerKey)).length, 2);
  assert.equal(memory.of(ORIGIN)?.newest.size, 5);
});

test('it remembers over a restart; what is lost or damaged is never taken for the beginning', async () => {
  const { at, ask } = newWitness();
  await ask(step(0, 20));
  assert.equal(Memory.open(at).of(ORIGIN)?.newest.size, 20);
  assert.throws(() => foundWitness(at, 'witness.example/w2'), { code: 'usage' });
  const newest = readdirSync(join(at, 'logs')).find((name) => name.endsWith('.newest'))!;
  writeFileSync(join(at, 'logs', newest), 'half of');
  assert.throws(() => Memory.open(at), { code: 'state' });
  rmSync(join(at, 'logs', newest));
  assert.throws(() => Memory.open(at), { code: 'state' });
  rmSync(join(at, 'ml-dsa-44.key'));
  assert.throws(() => readSigners(at), { code: 'state' });
});

test('one process a folder; the mark of a dead one is taken over', () => {
  const { at } = newWitness();
  writeFileSync(join(at, 'running'), '4194304');
  const release = lockWitness(at);
  release();
  assert.deepEqual(readdirSync(at).includes('running'), false);
});

test('an address that asks too often waits; others do not', () => {
  const rate = new Rate(3, 1, 2);
  assert.deepEqual(
    [0, 0, 0, 0].map((now) => rate.admit('a', now)),
    [true, true, true, false],
  );
  assert.ok(rate.admit('b', 0));
  assert.ok(rate.admit('a', 1_000));
  assert.ok(!rate.admit('a', 1_500));
});

test('over HTTP: other paths, methods and long bodies are refused; requests at once are taken in turn', async () => {
  const { at, signers, memory } = newWitness();
  const logger = { info() {}, warn() {}, error() {} };
  const serving = await serveWitness({ host: '127.0.0.1', port: 0, memory, signers, clock: Date.now, logger });
  const send = (method: string, path: string, body = ''): Promise<{ status: number; type: string; body: string }> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: serving.port, method, path }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            body: Buffer.concat(parts).toString(),
          }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  try {
    assert.equal((await send('GET', '/add-checkpoint')).status, 405);
    assert.equal((await send('POST', '/add')).status, 404);
    assert.equal((await send('POST', '/add-checkpoint', 'x'.repeat(70_000))).status, 413);
    const race = await Promise.all([7, 8, 9, 10].map((size) => send('POST', '/add-checkpoint', step(0, size))));
    assert.equal(race.filter(({ status }) => status === 200).length, 1, 'one of them came first');
    for (const { type, body } of race.filter(({ status }) => status === 409)) {
      assert.equal(type, 'text/x.tlog.size');
      assert.equal(Number(body), memory.of(ORIGIN)?.newest.size);
    }
    const who = await send('GET', '/');
    assert.ok(signers.verifiers.every((key) => who.body.includes(`witness ${key}\n`)));
    assert.equal(Memory.open(at).of(ORIGIN)?.newest.size, memory.of(ORIGIN)?.newest.size);
  } finally {
    await serving.close();
  }
});
