import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../error.ts';
import { type Cbor, readCbor } from './read.ts';

/** A writer of the test's own, with heads of any width: the reader must not ask for the shortest one. */
function head(major: number, value: bigint, wider = 0): Buffer {
  const widths = [23n, 0xffn, 0xffffn, 0xffffffffn];
  const least = widths.findIndex((most) => value <= most);
  const width = Math.min(4, (least < 0 ? 4 : least) + wider);
  if (width === 0) return Buffer.of((major << 5) | Number(value));
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return Buffer.concat([Buffer.of((major << 5) | (23 + width)), bytes.subarray(8 - (1 << (width - 1)))]);
}

function write(value: Cbor, wider = 0): Buffer {
  if (value === null) return Buffer.of(0xf6);
  if (typeof value === 'boolean') return Buffer.of(value ? 0xf5 : 0xf4);
  if (typeof value === 'number' || typeof value === 'bigint') {
    const number = BigInt(value);
    return number >= 0n ? head(0, number, wider) : head(1, -1n - number, wider);
  }
  if (typeof value === 'string')
    return Buffer.concat([head(3, BigInt(Buffer.byteLength(value)), wider), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, BigInt(value.length), wider), value]);
  if (value instanceof Map) {
    const parts = [...value].flatMap(([key, one]) => [write(key, wider), write(one as Cbor, wider)]);
    return Buffer.concat([head(5, BigInt(value.size), wider), ...parts]);
  }
  const items = value as readonly Cbor[];
  return Buffer.concat([head(4, BigInt(items.length), wider), ...items.map((one) => write(one, wider))]);
}

const refused = (hex: string, why: RegExp) =>
  assert.throws(
    () => readCbor(Buffer.from(hex, 'hex')),
    (error) => error instanceof WireError && error.code === 'cbor' && why.test(error.message),
    hex,
  );

test('the examples of RFC 8949, appendix A, that are in our subset', () => {
  const examples: [string, unknown][] = [
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['1bffffffffffffffff', 18_446_744_073_709_551_615n],
    ['3bffffffffffffffff', -18_446_744_073_709_551_616n],
    ['20', -1],
    ['3903e7', -1000],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['40', Buffer.alloc(0)],
    ['4401020304', Buffer.of(1, 2, 3, 4)],
    ['62c3bc', undefined],
    ['6161', 'a'],
    ['62225c', '"\\'],
    ['64f0908591', '\u{10151}'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a0', new Map()],
    [
      'a201020304',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    [
      'a26161016162820203',
      new Map<string, unknown>([
        ['a', 1],
        ['b', [2, 3]],
      ]),
    ],
  ];
  for (const [hex, value] of examples) {
    if (value === undefined) assert.equal(readCbor(Buffer.from(hex, 'hex')), 'ü');
    else assert.deepEqual(readCbor(Buffer.from(hex, 'hex')), value, hex);
  }
});

test('what the subset leaves out is refused: indefinite lengths, tags, floats, undefined, reserved heads', () => {
  refused('5f42010243030405ff', /indefinite/);
  refused('7f657374726561646d696e67ff', /indefinite/);
  refused('9fff', /indefinite/);
  refused('bfff', /indefinite/);
  refused('c074323031332d30332d32315432303a30343a30305a', /tag/);
  refused('f93c00', /kind/);
  refused('fb3ff199999999999a', /kind/);
  refused('f7', /kind/);
  refused('ff', /kind/);
  refused('1c', /reserved/);
});

test('broken items are refused: too short, too long, twice the same key, a key of another kind, no UTF-8', () => {
  refused('', /early/);
  refused('18', /early/);
  refused('42ff', /longer/);
  refused('0000', /follows/);
  refused('a2616101616102', /twice/);
  refused('a1f401', /key/);
  refused('62c328', /UTF-8/);
});

test('bombs are refused at once: promised sizes, depth, number of items', () => {
  refused('9bffffffffffffffff', /promises/);
  refused('9affffffff', /promises/);
  refused('bb7fffffffffffffff', /promises/);
  refused('5b7fffffffffffffff', /longer/);
  refused('5a7fffffff00', /longer/);
  refused(`${'81'.repeat(5000)}00`, /deeply/);
  refused(`99ffff${'00'.repeat(0xffff - 3000)}`, /long|promises/);
  const many = Buffer.concat([Buffer.from('9907d0', 'hex'), Buffer.alloc(2000)]);
  assert.throws(() => readCbor(many), /too many/);
  assert.equal((readCbor(many, { maxItems: 2001 }) as Cbor[]).length, 2000);
  assert.throws(() => readCbor(Buffer.alloc(64 * 1024 + 1)), /too long/);
});

const { value } = fc.letrec<{ value: Cbor }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.string({ maxLength: 8 }), fc.integer()), tie('value')), {
        maxLength: 5,
        selector: ([key]) => key,
      })
      .map((entries) => new Map(entries) as Cbor),
  ),
}));

test('any value survives the round trip, with heads of any width', () => {
  fc.assert(
    fc.property(value, fc.nat({ max: 4 }), (original, wider) => {
      assert.deepEqual(readCbor(write(original, wider), { maxItems: 100_000, maxDepth: 20 }), original);
    }),
  );
});

test('a value that is cut off or changed anywhere gives a value or our own error, nothing else', () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.nat({ max: 255 }), (original, where, change) => {
      const bytes = write(original);
      const at = where % bytes.length;
      const cut = bytes.subarray(0, at);
      assert.throws(() => readCbor(cut, { maxItems: 100_000 }), WireError, 'no prefix of an item is an item');
      bytes[at] = change;
      try {
        readCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
  );
});

test('random bytes give a value or our own error, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        readCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
    { numRuns: 3000 },
  );
});
