import assert from 'node:assert/strict';
import { createECDH, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import fc from 'fast-check';
import { hpkeEnc, hpkeOpen, hpkeOpenDerived, hpkeOpenParts, hpkeSeal, hpkeSealParts } from './hpke.ts';
import { freshKey, type Kem, kemOf, packPoint, publicOf, rawPublic, x25519Private, x25519Raw } from './kem.ts';

const KEMS = ['x25519', 'p256'] as const;
const makeKey = (kem: Kem): KeyObject =>
  kem === 'x25519'
    ? generateKeyPairSync('x25519').privateKey
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function privateFrom(kem: Kem, raw: Buffer): KeyObject {
  if (kem === 'x25519') return x25519Private(raw);
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(raw);
  const point = ecdh.getPublicKey();
  const part = (from: number) => point.subarray(from, from + 32).toString('base64url');
  const key = { kty: 'EC', crv: 'P-256', x: part(1), y: part(33), d: raw.toString('base64url') };
  return createPrivateKey({ key, format: 'jwk' });
}

interface Vector {
  readonly kem: 32 | 16;
  readonly aead: 1 | 2;
  readonly info: string;
  readonly skEm: string;
  readonly skRm: string;
  readonly pkRm: string;
  readonly enc: string;
  readonly aad: string;
  readonly pt: string;
  readonly ct: string;
}

// From the test vectors of RFC 9180 (appendix A and the working group's file): base mode, HKDF-SHA256, first encryption.
const vectors = JSON.parse(readFileSync(new URL('hpke-vectors.json', import.meta.url), 'utf8')) as Vector[];
const hex = (text: string) => Buffer.from(text, 'hex');

test('the vectors of RFC 9180 come out, sealing and opening', () => {
  assert.deepEqual(
    vectors.map(({ kem, aead }) => `${kem}/${aead}`).sort(),
    ['16/1', '16/2', '32/1', '32/2'],
    'both encapsulations with both ciphers',
  );
  for (const vector of vectors) {
    const kem = vector.kem === 32 ? 'x25519' : 'p256';
    const context = { info: hex(vector.info), aad: hex(vector.aad), aead: vector.aead };
    const own = privateFrom(kem, hex(vector.skRm));
    assert.equal(rawPublic(own).toString('hex'), vector.pkRm);
    const { enc, ct } = hpkeSealParts(hex(vector.pkRm), hex(vector.pt), context, privateFrom(kem, hex(vector.skEm)));
    assert.equal(enc.toString('hex'), vector.enc);
    assert.equal(ct.toString('hex'), vector.ct);
    assert.equal(hpkeOpenParts(own, hex(vector.enc), hex(vector.ct), context).toString('hex'), vector.pt);
  }
});

const suites = { x25519: new DhkemX25519HkdfSha256(), p256: new DhkemP256HkdfSha256() };
const suiteOf = (kem: Kem) => new CipherSuite({ kem: suites[kem], kdf: new HkdfSha256(), aead: new Aes256Gcm() });
/** An ArrayBuffer of its own, as the other implementation wants it. */
const own = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

for (const kem of KEMS) {
  test(`${kem}: what we seal @hpke/core opens, and the other way round`, async () => {
    const suite = suiteOf(kem);
    const theirs = await suite.kem.generateKeyPair();
    const theirPublic = Buffer.from(await suite.kem.serializePublicKey(theirs.publicKey));
    const ours = makeKey(kem);
    const ourPublic = await suite.kem.deserializePublicKey(own(rawPublic(ours)));
    await fc.assert(
      fc.asyncProperty(bytes(300), bytes(40), bytes(40), async (plain, info, aad) => {
        const sealed = hpkeSeal(theirPublic, plain, { info, aad });
        assert.equal(sealed.length, 32 + plain.length + 16, 'one size for both kinds of key');
        const to = await suite.createRecipientContext({
          recipientKey: theirs.privateKey,
          enc: own(hpkeEnc(kem, sealed)),
          info: own(info),
        });
        assert.deepEqual(new Uint8Array(await to.open(own(sealed.subarray(32)), own(aad))), Uint8Array.from(plain));
        const from = await suite.createSenderContext({ recipientPublicKey: ourPublic, info: own(info) });
        const ct = Buffer.from(await from.seal(own(plain), own(aad)));
        const back = hpkeOpenParts(ours, Buffer.from(from.enc), ct, { info, aad });
        assert.deepEqual(Uint8Array.from(back), Uint8Array.from(plain));
      }),
      { numRuns: 40 },
    );
  });

  test(`${kem}: a message opens for its recipient, info and labels only, and with no bit changed`, () => {
    const privateKey = makeKey(kem);
    const aad = Buffer.from('label');
    const sealed = hpkeSeal(rawPublic(privateKey), Buffer.from('hello'), { info: 'i', aad });
    assert.equal(hpkeOpen(privateKey, sealed, { info: 'i', aad }).toString(), 'hello');
    const no = { code: 'open-failed' };
    assert.throws(() => hpkeOpen(makeKey(kem), sealed, { info: 'i', aad }), no);
    assert.throws(() => hpkeOpen(makeKey(kem === 'p256' ? 'x25519' : 'p256'), sealed, { info: 'i', aad }), no);
    assert.throws(() => hpkeOpen(privateKey, sealed, { info: 'j', aad }), no);
    assert.throws(() => hpkeOpen(privateKey, sealed, { info: 'i', aad: Buffer.from('other') }), no);
    assert.throws(() => hpkeOpen(privateKey, sealed, { info: 'i', aad, aead: 1 }), no);
    for (let at = 0; at < sealed.length; at++) {
      const bent = Buffer.from(sealed);
      bent[at]! ^= 1 << (at % 8);
      // The top bit of an X25519 u-coordinate is masked away (RFC 7748), but enc is bound by the KEM context.
      assert.throws(() => hpkeOpen(privateKey, bent, { info: 'i', aad }), no, `byte ${at}`);
    }
    for (const length of [0, 1, 31, 32, 47, sealed.length - 1]) {
      assert.throws(() => hpkeOpen(privateKey, sealed.subarray(0, length), { info: 'i', aad }), no, `${length} bytes`);
    }
    assert.throws(() => hpkeOpen(privateKey, Buffer.concat([sealed, Buffer.alloc(1)]), { info: 'i', aad }), no);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (noise) => {
        assert.throws(() => hpkeOpen(privateKey, noise, { info: 'i', aad }), no);
      }),
    );
  });
}

