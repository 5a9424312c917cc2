import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../error.ts';
import { buildPkcsReq, readCertRep } from '../scep/client.ts';
import { certRepFailure, certRepSuccess, parsePkiMessage } from '../scep/server.ts';
import { type Certificate, fromPem, parseCertificate, toPem, verifyIssuedBy } from '../x509/certificate.ts';
import { issueCertificate, makeCa } from '../x509/issue.ts';
import { makeCsr, parseCsr } from '../x509/request.ts';
import { decryptEnvelope, encryptEnvelope } from './enveloped.ts';
import { verifyMdmSignature } from './mdm-signature.ts';
import { certsOnly, parseSigned, readCertificates, signCms, verifySigned } from './signed.ts';

const dir = mkdtempSync(join(tmpdir(), 'btz-cms-'));
after(() => rmSync(dir, { recursive: true }));
const now = Date.parse('2026-11-24T00:00:00Z');
const file = (name: string, data?: Uint8Array | string): string => {
  const path = join(dir, name);
  if (data !== undefined) writeFileSync(path, data);
  return path;
};
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
const keyPem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }) as string;

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const caKey = rsa();
const ca = { certificate: makeCa(caKey, { commonName: 'Test CA', days: 3650, now: Date.now() }), key: caKey };
const issue = (key: KeyObject, usage: 'device' | 'registration') => ({
  key,
  certificate: issueCertificate(ca, {
    spki: parseCsr(makeCsr({ key, commonName: 'ignored' })).spki,
    commonName: 'device-1',
    days: 30,
    usage,
    now: Date.now(),
  }),
});
const device = issue(rsa(), 'device');
const deviceEc = issue(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'device');
const ra = issue(rsa(), 'registration');
const body = Buffer.from('<plist><dict><key>Status</key><string>Idle</string></dict></plist>');

