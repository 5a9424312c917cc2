import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { deviceIdentity, proposeDeclaration, saveSet, standingOf } from '#fleet';
import { tx } from '#store';
import { buildGo } from './go-build.ts';
import { devicePlane } from './phone-stack.ts';

const run = promisify(execFile);
const AUTHOR = 'amber-otter-4821';

// Nothing of this phone is ours: Go's ACME client and X.509 got its attested P-256 identity, smallstep's PKCS #7 signs its
// messages, kmfddm's types read what is declared.
test('a phone with an attested identity by ACME works through its declarations and reports', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'btz-ddm-acme-'));
  const [acme, phone] = await Promise.all([buildGo('foreignacme'), buildGo('foreignphone')]);
  t.after(() => {
    for (const path of [dir, dirname(acme), dirname(phone)]) rmSync(path, { recursive: true, force: true });
  });
  await run(acme, ['root', dir]);
  const plane = await devicePlane(
    {},
    { roots: [readFileSync(join(dir, 'root.pem'), 'utf8')], policy: 'acme-attested' },
  );
  t.after(() => plane.close());
  const [offer] = await plane.offer(1, 'acme-attested');
  const { device, link } = offer!;
  await run(acme, ['enrol', dir, link]);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir });
  openssl('x509', '-in', 'certificate.pem', '-outform', 'DER', '-out', 'certificate.der');
  writeFileSync(join(dir, 'key.pem'), openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'key.pem'));
  const state = {
    ...{ ServerURL: `${plane.url}/mdm`, CheckInURL: `${plane.url}/checkin`, Topic: 'com.apple.mgmt.External.example' },
    ...{ UDID: '00008120-00FA57B0C4D90102', Profiles: {}, Apps: {} },
  };
  writeFileSync(join(dir, 'state.json'), JSON.stringify(state));
  await run(phone, ['introduce', dir]);
  assert.equal((await deviceIdentity(plane.console, device)).kind, 'acme-attested');

  const { id } = await tx(plane.console, (t) =>
    proposeDeclaration(t, {
      ...{ identifier: 'attested.siri', type: 'com.apple.configuration.siri.settings', unchecked: false },
      ...{ payload: { AllowWhileLocked: false }, author: AUTHOR, now: Date.now() },
    }),
  );
  const set = { id: null, name: 'Attested', predicate: null, everyone: false, groups: [], by: AUTHOR };
  await tx(plane.console, (t) => saveSet(t, { ...set, declarations: [id], devices: [device] }));
  await plane.declare();
  const order = JSON.parse((await run(phone, ['poll', dir])).stdout) as { verb: string; token: string };
  const synced = JSON.parse((await run(phone, ['sync', dir])).stdout) as { token: string; fetched: string[] };
  assert.deepEqual([order.verb, order.token], ['DeclarativeManagement', synced.token]);
  assert.ok(synced.fetched.includes('attested.siri'));
  const told = run(phone, ['report', dir, 'held']);
  told.child.stdin!.end(JSON.stringify({ StatusItems: {}, Errors: [], FullReport: true }));
  await told;
  const standing = (await standingOf(plane.console, device))!;
  assert.deepEqual([...new Set(standing.declarations.map((one) => one.state))], ['applied']);
  assert.deepEqual(plane.problems, []);
});
