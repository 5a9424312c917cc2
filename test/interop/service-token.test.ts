import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AdeFiles, setServiceTokens, signServiceTokens, type TokenAllowance } from '#fleet';
import { KeyPool, newPhone, openLine, Phone } from '#sim';
import { tx } from '#store';
import { isDict, parsePlist } from '#wire';
import { type DevicePlane, devicePlane } from './phone-stack.ts';

// GetToken (service com.apple.maid): the token is taken apart here by hand and its signature checked by OpenSSL. Apple's identity
// service was not seen.
const SERVER = '3E1F8A20-0000-4000-8000-00C0FFEE0001';
const keyPool = new KeyPool();
const line = openLine();
let plane: DevicePlane;
let dir: string;
let stopped = false;
let signing: Promise<void>;
before(async () => {
  plane = await devicePlane();
  dir = mkdtempSync(join(tmpdir(), 'btz-token-'));
  // Core's loop, without its process; the key lies in core's directory and nowhere else.
  const files = new AdeFiles(dir);
  signing = (async () => {
    while (!stopped) {
      await signServiceTokens(plane.core, files, Date.now());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
});
after(async () => {
  stopped = true;
  await signing;
  line.close();
  await plane.close();
  rmSync(dir, { recursive: true, force: true });
});

async function enrolled(): Promise<{ phone: Phone; device: string }> {
  const [offer] = await plane.offer(1);
  const phone = new Phone(newPhone({ deviceName: 'a phone' }), { send: line.send, keyPool });
  await phone.enrol(offer!.link);
  return { phone, device: offer!.device };
}
const allow = (whose: TokenAllowance) =>
  tx(plane.console, (c) => setServiceTokens(c, { allow: whose, by: 'amber-otter-4821' }));
const ask = (phone: Phone, TokenServiceType = 'com.apple.maid') =>
  phone.checkInWith({ MessageType: 'GetToken', TokenServiceType });
const tokenIn = (body: Buffer): string => {
  const root = parsePlist(body);
  const data = isDict(root) ? root.get('TokenData') : undefined;
  assert.ok(data instanceof Uint8Array);
  return Buffer.from(data).toString('latin1');
};
const part = (text: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
/** OpenSSL's word on the signature, with the key of the certificate that Apple has. */
function verify(token: string, certificate = 'ade.pem'): string {
  const [head, body, signature] = token.split('.') as [string, string, string];
  writeFileSync(join(dir, 'signed'), `${head}.${body}`);
  writeFileSync(join(dir, 'signature'), Buffer.from(signature, 'base64url'));
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  writeFileSync(join(dir, 'public.pem'), openssl('x509', '-in', certificate, '-noout', '-pubkey'));
  try {
    return openssl('dgst', '-sha256', '-verify', 'public.pem', '-signature', 'signature', 'signed');
  } catch (error) {
    return String((error as { stdout: string }).stdout);
  }
}

test('nobody gets a token before there is a policy, a server at Apple and its key; other services are refused, and no phone leaves for it', async () => {
  const { phone, device } = await enrolled();
  const refusedAsking = async () => assert.equal((await ask(phone)).status, 400);
  await refusedAsking();
  await allow('organisation');
  await refusedAsking();
  new AdeFiles(dir).makeKey(Date.now());
  await refusedAsking();
  await plane.asOwner(`update fleet.ade_server set server_uuid = $1, token_not_after = now() - interval '1 day'`, [
    SERVER,
  ]);
  await refusedAsking();
  await plane.asOwner(`update fleet.ade_server set token_not_after = now() + interval '300 days'`, []);
  assert.equal((await ask(phone)).status, 200);
  assert.equal((await ask(phone, 'com.apple.watch.pairing')).status, 400);
  assert.equal((await ask(phone, 'org.example.other')).status, 400);
  const reasons = await plane.owner<{ reason: string | null }>(
    `select s.reason from fleet.service_token s join fleet.device d on d.id = s.device_id where d.handle = $1 order by s.asked_at`,
    [device],
  );
  assert.deepEqual(
    reasons.map((one) => one.reason),
    ['policy', 'no-server', 'no-server', 'no-server', null],
    'a service that is not offered is not even asked for',
  );
  assert.equal(phone.enrolled, true);
  assert.equal(await phone.poll(), 0);
});

test('the token has Apple’s claims, is signed by the key that Apple has the certificate of, is new each time and kept nowhere', async () => {
  const { phone, device } = await enrolled();
  const tokens = [tokenIn((await ask(phone)).body), tokenIn((await ask(phone)).body)];
  const seen = new Set<unknown>();
  for (const token of tokens) {
    const [head, body] = token.split('.') as [string, string];
    assert.deepEqual(part(head), { alg: 'RS256', typ: 'JWT' });
    const claims = part(body);
    assert.deepEqual(Object.keys(claims).sort(), ['iat', 'iss', 'jti', 'service_type']);
    assert.equal(claims['iss'], SERVER);
    assert.equal(claims['service_type'], 'com.apple.maid');
    assert.ok(Math.abs(Number(claims['iat']) - Date.now() / 1000) < 60 && Number.isInteger(claims['iat']));
    assert.match(String(claims['jti']), /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/);
    seen.add(claims['jti']);
    assert.match(verify(token), /Verified OK/);
    const bent = `${head}.${Buffer.from(JSON.stringify({ ...claims, iss: 'another' })).toString('base64url')}.${token.split('.')[2]}`;
    assert.match(verify(bent), /Verification failure/i);
  }
  assert.equal(seen.size, 2);
  const kept = await plane.owner<{ state: string; token: string | null }>(
    `select s.state, s.token from fleet.service_token s join fleet.device d on d.id = s.device_id where d.handle = $1`,
    [device],
  );
  assert.deepEqual(kept, [
    { state: 'taken', token: null },
    { state: 'taken', token: null },
  ]);
  const told = await plane.core.query<{ jti: string }>(
    `select body->'unmapped'->>'jti' as jti from log.event where kind = 'device.token_signed' and device = $1`,
    [device],
  );
  assert.deepEqual(new Set(told.rows.map((one) => one.jti)), seen, 'each is told of');
  assert.ok(!readFileSync(join(dir, 'ade.key'), 'utf8').includes(tokens[0]!));
  assert.deepEqual(plane.problems, []);
});

test('a holder’s own device gets one only where the policy says all; whoever asks too often gets none', async () => {
  const { phone, device } = await enrolled();
  await plane.asOwner(`update fleet.device set ownership = 'personal' where handle = $1`, [device]);
  assert.equal((await ask(phone)).status, 400);
  await allow('all');
  let given = 0;
  for (let i = 0; i < 14; i += 1) if ((await ask(phone)).status === 200) given += 1;
  assert.equal(given, 11, 'twelve questions an hour');
  // Another device is not held up by it.
  assert.equal((await ask((await enrolled()).phone)).status, 200);
  await allow('none');
  assert.equal((await ask((await enrolled()).phone)).status, 400);
});
