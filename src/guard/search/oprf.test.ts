import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ristretto255_oprf as noble, ristretto255 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { loadGroup } from './noble.ts';
import { Oprf } from './oprf.ts';

const oprf = new Oprf(await loadGroup());
const hex = (text: string) => Buffer.from(text, 'hex');
const scalar = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const littleEndian = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();

// RFC 9497 appendix A.1.1: OPRF mode of ristretto255-SHA512.
const SEED = 'a3'.repeat(32);
const KEY = '5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e';
const BLIND = '64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706';
const VECTORS = [
  {
    input: '00',
    blinded: '609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c',
    evaluated: '7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e',
    output:
      '527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6',
  },
  {
    input: '5a'.repeat(17),
    blinded: 'da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418',
    evaluated: 'b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25',
    output:
      'f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73',
  },
] as const;

test('the vectors of RFC 9497 come out', () => {
  const key = oprf.deriveKey(hex(SEED), Buffer.from('test key'));
  assert.equal(littleEndian(key).toString('hex'), KEY);
  for (const { input, blinded: expected, evaluated: answer, output } of VECTORS) {
    const { blind, blinded } = oprf.blind(hex(input), scalar(hex(BLIND)));
    assert.equal(blinded.toString('hex'), expected);
    const evaluated = oprf.evaluate(key, blinded);
    assert.equal(evaluated.toString('hex'), answer);
    assert.equal(oprf.finish(hex(input), blind, evaluated).toString('hex'), output);
  }
});

test('each step agrees with the package’s own, whatever goes in', () => {
  const { secretKey } = noble.oprf.generateKeyPair();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (input) => {
      const ours = oprf.blind(input);
      const theirs = noble.oprf.blind(input);
      const whole = noble.oprf.finalize(input, theirs.blind, noble.oprf.blindEvaluate(secretKey, theirs.blinded));
      const direct = Buffer.from(whole);
      assert.deepEqual(oprf.finish(input, ours.blind, noble.oprf.blindEvaluate(secretKey, ours.blinded)), direct);
      const evaluated = oprf.evaluate(scalar(secretKey), theirs.blinded);
      assert.deepEqual(Buffer.from(noble.oprf.finalize(input, theirs.blind, evaluated)), direct);
    }),
    { numRuns: 12 },
  );
});

test('what the ledger sees is another random point each time, and another key gives another tag', () => {
  const number = Buffer.from('+447700900123');
  const seen = new Set(Array.from({ length: 20 }, () => oprf.blind(number).blinded.toString('hex')));
  assert.equal(seen.size, 20);
  // Unlinkable: for any other number there is a blind that gives the very same point.
  const { blinded } = oprf.blind(number);
  const other = oprf.blind(Buffer.from('+447700900124'), 1n).blinded;
  const { Point } = ristretto255;
  assert.ok(!Point.fromBytes(other).equals(Point.fromBytes(blinded)));
  const [one, two] = [oprf.randomScalar(), oprf.randomScalar()];
  const tag = (key: bigint) => {
    const { blind, blinded: sent } = oprf.blind(number);
    return oprf.finish(number, blind, oprf.evaluate(key, sent)).toString('hex');
  };
  assert.equal(tag(one), tag(one), 'the blind leaves no trace');
  assert.notEqual(tag(one), tag(two));
});

test('what is no element is refused: the identity, another encoding, noise', () => {
  const key = oprf.randomScalar();
  const no = { code: 'refused' };
  const { blinded } = oprf.blind(Buffer.from('x'));
  const negative = Buffer.from(blinded);
  negative[31]! |= 0x80;
  for (const bad of [Buffer.alloc(32), negative, Buffer.alloc(32, 0xff), blinded.subarray(1), Buffer.alloc(0)]) {
    assert.throws(() => oprf.evaluate(key, bad), no);
    assert.throws(() => oprf.finish(Buffer.from('x'), 5n, bad), no);
  }
  let points = 0;
  for (let times = 0; times < 200; times++) {
    try {
      oprf.evaluate(key, randomBytes(32));
      points++;
    } catch (error) {
      assert.equal((error as { code: string }).code, 'refused');
    }
  }
  assert.ok(points < 60, 'most noise is no element');
});

test('blinds are spread over all scalars, and a randomness of zeros is not used', () => {
  assert.throws(() => oprf.randomScalar(Buffer.alloc(64)), { code: 'internal' });
  const { ORDER } = ristretto255.Point.Fn;
  const high = Array.from({ length: 400 }, () => oprf.randomScalar()).filter((one) => one > ORDER / 2n).length;
  assert.ok(high > 140 && high < 260, `${high} of 400 in the upper half`);
});
