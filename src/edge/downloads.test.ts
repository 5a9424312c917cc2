import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Downloads } from './downloads.ts';

test('places are given on in order, and to nobody after their patience ended', async () => {
  const downloads = new Downloads({ atOnce: 1, bytesPerSecond: 1e9 });
  assert.equal(await downloads.begin(), true);
  const order: number[] = [];
  const second = downloads.begin(5_000).then((got) => got && order.push(2));
  const hasty = downloads.begin(5);
  const third = downloads.begin(5_000).then((got) => got && order.push(3));
  assert.equal(await hasty, false);
  downloads.end();
  await second;
  downloads.end();
  await third;
  assert.deepEqual(order, [2, 3]);
  downloads.end();
  assert.equal(await downloads.begin(1), true, 'the place is free again');
  assert.equal(await downloads.begin(1), false);
});

test('no more bytes a second than are allowed, all together', async () => {
  const downloads = new Downloads({ atOnce: 4, bytesPerSecond: 100_000 });
  const from = performance.now();
  await Promise.all(Array.from({ length: 5 }, () => downloads.pace(10_000)));
  const took = performance.now() - from;
  assert.ok(took >= 380 && took < 2_000, `${took} ms for 50 kB after the first ten at 100 kB a second`);
});
