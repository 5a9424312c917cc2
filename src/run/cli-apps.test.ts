import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { installAppsToken } from './cli-apps.ts';
import type { Home } from './home.ts';

const token = (expDate: string) =>
  Buffer.from(JSON.stringify({ token: 'a secret', expDate, orgName: 'Example Agency' })).toString('base64');

test('a content token is checked, then put where core alone reads it; a bad or ended one changes nothing', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'btz-apps-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'core'));
  const home = { dir, state: (name: string) => join(dir, name) } as Home;
  const now = Date.parse('2026-11-01T00:00:00Z');
  const good = token('2027-11-01T00:00:00+0000');
  assert.equal(installAppsToken(home, `${good}\n`, now).organisation, 'Example Agency');
  const file = join(dir, 'core', 'apps-token');
  assert.equal(readFileSync(file, 'utf8'), good);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.throws(() => installAppsToken(home, 'not a token', now), { code: 'bad-request' });
  assert.throws(() => installAppsToken(home, token('2026-10-01T00:00:00+0000'), now), { code: 'expired' });
  assert.equal(readFileSync(file, 'utf8'), good);
  assert.deepEqual(readdirSync(join(dir, 'core')), ['apps-token']);
});
