import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { assertion, newPasskey, publicHalf, type SoftwarePasskey } from './passkey.ts';

const options = {
  challenge: Buffer.from('a challenge of any length'),
  origin: 'http://glass.localhost:8441',
  rpId: 'glass.localhost',
};
const bytes = (text: string) => Buffer.from(text, 'base64url');
const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest();

function check(passkey: SoftwarePasskey, signed: ReturnType<typeof assertion>, spoil = 0): boolean {
  const key = createPublicKey({ key: bytes(passkey.publicKey), format: 'der', type: 'spki' });
  const data = Buffer.concat([bytes(signed.authenticatorData), sha256(bytes(signed.clientDataJSON))]);
  data[0]! ^= spoil;
  return verify(passkey.algorithm === 'ES256' ? 'sha256' : null, data, key, bytes(signed.signature));
}

for (const algorithm of ['ES256', 'Ed25519'] as const) {
  test(`${algorithm}: the signature covers authenticator data and client data`, () => {
    const passkey = newPasskey({ algorithm, admin: 'amber-otter-4821' });
    const signed = assertion(passkey, options);
    assert.ok(check(passkey, signed));
    assert.ok(!check(passkey, signed, 1));
    assert.equal(bytes(signed.signature)[0] === 0x30 && algorithm === 'ES256', algorithm === 'ES256');
    const client = JSON.parse(bytes(signed.clientDataJSON).toString());
    assert.deepEqual(client, {
      type: 'webauthn.get',
      challenge: options.challenge.toString('base64url'),
      origin: options.origin,
      crossOrigin: false,
    });
    assert.deepEqual(bytes(signed.authenticatorData).subarray(0, 32), sha256('glass.localhost'));
  });
}

test('flags and counter follow the options', () => {
  const passkey = newPasskey();
  const flags = (extra: object) => bytes(assertion(passkey, { ...options, ...extra }).authenticatorData)[32];
  assert.equal(flags({}), 0x05);
  assert.equal(flags({ uv: false }), 0x01);
  assert.equal(flags({ up: false }), 0x04);
  assert.equal(passkey.counter, 3);
});

test('a passkey survives JSON and goes on counting', () => {
  const first = newPasskey();
  assertion(first, options);
  const again: SoftwarePasskey = JSON.parse(JSON.stringify(first));
  const signed = assertion(again, options);
  assert.ok(check(first, signed));
  assert.equal(bytes(signed.authenticatorData).readUInt32BE(33), 2);
  assert.equal(publicHalf(again).credential, first.credential);
});
