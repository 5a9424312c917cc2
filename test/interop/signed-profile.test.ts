import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newPhone, openLine, Phone } from '#sim';
import { makeCa, toPem } from '#wire';
import { devicePlane } from './phone-stack.ts';

test('a signed enrolment profile: OpenSSL verifies it with our CA and no other, a phone enrols with it', async (t) => {
  const plane = await devicePlane({ signProfiles: true });
  const dir = mkdtempSync(join(tmpdir(), 'btz-signed-'));
  const line = openLine();
  t.after(async () => {
    line.close();
    await plane.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const file = (name: string, bytes: string | Buffer) => {
    writeFileSync(join(dir, name), bytes);
    return join(dir, name);
  };
  const [offer] = await plane.offer(1);
  const answer = await fetch(offer!.link);
  assert.equal(answer.headers.get('content-type'), 'application/x-apple-aspen-config');
  const signed = Buffer.from(await answer.arrayBuffer());
  const ca = file('ca.pem', new X509Certificate(plane.ca.certificate.der).toString());
  const openssl = (profile: string, anchor: string) =>
    execFileSync('openssl', ['cms', '-verify', '-binary', '-inform', 'DER', '-in', profile, '-CAfile', anchor], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }).toString();
  const xml = openssl(file('profile.p7', signed), ca);
  assert.match(xml, /^<\?xml[\s\S]*com\.apple\.mdm/);
  const at = signed.indexOf(Buffer.from('com.apple.mdm'));
  signed[at] = signed[at]! ^ 1;
  const spoiled = file('spoiled.p7', signed);
  assert.throws(() => openssl(spoiled, ca));
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const stranger = makeCa(key, { commonName: 'Somebody else', days: 30, now: Date.now() });
  assert.throws(() => openssl(join(dir, 'profile.p7'), file('other.pem', toPem('CERTIFICATE', stranger.der))));
  const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send });
  await phone.enrol(offer!.link);
  assert.equal(await phone.poll(), 0);
});
