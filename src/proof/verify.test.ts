import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeEntries,
  encodeEntries,
  entriesPath,
  hashTile,
  type LogReader,
  leafHash,
  openCheckpoint,
  openNote,
  parseTilePath,
  parseVerifierKey,
  signCheckpoint,
  signNote,
  Tree,
  tilePath,
  tilesOf,
  verifierKey,
  verifyLog,
} from './index.ts';

const ORIGIN = 'log.example/org';
const { privateKey } = generateKeyPairSync('ed25519');
const VERIFIER = verifierKey(ORIGIN, privateKey);

/** A whole log in memory, with one stale partial generation left over as on a real disk. */
function makeLog(size: number, earlier?: number): Map<string, Buffer> {
  const entries = Array.from({ length: size }, (_, n) => Buffer.from(`entry ${n}`));
  const tree = new Tree();
  for (const entry of entries) tree.append(leafHash(entry));
  const files = new Map<string, Buffer>();
  for (const at of [...(earlier === undefined ? [] : tilesOf(earlier)), ...tilesOf(size)]) {
    const { level, index, width } = at;
    if (level === 'entries') {
      files.set(entriesPath(index, width), encodeEntries(entries.slice(index * 256, index * 256 + width)));
    } else {
      files.set(tilePath(level, index, width), hashTile(tree, level, index, width));
    }
  }
  files.set('checkpoint', Buffer.from(signCheckpoint({ origin: ORIGIN, size, root: tree.root() }, privateKey)));
  return files;
}

const reader = (files: Map<string, Buffer>): LogReader => ({
  read: async (path) => files.get(path),
  list: async () => [...files.keys()],
});

test('paths are those of the standard', () => {
  assert.equal(tilePath(0, 0), 'tile/0/000');
  assert.equal(tilePath(1, 1234067, 8), 'tile/1/x001/x234/067.p/8');
  assert.equal(entriesPath(1000), 'tile/entries/x001/000');
  for (const path of ['tile/0/000', 'tile/1/x001/x234/067.p/8', 'tile/entries/x001/000']) {
    const at = parseTilePath(path)!;
    assert.equal(
      at.level === 'entries' ? entriesPath(at.index, at.width) : tilePath(at.level, at.index, at.width),
      path,
    );
  }
  for (const path of [
    'tile/0/x000/001',
    'tile/0/0',
    'tile/0/000.p/256',
    'tile/0/000.p/0',
    'tile/00/000',
    'tile/64/000',
  ]) {
    assert.equal(parseTilePath(path), undefined, path);
  }
});

test('entries come back as they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (values) => {
      const bytes = encodeEntries(values);
      assert.deepEqual(
        decodeEntries(bytes),
        values.map((value) => Buffer.from(value)),
      );
      if (values.length > 0) assert.throws(() => decodeEntries(bytes.subarray(0, -1)), { code: 'entry' });
    }),
  );
  assert.throws(() => encodeEntries([Buffer.alloc(65_536)]), { code: 'entry' });
});

test('notes: the example of Go’s sumdb verifies, and a changed one does not', () => {
  // golang.org/x/mod/sumdb/note, package documentation.
  const key = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
  const note =
    'If you think cryptography is the answer to your problem,\nthen you don’t know what your problem is.\n'.replace(
      '’',
      "'",
    ) +
    '\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
  assert.match(openNote(note, key), /^If you think/);
  assert.throws(() => openNote(note.replace('answer', 'Answer'), key), { code: 'note' });
  assert.throws(() => openNote(note, parseVerifierKey(VERIFIER)), { code: 'note' });
  assert.throws(() => parseVerifierKey(`${VERIFIER.slice(0, -4)}AAA=`), { code: 'key' });
});

test('a checkpoint of another origin is refused', () => {
  const note = signNote(`other\n0\n${Buffer.alloc(32).toString('base64')}\n`, ORIGIN, privateKey);
  assert.throws(() => openCheckpoint(note, VERIFIER), { code: 'checkpoint' });
});

test('logs of many sizes verify', async () => {
  for (const size of [0, 1, 2, 255, 256, 257, 600]) {
    const report = await verifyLog(reader(makeLog(size, Math.floor(size / 2))), VERIFIER);
    assert.deepEqual(report.problems, []);
    assert.ok(report.ok);
    assert.equal(report.entries, size);
  }
});

test('one flipped bit anywhere, a missing or a foreign file is found', async () => {
  const files = makeLog(300, 290);
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 7 }), async (f, at, bit) => {
      const bent = new Map(files);
      const path = [...bent.keys()][f % bent.size]!;
      const bytes = Buffer.from(bent.get(path)!);
      bytes[at % bytes.length]! ^= 1 << bit;
      bent.set(path, bytes);
      assert.equal((await verifyLog(reader(bent), VERIFIER)).ok, false, `${path} byte ${at % bytes.length}`);
    }),
    { numRuns: 200 },
  );
  const whole = makeLog(300);
  for (const path of whole.keys()) {
    const less = new Map(whole);
    less.delete(path);
    assert.equal((await verifyLog(reader(less), VERIFIER)).ok, false, path);
  }
  // A crash between tiles and checkpoint leaves tiles beyond it: no problem, unless their covered part is wrong.
  const ahead = new Map([...makeLog(300), ...makeLog(290)]);
  assert.ok((await verifyLog(reader(ahead), VERIFIER)).ok);
  const bent = Buffer.from(ahead.get('tile/entries/001.p/44')!);
  bent[3]! ^= 1;
  assert.equal((await verifyLog(reader(ahead.set('tile/entries/001.p/44', bent)), VERIFIER)).ok, false);
  const more = new Map(files).set('tile/notes', Buffer.from('x'));
  assert.equal((await verifyLog(reader(more), VERIFIER)).ok, false);
});
