import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

const run = promisify(execFile);
let plane: DevicePlane;
before(async () => {
  plane = await devicePlane();
});
after(() => plane.close());

/** Debian's strongswan-pki is `pki`; it fetches over HTTP only with libstrongswan-extra-plugins (curl). */
async function strongSwan(): Promise<string | undefined> {
  const help = await run('pki', ['--help']).catch((error: { stdout?: string; stderr?: string }) => error);
  const said = `${help.stdout ?? ''}${help.stderr ?? ''}`;
  if (!said.includes('strongSwan')) return 'strongswan-pki is not installed';
  if (!said.includes('--scep ')) return 'this pki has no --scep (strongSwan 5.9.8 or later has it)';
  const loaded = /^loaded plugins: (.*)$/m.exec(said)?.[1]?.split(' ') ?? [];
  return loaded.includes('curl') ? undefined : 'libstrongswan-extra-plugins is not installed, so pki cannot fetch';
}

async function challengeOf(link: string): Promise<string> {
  const profile = await (await fetch(link)).text();
  return /<key>Challenge<\/key>\s*<string>([^<]+)<\/string>/.exec(profile)![1]!;
}

// No AES here: strongSwan 5.9.8 refuses AES itself wherever a server also offers DES3, as ours must for old clients.
for (const [cipher, digest] of [
  ['des3', 'sha512'],
  ['des3', 'sha256'],
  ['des3', 'sha1'],
] as const) {
  test(`strongSwan gets a device certificate by SCEP: ${cipher}, ${digest}`, async (t) => {
    const missing = await strongSwan();
    if (missing !== undefined) {
      t.skip(missing);
      return;
    }
    const dir = mkdtempSync(join(tmpdir(), 'btz-scep-'));
    try {
      const [offer] = await plane.offer(1);
      const password = await challengeOf(offer!.link);
      const url = `${plane.url}/scep`;
      const key = await run('openssl', ['genrsa', '-traditional', '2048']);
      writeFileSync(join(dir, 'key.pem'), key.stdout);
      // What strongSwan calls CA is whatever GetCACert answers: here the registration authority's certificate.
      await run('pki', ['--scepca', '--url', url, '--caout', 'ca.pem', '--raout', 'ra.pem', '--outform', 'pem'], {
        cwd: dir,
      });
      const authority = readdirSync(dir).find((name) => name.startsWith('ca') || name.startsWith('ra'))!;
      const { rows } = await plane.core.query<{ ca: Buffer }>('select ca from fleet.registration limit 1');
      writeFileSync(join(dir, 'root.der'), rows[0]!.ca);
      const scep = (word: string) =>
        run(
          'pki',
          [
            ...['--scep', '--url', url, '--in', 'key.pem', '--dn', 'CN=any', '--password', word, '--outform', 'pem'],
            ...['--cacert-enc', authority, '--cacert-sig', authority, '--cacert', 'root.der'],
            ...['--cipher', cipher, '--digest', digest, '--maxpolltime', '1'],
          ],
          { cwd: dir, timeout: 60_000 },
        );
      await assert.rejects(scep('not-the-challenge'));
      writeFileSync(join(dir, 'cert.pem'), (await scep(password)).stdout);
      const text = await run('openssl', ['x509', '-in', 'cert.pem', '-noout', '-subject', '-ext', 'keyUsage'], {
        cwd: dir,
      });
      assert.match(text.stdout, /subject=CN = [0-9a-f-]{36}/);
      await run('openssl', ['x509', '-inform', 'DER', '-in', 'root.der', '-out', 'root.pem'], { cwd: dir });
      const verified = await run('openssl', ['verify', '-CAfile', 'root.pem', 'cert.pem'], { cwd: dir });
      assert.match(verified.stdout, /cert\.pem: OK/);
      await assert.rejects(scep(password), 'the challenge is spent');
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
}
