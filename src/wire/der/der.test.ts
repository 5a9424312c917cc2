import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../error.ts';
import { child, octets, oidOf, readDer, textOf, timeOf } from './read.ts';
import { element, integer, octetString, oid, sequence, time } from './write.ts';

test('object identifiers survive the round trip', () => {
  for (const dotted of [
    '1.2.840.113549.1.7.2',
    '2.16.840.1.101.3.4.2.1',
    '2.5.4.3',
    '1.3.14.3.2.26',
    '2.16.840.1.113733.1.9.2',
  ]) {
    assert.equal(oidOf(readDer(oid(dotted))), dotted);
  }
});

test('integers are minimal and never negative', () => {
  assert.equal(integer(0).toString('hex'), '020100');
  assert.equal(integer(127).toString('hex'), '02017f');
  assert.equal(integer(128).toString('hex'), '02020080');
  assert.equal(integer(65_537).toString('hex'), '0203010001');
  assert.equal(integer(Buffer.from('00ff', 'hex')).toString('hex'), '020200ff');
});

test('times survive the round trip on both sides of 2050', () => {
  for (const iso of ['2026-11-24T03:00:00Z', '2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z']) {
    assert.equal(timeOf(readDer(time(Date.parse(iso)))), Date.parse(iso));
  }
});

test('octet strings in BER pieces are joined', () => {
  const pieces = Buffer.from('24800402aabb0401cc0000', 'hex');
  assert.equal(octets(readDer(pieces)).toString('hex'), 'aabbcc');
});

test('any octet string survives the round trip', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const node = readDer(sequence(octetString(bytes)));
      assert.deepEqual(octets(child(node, 0)), Buffer.from(bytes));
    }),
  );
});

test('a nesting bomb is refused, quickly and by our own error', () => {
  const definite = Array.from({ length: 70 }).reduce<Buffer>((inner) => element(0x30, inner), Buffer.alloc(0));
  assert.throws(() => readDer(definite), WireError);
  assert.throws(() => readDer(Buffer.concat([Buffer.alloc(200_000, Buffer.of(0x30, 0x80))])), WireError);
  assert.throws(() => readDer(element(0x30, Buffer.alloc(60_000, Buffer.of(5, 0)))), WireError);
});

test('random bytes give a tree or our own error, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        readDer(bytes);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a two-byte text that ends within a character is refused, not thrown from elsewhere', () => {
  assert.equal(textOf(readDer(Buffer.from('1e0400410042', 'hex'))), 'AB');
  assert.throws(() => textOf(readDer(Buffer.from('1e03004100', 'hex'))), WireError);
});
