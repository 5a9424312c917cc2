import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions } from './version.ts';

test('versions are ordered by their numbers; what is no number counts as 0', () => {
  assert.ok(compareVersions('26.10', '26.9') > 0);
  assert.ok(compareVersions('26', '26.0.1') < 0);
  assert.equal(compareVersions('26.0', '26'), 0);
  assert.ok(compareVersions('..', '17.4') < 0, 'never NaN, which would be neither older nor newer');
});
