import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  certsOnly,
  decryptEnvelope,
  encryptEnvelope,
  issueCertificate,
  makeCa,
  makeCsr,
  parseCertificate,
  parseCsr,
  signCms,
  verifyMdmSignature,
} from '#wire';
import { decryptCms, encryptCms, signCms as phoneSigns, readSigned } from '../../sim/cms.ts';

// OpenSSL is the referee for both sides: the server's CMS and the simulated phones'.
const dir = mkdtempSync(join(tmpdir(), 'btz-ossl-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, bytes: string | Uint8Array): string => {
  writeFileSync(join(dir, name), bytes);
  return join(dir, name);
};
const openssl = (...args: string[]): Buffer =>
  execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });

const now = Date.now();
const caKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const ca = { certificate: makeCa(caKey, { commonName: 'Test CA', days: 30, now }), key: caKey };
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const device = issueCertificate(ca, {
  ...{ spki: rsa.publicKey.export({ type: 'spki', format: 'der' }), commonName: 'device', days: 10 },
  ...{ usage: 'device', now },
});
const caFile = file('ca.pem', new X509Certificate(ca.certificate.der).toString());
const deviceFile = file('device.pem', new X509Certificate(device.der).toString());
const keyFile = file('device.key', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }));
const content = Buffer.from('<plist>what a phone says</plist>');
const contentFile = file('content', content);

test('openssl accepts our CA and the certificates it issues', () => {
  assert.match(openssl('verify', '-x509_strict', '-CAfile', caFile, deviceFile).toString(), /OK/);
});

test('openssl accepts our certificate request, we accept its own', () => {
  const csr = file('ours.csr', makeCsr({ key: rsa.privateKey, commonName: 'any', challengePassword: 'secret' }));
  openssl('req', '-inform', 'DER', '-in', csr, '-verify', '-noout');
  openssl('req', '-new', '-key', keyFile, '-subj', '/CN=any', '-outform', 'DER', '-out', 'theirs.csr');
  const theirs = parseCsr(openssl('req', '-inform', 'DER', '-in', 'theirs.csr', '-outform', 'DER'));
  assert.deepEqual(Buffer.from(theirs.spki), rsa.publicKey.export({ type: 'spki', format: 'der' }));
});

for (const digest of ['sha256', 'sha1'] as const) {
  for (const attached of [false, true]) {
    test(`Mdm-Signature, ${digest}, ${attached ? 'attached' : 'detached'}: openssl signs, we verify; a phone signs, openssl verifies`, () => {
      const nodetach = attached ? ['-nodetach'] : [];
      const theirs = openssl(
        ...['cms', '-sign', '-binary', '-in', contentFile, '-signer', deviceFile, '-inkey', keyFile],
        ...['-md', digest, '-outform', 'DER', ...nodetach],
      );
      const header = theirs.toString('base64');
      const signer = verifyMdmSignature(header, content, { allowLegacyDigest: digest === 'sha1' });
      assert.deepEqual(signer.sha256, device.sha256);
      assert.throws(() => verifyMdmSignature(header, Buffer.from('other'), { allowLegacyDigest: true }));
      if (digest === 'sha1') assert.throws(() => verifyMdmSignature(header, content, { allowLegacyDigest: false }));
      const certificate = Buffer.from(device.der);
      const ours = phoneSigns(content, { certificate, key: rsa.privateKey, digest, attached });
      const sent = file('phone.p7', ours);
      const detached = attached ? [] : ['-content', contentFile];
      const said = openssl(
        ...[
          'cms',
          '-verify',
          '-binary',
          '-inform',
          'DER',
          '-in',
          sent,
          '-CAfile',
          caFile,
          '-purpose',
          'any',
          ...detached,
        ],
      );
      assert.deepEqual(said, content);
    });
  }
}

test('openssl reads what we sign, and the certificates-only message of SCEP', () => {
  const signed = file('signed.p7', signCms({ content, certificate: device, key: rsa.privateKey }));
  const said = openssl(
    'cms',
    '-verify',
    '-binary',
    '-inform',
    'DER',
    '-in',
    signed,
    '-CAfile',
    caFile,
    '-purpose',
    'any',
  );
  assert.deepEqual(said, content);
  const bag = file('certs.p7', certsOnly([device, ca.certificate]));
  const listed = openssl('pkcs7', '-inform', 'DER', '-in', bag, '-print_certs', '-noout').toString();
  assert.match(listed, /subject=CN = device[\s\S]*subject=.*Test CA/);
});

for (const [name, flag] of [
  ['aes-128-cbc', '-aes128'],
  ['aes-256-cbc', '-aes256'],
  ['des-ede3-cbc', '-des3'],
] as const) {
  test(`encryption, ${name}: openssl to us, us to openssl, a phone to both`, () => {
    const theirs = openssl('cms', '-encrypt', '-binary', '-in', contentFile, flag, '-outform', 'DER', deviceFile);
    const to = { certificate: device, key: rsa.privateKey };
    assert.deepEqual(decryptEnvelope(theirs, to, { allowLegacyCiphers: name === 'des-ede3-cbc' }), content);
    const key = createPrivateKey(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    assert.deepEqual(decryptCms(theirs, key), content);
    for (const message of [encryptEnvelope(content, device), encryptCms(content, Buffer.from(device.der), name)]) {
      const sent = file('sent.p7', message);
      const said = openssl('cms', '-decrypt', '-inform', 'DER', '-in', sent, '-recip', deviceFile, '-inkey', keyFile);
      assert.deepEqual(said, content);
    }
  });
}

test('single DES, as old SCEP clients send it, is opened only where legacy is allowed', () => {
  const sent = encryptCms(content, Buffer.from(device.der), 'des-cbc');
  const to = { certificate: device, key: rsa.privateKey };
  assert.deepEqual(decryptEnvelope(sent, to, { allowLegacyCiphers: true }), content);
  assert.throws(() => decryptEnvelope(sent, to, { allowLegacyCiphers: false }));
});

test('the certificates that a phone reads from our answer are the ones we put in, first first', () => {
  const found = readSigned(certsOnly([device, ca.certificate])).certificates.map((der) => parseCertificate(der).sha256);
  assert.deepEqual(found, [device.sha256, ca.certificate.sha256]);
});
