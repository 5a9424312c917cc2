import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hpkeOpen, hpkeSeal, x25519Private, x25519Raw } from './hpke.ts';

test('a message opens for its recipient, info and labels only', () => {
  const { privateKey } = generateKeyPairSync('x25519');
  const other = generateKeyPairSync('x25519').privateKey;
  const aad = Buffer.from('label');
  const sealed = hpkeSeal(x25519Raw(privateKey), Buffer.from('hello'), { info: 'i', aad });
  assert.equal(sealed.length, 32 + 5 + 16);
  assert.equal(hpkeOpen(privateKey, sealed, { info: 'i', aad }).toString(), 'hello');
  assert.throws(() => hpkeOpen(other, sealed, { info: 'i', aad }), { code: 'open-failed' });
  assert.throws(() => hpkeOpen(privateKey, sealed, { info: 'j', aad }), { code: 'open-failed' });
  assert.throws(() => hpkeOpen(privateKey, sealed, { info: 'i', aad: Buffer.from('other') }), { code: 'open-failed' });
  assert.throws(() => hpkeOpen(privateKey, sealed, { info: 'i', aad, aead: 1 }), { code: 'open-failed' });
  for (let at = 0; at < sealed.length; at++) {
    const bent = Buffer.from(sealed);
    bent[at]! ^= 1 << (at % 8);
    // The top bit of an X25519 u-coordinate is masked away (RFC 7748), but enc is bound by the KEM context.
    assert.throws(() => hpkeOpen(privateKey, bent, { info: 'i', aad }), { code: 'open-failed' }, `byte ${at}`);
  }
});

test('a low-order encapsulated key is refused', () => {
  const { privateKey } = generateKeyPairSync('x25519');
  assert.throws(() => hpkeOpen(privateKey, Buffer.alloc(64), { info: '' }), { code: 'open-failed' });
});

test('raw private keys keep their public part', () => {
  const raw = randomBytes(32);
  assert.deepEqual(x25519Raw(x25519Private(raw)), x25519Raw(x25519Private(Buffer.from(raw))));
  assert.throws(() => x25519Private(raw.subarray(1)), { code: 'key' });
});
