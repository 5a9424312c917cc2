import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Aes128Gcm, Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { hpkeOpen, hpkeSeal, x25519Private, x25519Raw } from '#seal';

const hex = (text: string) => Buffer.from(text, 'hex');

test('RFC 9180 appendix A.1.1: base mode, X25519, HKDF-SHA256, AES-128-GCM, sequence number 0', () => {
  const ephemeral = x25519Private(hex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736'));
  const recipient = x25519Private(hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'));
  const publicKey = hex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d');
  const plaintext = hex('4265617574792069732074727574682c20747275746820626561757479');
  const context = {
    info: hex('4f6465206f6e2061204772656369616e2055726e'),
    aad: hex('436f756e742d30'),
    aead: 1,
  } as const;
  const enc = '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431';
  const ct = 'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a';
  assert.deepEqual(x25519Raw(recipient), publicKey);
  assert.equal(hpkeSeal(publicKey, plaintext, context, ephemeral).toString('hex'), enc + ct);
  assert.deepEqual(hpkeOpen(recipient, hex(enc + ct), context), plaintext);
});

for (const [name, aead, foreign] of [
  ['AES-256-GCM', 2, new Aes256Gcm()],
  ['AES-128-GCM', 1, new Aes128Gcm()],
] as const) {
  test(`@hpke/core opens what we seal and we open what it seals, ${name}`, async () => {
    const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: foreign });
    const { privateKey } = generateKeyPairSync('x25519');
    const raw = Uint8Array.from(x25519Raw(privateKey));
    const theirs = await suite.kem.importKey(
      'jwk',
      privateKey.export({ format: 'jwk' }) as Parameters<typeof suite.kem.importKey>[1] & object,
      false,
    );
    const recipientPublicKey = await suite.kem.deserializePublicKey(raw.buffer as ArrayBuffer);
    for (const length of [0, 1, 128, 5_000]) {
      const plaintext = Uint8Array.from(randomBytes(length));
      const info = Uint8Array.from(randomBytes(length % 40));
      const aad = Uint8Array.from(randomBytes(length % 50));
      const sealed = hpkeSeal(raw, plaintext, { info, aad, aead });
      const recipient = await suite.createRecipientContext({
        recipientKey: theirs,
        enc: Uint8Array.from(sealed.subarray(0, 32)).buffer,
        info: info.buffer,
      });
      const opened = await recipient.open(Uint8Array.from(sealed.subarray(32)).buffer, aad.buffer);
      assert.deepEqual(Buffer.from(opened), Buffer.from(plaintext));
      const sender = await suite.createSenderContext({ recipientPublicKey, info: info.buffer });
      const ct = await sender.seal(plaintext.buffer, aad.buffer);
      const message = Buffer.concat([Buffer.from(sender.enc), Buffer.from(ct)]);
      assert.deepEqual(hpkeOpen(privateKey, message, { info, aad, aead }), Buffer.from(plaintext));
    }
  });
}
