import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { deviceIdentity, getDevice, publishCrl } from '#fleet';
import { toPem } from '#wire';
import { buildGo } from './go-build.ts';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const run = promisify(execFile);
let plane: DevicePlane;
let program: string;
let dir: string;
before(async () => {
  program = await buildGo('foreignacme');
  dir = mkdtempSync(join(tmpdir(), 'btz-foreign-acme-'));
  await run(program, ['root', dir]);
  plane = await devicePlane({}, { roots: [readFileSync(join(dir, 'root.pem'), 'utf8')], policy: 'acme-attested' });
});
after(async () => {
  await plane?.close();
  for (const path of [dir, program && dirname(program)]) if (path) rmSync(path, { recursive: true, force: true });
});

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8' });

/** A check-in whose signature OpenSSL made. */
async function checkIn(facts: Readonly<Record<string, string>>, data = ''): Promise<number> {
  const members = Object.entries(facts).map(([key, value]) => `<key>${key}</key><string>${value}</string>`);
  const body = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>${members.join('')}${data}</dict></plist>`;
  writeFileSync(join(dir, 'body'), body);
  const sign = ['cms', '-sign', '-binary', '-md', 'sha256', '-signer', 'certificate.pem', '-inkey', 'key.pem'];
  openssl(...sign, '-in', 'body', '-outform', 'DER', '-out', 'signature');
  const answer = await fetch(`${plane.url}/checkin`, {
    method: 'PUT',
    headers: {
      'content-type': 'application/x-apple-aspen-mdm-checkin',
      'mdm-signature': readFileSync(join(dir, 'signature')).toString('base64'),
    },
    body,
  });
  return answer.status;
}

test('Go’s ACME client with an attestation made by Go’s X.509 and a foreign CBOR library gets a certificate, and enrols', async () => {
  const [offer] = await plane.offer(1, 'acme-attested');
  await run(program, ['enrol', dir, offer!.link]);
  writeFileSync(join(dir, 'ca.pem'), toPem('CERTIFICATE', plane.ca.certificate.der));
  assert.match(
    openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'certificate.pem'),
    /OK/,
  );

  const device = { UDID: '00008120-00FA57B0C4D90102', Topic: 'com.apple.mgmt.External.example' };
  const authenticate = {
    MessageType: 'Authenticate',
    ...device,
    DeviceName: 'Foreign',
    ProductName: 'iPhone15,4',
    OSVersion: '26.1',
  };
  assert.equal(await checkIn({ ...authenticate, SerialNumber: 'ANOTHER00001' }), 400, 'not the attested serial');
  assert.equal(await checkIn({ ...authenticate, SerialNumber: 'FOREIGN00002' }), 200);
  const token = `<key>Token</key><data>${Buffer.alloc(32, 7).toString('base64')}</data>`;
  assert.equal(await checkIn({ MessageType: 'TokenUpdate', ...device, PushMagic: 'magic' }, token), 200);

  assert.equal((await getDevice(plane.console, offer!.device)).device.state, 'enrolled');
  const { kind, attestations } = await deviceIdentity(plane.console, offer!.device);
  assert.equal(kind, 'acme-attested');
  assert.deepEqual(
    attestations.map(({ serial, current, rootName, facts }) => ({ serial, current, rootName, facts })),
    [
      {
        serial: 'FOREIGN00002',
        current: true,
        rootName: 'Foreign attestation root',
        facts: { osVersion: '26.1', sepOsVersion: '26.1' },
      },
    ],
  );
});

test('the link is spent: the same program gets nothing more', async () => {
  const [offer] = await plane.offer(1, 'acme-attested');
  await run(program, ['enrol', dir, offer!.link]);
  await assert.rejects(run(program, ['enrol', dir, offer!.link]), /410/);
});

for (const by of ['account', 'certificate'] as const) {
  test(`Go’s client changes its account’s key and revokes by the ${by}’s key: the list says so to OpenSSL, the device is cut off, people are told`, async () => {
    const [offer] = await plane.offer(1, 'acme-attested');
    await run(program, ['enrol', dir, offer!.link]);
    const device = { UDID: '00008120-00FA57B0C4D90102', Topic: 'com.apple.mgmt.External.example' };
    const authenticate = { MessageType: 'Authenticate', ...device, ProductName: 'iPhone15,4', OSVersion: '26.1' };
    assert.equal(await checkIn({ ...authenticate, SerialNumber: 'FOREIGN00002' }), 200);
    const token = `<key>Token</key><data>${Buffer.alloc(32, 7).toString('base64')}</data>`;
    const update = () => checkIn({ MessageType: 'TokenUpdate', ...device, PushMagic: 'magic' }, token);
    assert.equal(await update(), 200);
    const directory = `${plane.url}/acme/directory`;
    await run(program, ['rollover', dir, directory]);
    await run(program, ['revoke', dir, directory, by]);
    // x/crypto/acme takes alreadyRevoked for done, so a second time is no error of its own.
    await run(program, ['revoke', dir, directory, by]);
    assert.equal(await update(), 400, 'it is cut off');
    assert.equal((await getDevice(plane.console, offer!.device)).device.state, 'checked_out');
    await publishCrl(plane.core, plane.ca, Date.now());
    const { rows } = await plane.core.query<{ der: Buffer }>('select der from fleet.crl');
    writeFileSync(join(dir, 'crl.der'), rows[0]!.der);
    writeFileSync(join(dir, 'ca.pem'), toPem('CERTIFICATE', plane.ca.certificate.der));
    openssl('crl', '-inform', 'DER', '-in', 'crl.der', '-out', 'crl.pem');
    const verify = ['verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem', 'certificate.pem'];
    assert.throws(() => openssl(...verify), /certificate revoked/);
    const serial = openssl('x509', '-in', 'certificate.pem', '-noout', '-serial').trim().replace('serial=', '');
    const text = openssl('crl', '-in', 'crl.pem', '-noout', '-text');
    const entry = text.slice(text.indexOf(`Serial Number: ${serial}`)).slice(0, 300);
    assert.match(entry, by === 'account' ? /Superseded/ : /Key Compromise/);
    const told = await plane.core.query<{ by: string; reason: string; in_use: boolean }>(
      `select body->'unmapped'->>'by' as by, body->'unmapped'->>'reason' as reason, (body->'unmapped'->>'in_use')::boolean as in_use
       from log.event where kind = 'device.certificate_revoked' and device = $1`,
      [offer!.device],
    );
    assert.deepEqual(told.rows, [
      {
        by: `acme-${by === 'account' ? 'account' : 'key'}`,
        reason: by === 'account' ? 'superseded' : 'keyCompromise',
        in_use: true,
      },
    ]);
  });
}
