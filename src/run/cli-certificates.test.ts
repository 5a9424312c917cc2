import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readCertificateSettings } from './cli-certificates.ts';

const dir = mkdtempSync(join(tmpdir(), 'btz-settings-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const read = (settings: unknown) => {
  writeFileSync(join(dir, 's.json'), JSON.stringify(settings));
  return readCertificateSettings(join(dir, 's.json'));
};
const token = { source: 'pkcs11', module: '/m.so', token: 't', key: 'k', pinFile: '/pin' };

test('certificate settings: defaults, what is understood, and everything else refused', () => {
  assert.deepEqual(read({}), { certificates: { deviceDays: 365, renewDays: 90 } });
  assert.deepEqual(read({ deviceDays: 90 }).certificates, { deviceDays: 90, renewDays: 30 });
  assert.deepEqual(read({ signProfiles: false, caKey: token }), {
    ...{ certificates: { deviceDays: 365, renewDays: 90 }, signProfiles: false, caKey: token },
  });
  for (const wrong of [
    ...[{ devicedays: 90 }, { deviceDays: 0 }, { deviceDays: 30, renewDays: 30 }, { signProfiles: 'yes' }],
    ...[{ caKey: { source: 'cloud' } }, { caKey: { ...token, pin: '1234' } }, { caKey: { ...token, key: '' } }],
    ...[{ caKey: { source: 'file', module: '/m.so' } }, { caKey: { ...token, environment: { A: 1 } } }],
  ])
    assert.throws(() => read(wrong), { code: 'config' }, JSON.stringify(wrong));
});
