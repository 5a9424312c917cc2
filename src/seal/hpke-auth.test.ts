import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import fc from 'fast-check';
import { hpkeOpen, hpkeOpenAuth, hpkeSeal, hpkeSealAuth } from './hpke.ts';
import { rawPublic } from './kem.ts';

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const fresh = () => generateKeyPairSync('x25519').privateKey;
const own = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

test('auth mode: what a browser’s library seals we open, and the other way round', async () => {
  const ours = fresh();
  const ourPublic = await suite.kem.deserializePublicKey(own(rawPublic(ours)));
  const theirs = await suite.kem.generateKeyPair();
  const theirPublic = Buffer.from(await suite.kem.serializePublicKey(theirs.publicKey));
  await fc.assert(
    fc.asyncProperty(bytes(200), bytes(30), bytes(30), async (plain, info, aad) => {
      const from = await suite.createSenderContext({
        recipientPublicKey: ourPublic,
        senderKey: theirs,
        info: own(info),
      });
      const ct = Buffer.from(await from.seal(own(plain), own(aad)));
      const opened = hpkeOpenAuth(ours, theirPublic, Buffer.concat([Buffer.from(from.enc), ct]), { info, aad });
      assert.deepEqual(Uint8Array.from(opened), Uint8Array.from(plain));
      const sealed = hpkeSealAuth(theirPublic, ours, plain, { info, aad });
      const to = await suite.createRecipientContext({
        ...{ recipientKey: theirs.privateKey, senderPublicKey: ourPublic, enc: own(sealed.subarray(0, 32)) },
        info: own(info),
      });
      assert.deepEqual(new Uint8Array(await to.open(own(sealed.subarray(32)), own(aad))), Uint8Array.from(plain));
    }),
    { numRuns: 20 },
  );
});

test('nobody seals in another’s name: wrong sender, base mode, a changed bit, a point of low order', () => {
  const [recipient, sender, stranger] = [fresh(), fresh(), fresh()];
  const context = { info: 'i', aad: Buffer.from('a') };
  const no = { code: 'open-failed' };
  const sealed = hpkeSealAuth(rawPublic(recipient), sender, Buffer.from('hello'), context);
  assert.equal(hpkeOpenAuth(recipient, rawPublic(sender), sealed, context).toString(), 'hello');
  assert.throws(() => hpkeOpenAuth(recipient, rawPublic(stranger), sealed, context), no);
  assert.throws(() => hpkeOpen(recipient, sealed, context), no);
  const forged = hpkeSealAuth(rawPublic(recipient), stranger, Buffer.from('hello'), context);
  assert.throws(() => hpkeOpenAuth(recipient, rawPublic(sender), forged, context), no);
  const base = hpkeSeal(rawPublic(recipient), Buffer.from('hello'), context);
  assert.throws(() => hpkeOpenAuth(recipient, rawPublic(sender), base, context), no);
  assert.throws(() => hpkeOpenAuth(recipient, Buffer.alloc(32), sealed, context), no);
  for (let at = 0; at < sealed.length; at += 7) {
    const bent = Buffer.from(sealed);
    bent[at]! ^= 1;
    assert.throws(() => hpkeOpenAuth(recipient, rawPublic(sender), bent, context), no);
  }
});
