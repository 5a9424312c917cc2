import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AdeFiles } from '#fleet';
import {
  compareVersions,
  openServerToken,
  parseCertificate as parsed,
  parseMachineInfo,
  toPem,
  WireError,
} from '#wire';

// OpenSSL makes what Apple makes: the S/MIME server token, and MachineInfo signed under an authority that ended long ago.
const dir = mkdtempSync(join(tmpdir(), 'btz-ade-ossl-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string | Uint8Array) => {
  writeFileSync(join(dir, name), text);
  return name;
};
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });

const files = new AdeFiles(dir);
const message = `Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN MESSAGE-----\r\n${JSON.stringify(
  {
    ...{ consumer_key: 'CK_1', consumer_secret: 'CS-2', access_token: 'AT_3', access_secret: 'AS-4' },
    access_token_expiry: '2027-11-24T09:30:00Z',
  },
)}\r\n-----END MESSAGE-----\r\n`;

for (const cipher of ['des3', 'aes256']) {
  test(`a server token that OpenSSL encrypted with ${cipher} opens, with our key only`, () => {
    if (files.key() === undefined) files.makeKey(Date.now());
    const key = files.key()!;
    const certificate = file('server.pem', toPem('CERTIFICATE', key.certificate.der));
    const smime = openssl('smime', '-encrypt', `-${cipher}`, '-stream', '-in', file('message', message), certificate);
    assert.deepEqual(openServerToken(smime, key), {
      ...{ consumerKey: 'CK_1', consumerSecret: 'CS-2', accessToken: 'AT_3', accessSecret: 'AS-4' },
      notAfter: Date.parse('2027-11-24T09:30:00Z'),
    });
    const der = openssl('smime', '-encrypt', `-${cipher}`, '-outform', 'DER', '-in', 'message', certificate);
    assert.equal(openServerToken(der, key).consumerKey, 'CK_1');
    const other = mkdtempSync(join(dir, 'other-'));
    const wrong = new AdeFiles(other);
    wrong.makeKey(Date.now());
    assert.throws(() => openServerToken(smime, wrong.key()!), { code: 'ade-token' });
    assert.throws(() => openServerToken(smime.subarray(0, 400), key), WireError);
  });
}

test('MachineInfo that OpenSSL signed under an ended authority with SHA-1 is verified, through an intermediate too', () => {
  const plist =
    '<?xml version="1.0"?><plist version="1.0"><dict><key>SERIAL</key><string>ABC123</string><key>OS_VERSION</key><string>18.1</string><key>UDID</key><string>00008110-0011</string><key>LANGUAGE</key><string>de</string></dict></plist>';
  const config = file(
    'ca.cnf',
    '[ca]\nbasicConstraints=critical,CA:true\n[leaf]\nbasicConstraints=CA:false\n[req]\ndistinguished_name=dn\n[dn]\n',
  );
  const issue = (name: string, by: string | undefined, days: string, extension: string) => {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-subj',
      `/CN=${name}`,
      '-out',
      `${name}.csr`,
      '-config',
      config,
    );
    const signer =
      by === undefined ? ['-signkey', `${name}.key`] : ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
    openssl(
      ...['x509', '-req', '-sha1', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', days],
      ...[...signer, '-extfile', config, '-extensions', extension],
    );
  };
  issue('root', undefined, '1', 'ca');
  issue('middle', 'root', '1', 'ca');
  issue('device', 'middle', '1', 'leaf');
  issue('stranger', undefined, '1', 'ca');
  const signed = openssl(
    ...['cms', '-sign', '-binary', '-nodetach', '-md', 'sha1', '-outform', 'DER', '-in', file('info', plist)],
    ...['-signer', 'device.pem', '-inkey', 'device.key', '-certfile', 'middle.pem'],
  );
  const authority = (name: string) => parsed(openssl('x509', '-in', `${name}.pem`, '-outform', 'DER'));
  for (const name of ['root', 'middle']) {
    const info = parseMachineInfo(signed, [authority(name)]);
    assert.deepEqual([info.verified, info.serial, info.osVersion, info.canUpdate], [true, 'ABC123', '18.1', false]);
    assert.ok(!JSON.stringify(info).includes('"de"'), 'the language is dropped');
  }
  assert.equal(parseMachineInfo(signed, [authority('stranger')]).verified, false);
  assert.equal(parseMachineInfo(signed, []).verified, false);
  const changed = Buffer.from(signed);
  changed[changed.indexOf('ABC123')] = 0x58;
  assert.throws(() => parseMachineInfo(changed, [authority('root')]), { code: 'signature' });
});

test('versions compare by number', () => {
  assert.ok(compareVersions('9.3', '18.1') < 0);
  assert.ok(compareVersions('18.10', '18.9.9') > 0);
  assert.equal(compareVersions('18.1', '18.1.0'), 0);
});
