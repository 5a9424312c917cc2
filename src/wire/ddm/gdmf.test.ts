import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newestFor, parseReleases } from './gdmf.ts';

const release = (version: string, build: string, models: readonly string[], more: object = {}) => ({
  ...{ ProductVersion: version, Build: build, PostingDate: '2026-09-01', ExpirationDate: '2027-01-01' },
  ...{ SupportedDevices: models, ...more },
});
const feed = (...releases: readonly object[]) =>
  Buffer.from(JSON.stringify({ PublicAssetSets: { iOS: releases, macOS: [] }, AssetSets: {} }));

test('the newest version that a model can have counts numbers, models and days', () => {
  const releases = parseReleases(
    feed(
      release('26.2', '23C50', ['iPhone17,1']),
      release('26.10', '23K10', ['iPhone17,1', 'iPad14,1']),
      release('26.11', '23L10', ['iPhone17,1'], { PostingDate: '2026-12-24' }),
      release('27.0', '24A10', ['iPhone17,1'], { ExpirationDate: '2026-10-01' }),
      release('9.6.4', '20U512', ['Watch4,1']),
      release('26.12', 'nonsense', ['iPhone17,1']),
    ),
  );
  assert.deepEqual(
    releases.map(({ version }) => version),
    ['27.0', '26.11', '26.10', '26.2'],
  );
  const newest = (model: string, day: string) => newestFor(model, releases, day)?.version;
  assert.equal(newest('iPhone17,1', '2026-11-24'), '26.10');
  assert.equal(newest('iPhone17,1', '2026-12-24'), '26.11');
  assert.equal(newest('iPhone17,1', '2026-09-30'), '27.0');
  assert.equal(newest('iPhone17,1', '2026-08-01'), undefined);
  assert.equal(newest('iPad14,1', '2026-12-24'), '26.10');
  assert.equal(newest('iPhone1,1', '2026-11-24'), undefined);
});

test('what is no list of versions is refused', () => {
  for (const bytes of ['', '[]', '{"PublicAssetSets":{"iOS":{}}}', '{"__proto__":{"PublicAssetSets":{"iOS":[]}}}'])
    assert.throws(() => parseReleases(Buffer.from(bytes)), { code: 'feed' }, bytes);
  assert.throws(() => parseReleases(feed(release('9.6.4', '20U512', ['Watch4,1']))), { code: 'feed' });
});