test('points of low order are refused, for opening and for sealing', () => {
  const privateKey = makeKey('x25519');
  // The points of small order on Curve25519 and their non-canonical forms (RFC 7748 section 6.1 demands the zero check).
  const low = [
    ...['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`, `ed${'ff'.repeat(30)}7f`],
    ...[`ee${'ff'.repeat(30)}7f`, 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  ].map(hex);
  for (const point of low) {
    assert.throws(() => hpkeOpen(privateKey, Buffer.concat([point, Buffer.alloc(32)]), { info: '' }), {
      code: 'open-failed',
    });
    assert.throws(() => hpkeSeal(point, Buffer.from('x'), { info: '' }), { code: 'key' });
  }
});

test('points off the curve, at infinity or in another form are refused', () => {
  const privateKey = makeKey('p256');
  const off = rawPublic(makeKey('p256'));
  off[64]! ^= 1;
  for (const [what, point] of [
    ['off the curve', off],
    ['zero', Buffer.concat([Buffer.from([4]), Buffer.alloc(64)])],
    ['compressed', Buffer.concat([Buffer.from([2]), off.subarray(1, 33)])],
    ['a hybrid form', Buffer.concat([Buffer.from([6]), rawPublic(privateKey).subarray(1)])],
    ['infinity', Buffer.from([0])],
  ] as const) {
    assert.throws(() => hpkeSeal(point, Buffer.from('x'), { info: '' }), { code: 'key' }, what);
    assert.throws(
      () => hpkeOpenParts(privateKey, point, Buffer.alloc(32), { info: '' }),
      { code: 'open-failed' },
      what,
    );
  }
  // About half of all x-coordinates belong to no point.
  const none = [...Array(40).keys()].map((n) =>
    Buffer.concat([Buffer.alloc(31, 7), Buffer.from([n]), Buffer.alloc(16)]),
  );
  for (const sealed of none) assert.throws(() => hpkeOpen(privateKey, sealed, { info: '' }), { code: 'open-failed' });
});

test('a secret derived elsewhere opens the same, a wrong or empty one nothing', () => {
  const privateKey = makeKey('p256');
  const recipient = rawPublic(privateKey);
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(Buffer.from((privateKey.export({ format: 'jwk' }) as { d: string }).d, 'base64url'));
  const sealed = hpkeSeal(recipient, Buffer.from('hello'), { info: 'i' });
  const derive = () => ecdh.computeSecret(hpkeEnc('p256', sealed));
  assert.equal(hpkeOpenDerived(derive(), recipient, sealed, { info: 'i' }).toString(), 'hello');
  for (const wrong of [Buffer.alloc(32), randomBytes(32), derive().subarray(1)]) {
    assert.throws(() => hpkeOpenDerived(wrong, recipient, sealed, { info: 'i' }), { code: 'open-failed' });
  }
});

test('keys keep their public part and say their kind', () => {
  const raw = randomBytes(32);
  assert.deepEqual(x25519Raw(x25519Private(raw)), x25519Raw(x25519Private(Buffer.from(raw))));
  assert.throws(() => x25519Private(raw.subarray(1)), { code: 'key' });
  assert.throws(() => kemOf(randomBytes(33)), { code: 'key' });
  for (let times = 0; times < 20; times++) {
    const point = rawPublic(freshKey('p256'));
    assert.equal(point[64]! & 1, 0, 'the y that the short form means');
    assert.equal(packPoint(point).length, 32);
    assert.deepEqual(rawPublic(publicOf(point)), point);
  }
});
