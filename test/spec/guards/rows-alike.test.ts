import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fromBase64url } from '#base';
import type { Field } from '#seal';
import { Guards, person } from './fixture.ts';

const guards = await Guards.start();
after(() => guards.close());
const PEOPLE = 128;
const VALUES: readonly (readonly [Field, (n: number) => string])[] = [
  ['name', (n) => 'Ada'.padEnd(3 + (n % 100), ' Example')],
  ['number', (n) => `+44770090${String(n).padStart(4, '0')}`],
  ['email', (n) => `${'a'.repeat(1 + (n % 60))}@agency.example`],
];

/** Chi-square of bytes against all values being as likely: 255 degrees of freedom, so 255 ± 23 where nothing shows. */
function chiSquare(bytes: Uint8Array): number {
  const counts = new Array<number>(256).fill(0);
  for (const byte of bytes) counts[byte]! += 1;
  const expected = bytes.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
// Seven standard deviations: once in a thousand million runs by chance.
const MOST = 255 + 7 * Math.sqrt(2 * 255);

const bitsApart = (a: Buffer, b: Buffer): number =>
  a.reduce((sum, byte, at) => sum + (byte ^ b[at]!).toString(2).replaceAll('0', '').length, 0);

test('stored rows are of one size, look like noise in every byte, and are unrelated for two people of one name', async () => {
  const stored: Buffer[] = [];
  for (const [field, value] of VALUES) {
    const values = Object.fromEntries(Array.from({ length: PEOPLE }, (_, n) => [person(n), value(n)]));
    const rows = await guards.settle(values, field);
    assert.equal(rows.length, PEOPLE);
    stored.push(...rows.map(({ row }) => Buffer.from(fromBase64url(row))));
  }
  assert.equal(new Set(stored.map(({ length }) => length)).size, 1, 'name, number and address, short and long');
  const size = stored[0]!.length;
  assert.ok(chiSquare(Buffer.concat(stored)) < MOST, 'all bytes together');
  const plain = Buffer.concat(
    VALUES.flatMap(([, value]) => Array.from({ length: PEOPLE }, (_, n) => Buffer.from(value(n)))),
  );
  assert.ok(chiSquare(plain) > MOST * 100, 'the control: what is in the clear shows at once');
  // A byte that says what a row is, how long or of whom would be the same in many rows, wherever it stood.
  for (let at = 0; at < size; at += 1) {
    const column = stored.map((row) => row[at]!);
    const most = Math.max(...[...new Set(column)].map((byte) => column.filter((one) => one === byte).length));
    assert.ok(most < 20, `byte ${at} has one value in ${most} of ${column.length} rows`);
  }
  const same = await guards.settle({ [person(800)]: 'Ada Example', [person(801)]: 'Ada Example' }, 'name');
  const [one, other] = same.map(({ row }) => Buffer.from(fromBase64url(row))) as [Buffer, Buffer];
  const apart = bitsApart(one, other) / (size * 8);
  assert.ok(apart > 0.4 && apart < 0.6, `${apart} of the bits differ`);
});
