import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { advanceRetirements, evidenceMarkdown, publishCrl, requestRetirement, retireEvidence } from '#fleet';
import type { Phone } from '#sim';
import { tx } from '#store';
import { HOUR, renewing } from './renewal-stage.ts';

// What renewal and retirement revoke, judged by OpenSSL and strongSwan.

test('the list of revoked certificates: edge hands it out, OpenSSL and strongSwan believe it', async (t) => {
  const { plane, clock, phones, left, round, rows } = await renewing(t, 2);
  const dir = mkdtempSync(join(tmpdir(), 'btz-crl-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string, text: string | Buffer) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const [renewed, revoked] = phones as [(typeof phones)[0], (typeof phones)[0]];
  const pem = (phone: Phone) =>
    new X509Certificate(Buffer.from(phone.state.identity!.certificate, 'base64')).toString();
  const old = file('old.pem', pem(renewed.phone));
  const fetched = async () => {
    const answer = await fetch(`${plane.url}/crl`);
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      der: Buffer.from(await answer.arrayBuffer()),
    };
  };
  assert.equal((await fetched()).status, 404);
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 1);
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 0, 'the same list is not signed again');
  await left(80);
  await round();
  await renewed.phone.poll();
  const lost = file('lost.pem', pem(revoked.phone));
  await plane.console.query('select fleet.revoke_certificates($1, $2, $3)', [
    revoked.handle,
    'amber-otter-4821',
    'keyCompromise',
  ]);
  await assert.rejects(revoked.phone.poll(), { status: 400 });
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 1);
  const { rows: kept } = await plane.core.query<{ der: Buffer }>('select der from fleet.crl');
  const crl = file('crl.der', kept[0]!.der);
  const crlPem = file('crl.pem', '');
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  const ca = file('ca.pem', new X509Certificate(plane.ca.certificate.der).toString());
  openssl('crl', '-inform', 'DER', '-in', crl, '-CAfile', ca, '-out', crlPem);
  const text = openssl('crl', '-in', crlPem, '-noout', '-text', '-CAfile', ca);
  assert.match(text, /CRL Number[\s\S]*?2/);
  assert.match(text, /Superseded/);
  assert.match(text, /Key Compromise/);
  const check = (certificate: string) => {
    try {
      return openssl('verify', '-crl_check', '-x509_strict', '-CAfile', ca, '-CRLfile', crlPem, certificate);
    } catch (error) {
      return String((error as { stderr: Buffer }).stderr);
    }
  };
  assert.match(check(file('new.pem', pem(renewed.phone))), /OK/);
  for (const one of [old, lost]) assert.match(check(one), /certificate revoked/);
  const swan = (certificate: string) => {
    try {
      return execFileSync('pki', ['--verify', '--in', certificate, '--cacert', ca, '--crl', crl], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }).toString();
    } catch (error) {
      const { stdout, stderr } = error as { stdout: Buffer; stderr: Buffer };
      return `${stdout}${stderr}`;
    }
  };
  assert.match(swan(join(dir, 'new.pem')), /certificate trusted, lifetimes valid, certificate not revoked/);
  assert.match(swan(lost), /revoked/);
  assert.match(swan(lost), /key compromise/i);
  // Half of its time later it is signed anew, and what ended by itself is left out.
  await rows(`update fleet.certificate set not_after = now() - interval '1 day' where revoked_at is not null`);
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now + 25 * HOUR), 1);
  assert.deepEqual(await rows('select number, entries from fleet.crl'), [{ number: 3, entries: 0 }]);
});

test('a retirement puts the device’s certificate on the list, OpenSSL sees its serial there, and the evidence names it', async (t) => {
  const { plane, clock, phones } = await renewing(t, 2);
  const { handle, phone } = phones[0]!;
  const serialOf = (one: Phone) =>
    new X509Certificate(Buffer.from(one.state.identity!.certificate, 'base64')).serialNumber;
  const listed = async () => {
    const { rows } = await plane.core.query<{ der: Buffer }>('select der from fleet.crl');
    return execFileSync('openssl', ['crl', '-inform', 'DER', '-noout', '-text'], { input: rows[0]!.der }).toString();
  };
  const serial = serialOf(phone);
  await publishCrl(plane.core, plane.ca, clock.now);
  assert.ok(!(await listed()).includes(serial), 'not before');
  const { ids } = await tx(plane.console, (c) =>
    requestRetirement(c, {
      ...{ devices: [handle], way: 'forget', requester: 'amber-otter-4821', purpose: 'it was broken', now: clock.now },
    }),
  );
  for (let i = 0; i < 4; i += 1) await advanceRetirements(plane.core);
  const before = await retireEvidence(plane.console, ids[0]!);
  assert.equal(before.retirement.state, 'forgotten');
  assert.deepEqual(
    before.revoked.map((one) => [one.serial?.toUpperCase(), one.reason, one.listed]),
    [[serial, 'cessationOfOperation', null]],
  );
  assert.equal(await publishCrl(plane.core, plane.ca, clock.now), 1);
  const text = await listed();
  assert.ok(text.includes(`Serial Number: ${serial}`), text);
  assert.match(text, /Cessation Of Operation/);
  assert.ok(!text.includes(serialOf(phones[1]!.phone)), 'nobody else’s');
  const after = await retireEvidence(plane.console, ids[0]!);
  assert.deepEqual(
    after.revoked.map((one) => one.listed),
    [2],
  );
  assert.match(evidenceMarkdown(after), new RegExp(`\\| ${serial} \\|.*\\| cessationOfOperation \\| 2 \\|`, 'i'));
  await assert.rejects(phone.poll(), { status: 400 });
});
