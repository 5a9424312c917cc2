import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions, contradicts } from './differs.ts';

test('versions are compared by their numbers', () => {
  const order = ['', '9.3.6', '17.10', '18', '18.0.1', '18.1', '18.1.1', '26.0'];
  for (const [i, a] of order.entries())
    for (const [j, b] of order.entries()) assert.equal(compareVersions(a, b), Math.sign(i - j), `${a} ${b}`);
  assert.equal(compareVersions('18.0', '18'), 0);
});

test('systems only grow: an update between two sayings is no lie, an older one later is', () => {
  const said = (version: string, at: number) => ({ version, at });
  assert.equal(contradicts(said('18.1', 10), said('18.1', 5)), false);
  assert.equal(contradicts(said('18.2', 10), said('18.1', 5)), false, 'updated since it reported');
  assert.equal(contradicts(said('18.1', 10), said('18.2', 15)), false, 'updated since it was attested');
  assert.equal(contradicts(said('18.1', 10), said('18.2', 5)), true, 'it claimed more than it has');
  assert.equal(contradicts(said('18.2', 10), said('18.1', 15)), true, 'it claims less than it had');
});
