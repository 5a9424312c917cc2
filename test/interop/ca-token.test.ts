import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadTokenCa, makeTokenCa, type Pkcs11Key } from '#fleet';
import { issueWith, makeCrl } from '#wire';

// The CA's key in a PKCS #11 token, SoftHSM's here, that never lets it out; OpenSSL is the judge.
const MODULE = '/usr/lib/softhsm/libsofthsm2.so';
const PIN = '648219';
const dir = mkdtempSync(join(tmpdir(), 'btz-token-'));
after(() => rmSync(dir, { recursive: true, force: true }));
mkdirSync(join(dir, 'tokens'));
writeFileSync(
  join(dir, 'softhsm2.conf'),
  `directories.tokendir = ${join(dir, 'tokens')}\nobjectstore.backend = file\n`,
);
writeFileSync(join(dir, 'pin'), `${PIN}\n`, { mode: 0o600 });
const environment = { SOFTHSM2_CONF: join(dir, 'softhsm2.conf') };
const env = { ...process.env, ...environment };
execFileSync(
  'softhsm2-util',
  ['--init-token', '--free', '--label', 'bartizan', '--pin', PIN, '--so-pin', '9'.repeat(8)],
  {
    env,
    stdio: 'ignore',
  },
);
const makeKey = (label: string, type: string) =>
  execFileSync(
    'pkcs11-tool',
    [
      ...['--module', MODULE, '--token-label', 'bartizan', '--login', '--pin', PIN, '--keypairgen'],
      ...['--key-type', type, '--label', label, '--id', Buffer.from(label).toString('hex').slice(0, 8)],
    ],
    { env, stdio: 'ignore' },
  );
const keyIn = (label: string): Pkcs11Key => ({
  ...{ module: MODULE, token: 'bartizan', key: label, pinFile: join(dir, 'pin'), environment },
});
const now = Date.now();
const device = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' });
const request = { spki: device, commonName: 'a device', days: 30, usage: 'device' as const, now };

for (const [label, type] of [
  ['eckey', 'EC:prime256v1'],
  ['rsakey', 'RSA:2048'],
] as const) {
  test(`a ${type} key in a token signs CA, device certificate and revocation list; OpenSSL accepts all three`, async (t) => {
    makeKey(label, type);
    const state = mkdtempSync(join(dir, 'state-'));
    const made = await makeTokenCa(state, keyIn(label), now);
    await assert.rejects(makeTokenCa(state, keyIn(label), now), { code: 'no-ca' });
    assert.throws(() => readFileSync(join(state, 'ca.key')), 'no key is in a file');
    const ca = await loadTokenCa(state, keyIn(label));
    assert.deepEqual(ca.certificate.sha256, made.certificate.sha256);
    const startedAt = performance.now();
    const issued = await Promise.all(Array.from({ length: 40 }, () => issueWith(ca, request)));
    const rate = 40 / ((performance.now() - startedAt) / 1000);
    t.diagnostic(`${rate.toFixed(1)} signatures a second`);
    const file = (name: string, text: string | Buffer) => {
      writeFileSync(join(state, name), text);
      return join(state, name);
    };
    const pem = file('device.pem', new X509Certificate(issued[7]!.der).toString());
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
    const caFile = join(state, 'ca.pem');
    assert.match(openssl('verify', '-x509_strict', '-CAfile', caFile, pem), /OK/);
    const list = { number: 1, thisUpdate: now, nextUpdate: now + 86_400_000 };
    const revoked = [{ serial: issued[0]!.serial, revokedAt: now, reason: 'superseded' as const }];
    const crl = file('crl.der', await makeCrl(ca, { ...list, revoked }));
    openssl('crl', '-inform', 'DER', '-in', crl, '-CAfile', caFile, '-noout');
  });
}

test('another key than the CA’s, a wrong PIN and a token that is gone are refused, not worked around', async () => {
  makeKey('other', 'EC:prime256v1');
  const state = mkdtempSync(join(dir, 'state-'));
  await makeTokenCa(state, keyIn('eckey'), now);
  await assert.rejects(loadTokenCa(state, keyIn('other')), { code: 'no-ca' });
  writeFileSync(join(dir, 'wrong'), '111111\n');
  await assert.rejects(loadTokenCa(state, { ...keyIn('eckey'), pinFile: join(dir, 'wrong') }), { code: 'ca-token' });
  await assert.rejects(loadTokenCa(state, { ...keyIn('eckey'), token: 'elsewhere' }), { code: 'ca-token' });
});