test('openssl reads and verifies our certificates and requests', () => {
  const caFile = file('ca.pem', toPem('CERTIFICATE', ca.certificate.der));
  const leaf = file('leaf.pem', toPem('CERTIFICATE', device.certificate.der));
  assert.match(String(openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', caFile, leaf)), /OK/);
  assert.match(
    String(openssl('x509', '-in', leaf, '-noout', '-text')),
    /CN = device-1[\s\S]*TLS Web Client Authentication/,
  );
  const csr = file(
    'r.pem',
    toPem('CERTIFICATE REQUEST', makeCsr({ key: device.key, commonName: 'x', challengePassword: 'secret' })),
  );
  assert.match(String(openssl('req', '-in', csr, '-noout', '-text', '-verify')), /challengePassword\s*:\s*secret/);
  assert.ok(verifyIssuedBy(device.certificate, ca.certificate, Date.now()));
  assert.equal(verifyIssuedBy(device.certificate, ca.certificate, Date.now() + 90 * 86_400_000), false);
  assert.equal(verifyIssuedBy(device.certificate, device.certificate, Date.now()), false);
});

test('we read requests and certificates that openssl made', () => {
  openssl(
    'req',
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    file('o.key'),
    '-out',
    file('o.csr'),
    '-subj',
    '/CN=x/O=y',
  );
  assert.ok(parseCsr(fromPem(readFileSync(file('o.csr'), 'utf8'))).spki.length > 200);
  openssl('req', '-x509', '-key', file('o.key'), '-out', file('o.pem'), '-subj', '/CN=self', '-days', '3');
  assert.equal(parseCertificate(fromPem(readFileSync(file('o.pem'), 'utf8'))).commonName, 'self');
});

test('Mdm-Signature: ours verifies under openssl, openssl’s under ours, for RSA and P-256, SHA-256 and SHA-1', () => {
  const input = file('body', body);
  for (const signer of [device, deviceEc]) {
    const ours = file('ours.der', signCms({ content: body, ...signer, detached: true }));
    openssl(
      'cms',
      '-verify',
      '-inform',
      'DER',
      '-in',
      ours,
      '-content',
      input,
      '-binary',
      '-noverify',
      '-out',
      file('x'),
    );
    const cert = file('d.pem', toPem('CERTIFICATE', signer.certificate.der));
    const key = file('d.key', keyPem(signer.key));
    for (const [md, flags] of [
      ['sha256', []],
      ['sha384', ['-nodetach']],
      ['sha1', []],
      ['sha256', ['-noattr']],
    ] as const) {
      const out = file('theirs.der');
      openssl(
        'cms',
        '-sign',
        '-binary',
        '-outform',
        'DER',
        '-md',
        md,
        '-signer',
        cert,
        '-inkey',
        key,
        '-in',
        input,
        '-out',
        out,
        ...flags,
      );
      const header = readFileSync(out).toString('base64');
      assert.deepEqual(verifyMdmSignature(header, body, { allowLegacyDigest: true }).sha256, signer.certificate.sha256);
      if (md === 'sha1') assert.throws(() => verifyMdmSignature(header, body, { allowLegacyDigest: false }), /SHA-1/);
      assert.throws(() => verifyMdmSignature(header, Buffer.from('other'), { allowLegacyDigest: true }), WireError);
    }
  }
});

test('an attached content is ignored: only the HTTP body counts', () => {
  const header = signCms({ content: Buffer.from('what was signed'), ...device }).toString('base64');
  assert.throws(() => verifyMdmSignature(header, body, { allowLegacyDigest: false }), WireError);
});

test('every flipped bit of a signature is refused with our own error', () => {
  const der = signCms({ content: body, ...device, detached: true });
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.nat(7), (at, bit) => {
      const changed = Buffer.from(der);
      changed[at]! ^= 1 << bit;
      try {
        const certificate = verifyMdmSignature(changed.toString('base64'), body, { allowLegacyDigest: true });
        // Only bits outside what is signed may pass, and then the certificate must no longer be the device's own
        // or be the very same; trust in it is the caller's pin.
        assert.ok(certificate.sha256.length === 32);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
    { numRuns: 400 },
  );
});

test('a nesting bomb in the header is refused', () => {
  const bomb = Buffer.alloc(8_000, Buffer.of(0x30, 0x80)).toString('base64');
  assert.throws(() => verifyMdmSignature(bomb, body, { allowLegacyDigest: true }), WireError);
});

test('enveloped data opens on both sides, old ciphers by policy only', () => {
  const cert = file('ra.pem', toPem('CERTIFICATE', ra.certificate.der));
  const key = file('ra.key', keyPem(ra.key));
  openssl(
    'cms',
    '-decrypt',
    '-inform',
    'DER',
    '-in',
    file('e', encryptEnvelope(body, ra.certificate)),
    '-recip',
    cert,
    '-inkey',
    key,
    '-out',
    file('p'),
    '-binary',
  );
  assert.deepEqual(readFileSync(file('p')), body);
  for (const [cipher, legacy] of [
    ['-aes128', false],
    ['-aes256', false],
    ['-des3', true],
  ] as const) {
    openssl(
      'cms',
      '-encrypt',
      '-binary',
      cipher,
      '-outform',
      'DER',
      '-in',
      file('body', body),
      '-out',
      file('t'),
      cert,
    );
    assert.deepEqual(decryptEnvelope(readFileSync(file('t')), ra, { allowLegacyCiphers: true }), body);
    if (legacy)
      assert.throws(() => decryptEnvelope(readFileSync(file('t')), ra, { allowLegacyCiphers: false }), /cipher/);
  }
  const des = encryptEnvelope(body, ra.certificate, '1.3.14.3.2.7');
  assert.deepEqual(decryptEnvelope(des, ra, { allowLegacyCiphers: true }), body);
});

test('tampered key transport and tampered content fail alike', () => {
  const der = encryptEnvelope(body, ra.certificate);
  const messages = new Set<string>();
  // the transported key stands before the content: byte 200 is in the key, the last byte in the content
  for (const at of [150, 200, 250, der.length - 1]) {
    const changed = Buffer.from(der);
    changed[at]! ^= 0x55;
    try {
      assert.notDeepEqual(decryptEnvelope(changed, ra, { allowLegacyCiphers: true }), body);
    } catch (error) {
      messages.add((error as Error).message);
    }
  }
  assert.ok(messages.size <= 1);
});

test('SCEP: request and answer, success and failure, new and old algorithms', () => {
  const key = rsa();
  const self: { certificate: Certificate; key: KeyObject } = {
    key,
    certificate: makeCa(key, { commonName: 'requester', days: 1, now: Date.now() }),
  };
  const csr = makeCsr({ key, commonName: 'x', challengePassword: 'one-time' });
  for (const old of [false, true]) {
    const exchange = buildPkcsReq({
      csr,
      signer: self,
      registration: ra.certificate,
      ...(old ? { digest: 'sha1' as const, cipherOid: '1.3.14.3.2.7' } : {}),
    });
    if (old) assert.throws(() => parsePkiMessage(exchange.message, ra, { allowLegacy: false }), WireError);
    const request = parsePkiMessage(exchange.message, ra, { allowLegacy: true });
    assert.equal(parseCsr(request.csr).challengePassword, 'one-time');
    const answer = readCertRep(certRepSuccess(request, ra, [device.certificate, ca.certificate]), exchange);
    assert.ok('certificates' in answer);
    assert.deepEqual(answer.certificates[0]?.sha256, device.certificate.sha256);
    assert.deepEqual(readCertRep(certRepFailure(request, ra, 'badRequest'), exchange), { failInfo: '2' });
  }
});

test('certs-only answers are read by openssl', () => {
  const out = String(
    openssl(
      'pkcs7',
      '-inform',
      'DER',
      '-print_certs',
      '-in',
      file('c', certsOnly([device.certificate, ca.certificate])),
    ),
  );
  assert.equal(out.match(/subject=/g)?.length, 2);
  assert.equal(readCertificates(readFileSync(file('c'))).length, 2);
});

test('a profile signed by us is verified by openssl up to the CA', () => {
  const signed = signCms({ content: body, ...ra, chain: [ca.certificate] });
  openssl(
    'cms',
    '-verify',
    '-inform',
    'DER',
    '-in',
    file('s', signed),
    '-CAfile',
    file('ca.pem'),
    '-purpose',
    'any',
    '-out',
    file('p'),
  );
  assert.deepEqual(readFileSync(file('p')), body);
  const message = parseSigned(signed);
  assert.deepEqual(verifySigned(message, message.content!, { allowLegacyDigest: false }).sha256, ra.certificate.sha256);
});

test('weak and foreign keys are refused', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const request = {
    spki: parseCsr(makeCsr({ key: weak, commonName: 'x' })).spki,
    commonName: 'd',
    days: 1,
    usage: 'device' as const,
    now,
  };
  assert.throws(() => issueCertificate(ca, { ...request, now: Date.now() }), /2048/);
  assert.ok(issueCertificate(ca, { ...request, now: Date.now() }, { allowWeakRsa: true }));
  const k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
  assert.throws(() => parseCsr(makeCsr({ key: createPrivateKey(keyPem(k1)), commonName: 'x' })), WireError);
});
