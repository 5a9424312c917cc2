import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEFAULT_CAPS, type PublicKeys } from '#seal';
import type { ProcessRole } from '#store';
import { checkDevicePlane, setDevicePlane } from './device-plane.ts';
import { openHome, PROCESSES } from './home.ts';
import { type InstanceOptions, writeConfigs } from './init.ts';

const dir = mkdtempSync(join(tmpdir(), 'btz-plane-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('settings of the device plane: what is not understood is refused', () => {
  const downloads = { downloadsAtOnce: 8, downloadMibPerSecond: 100 };
  const good = { userAuthenticate: true, bootstrapToken: false, legacy: 'refuse', ...downloads };
  assert.deepEqual(checkDevicePlane(good), good);
  for (const wrong of [
    { userauthenticate: true },
    { legacy: 'accept' },
    { bootstrapToken: 'yes' },
    { downloadsAtOnce: 0 },
    [],
    null,
    'x',
  ])
    assert.throws(() => checkDevicePlane(wrong), { code: 'config' }, JSON.stringify(wrong));
});

test('settings are changed one by one, kept, and written for edge alone at every start', () => {
  const home = openHome(dir);
  assert.throws(() => setDevicePlane(home, { legacy: 'refuse' }), { code: 'usage' });
  for (const part of ['supervisor', 'config']) mkdirSync(join(dir, part), { recursive: true });
  const file = join(dir, 'supervisor', 'instance.json');
  const first = { org: 'example', portBase: 9000, founders: 3, topic: 't', demo: false, edgeWorkers: 1 };
  writeFileSync(file, JSON.stringify({ ...first, caps: DEFAULT_CAPS }));
  setDevicePlane(home, { legacy: 'refuse' });
  assert.deepEqual(setDevicePlane(home, { userAuthenticate: true, signProfiles: false }), {
    ...{ userAuthenticate: true, bootstrapToken: true, legacy: 'refuse', signProfiles: false },
  });
  const saved = JSON.parse(readFileSync(file, 'utf8')) as InstanceOptions;
  assert.equal(saved.portBase, 9000, 'the rest stays');
  const admin = { host: '/s', port: 1, database: 'd', user: 'u', password: '' };
  const passwords = { edge: 'x' } as unknown as Record<ProcessRole, string>;
  for (let start = 0; start < 2; start += 1) writeConfigs(home, saved, { admin, passwords }, {} as PublicKeys);
  for (const name of PROCESSES) {
    const config = JSON.parse(readFileSync(home.config(name), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      config['devicePolicy'],
      name === 'edge' ? { legacy: 'refuse', userAuthenticate: true } : undefined,
      name,
    );
  }
});
