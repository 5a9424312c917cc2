import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodings } from './encodings.ts';
import { Hunter } from './hunt.ts';
import { inventPeople, plantedValues } from './people.ts';

const values = plantedValues(inventPeople(200, 3));
const hunter = new Hunter(values);

test('every encoding of every value is found, and nothing in clean bytes', () => {
  for (const index of [0, 1, 17, values.length - 1]) {
    for (const { encoding, bytes } of encodings(values[index]!)) {
      const hits = hunter.search(Buffer.concat([Buffer.from('clean, then '), bytes, Buffer.from(' clean')]));
      assert.ok(
        hits.some((hit) => hit.value === index && hit.encoding === encoding && hit.offset === 12),
        encoding,
      );
    }
  }
  assert.deepEqual(hunter.search(Buffer.from('A page that names nobody at all, +49 30 0000.')), []);
});

test('base64 is found wherever the value stands in the encoded text', () => {
  for (const before of ['', 'x', 'xy', 'xyz', 'a longer run of text ']) {
    for (const kind of ['base64', 'base64url'] as const) {
      const text = Buffer.from(`${before}${values[2]}, more`).toString(kind);
      assert.ok(
        hunter.search(Buffer.from(text)).some((hit) => hit.value === 2),
        before,
      );
    }
  }
});

test('files are searched in pieces; a value across the seam is found once; links are not followed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'btz-hunt-'));
  try {
    const planted = Buffer.from(values[5]!);
    const large = Buffer.alloc(2_200_000, 'n');
    planted.copy(large, 1024 * 1024 - 3);
    planted.copy(large, large.length - planted.length);
    mkdirSync(join(dir, 'a'));
    writeFileSync(join(dir, 'a', 'large'), large);
    writeFileSync(join(dir, 'clean'), 'nothing here');
    symlinkSync(join(dir, 'a', 'large'), join(dir, 'link'));
    const { hits, files, bytes, unread } = await hunter.searchPaths([dir]);
    const found = hits.filter((hit) => hit.value === 5 && hit.encoding === 'utf8');
    assert.deepEqual(found, [
      { where: join(dir, 'a', 'large'), value: 5, encoding: 'utf8', offset: 1024 * 1024 - 3, times: 2 },
    ]);
    assert.deepEqual([files, bytes, unread], [2, 2_200_012, []]);
    assert.ok(!JSON.stringify(hits).includes(values[5]!));
    assert.deepEqual((await hunter.searchPaths([join(dir, 'missing')])).unread, [join(dir, 'missing')]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('values that chance would find are refused', () => {
  assert.throws(() => new Hunter(['Anna']), RangeError);
});
