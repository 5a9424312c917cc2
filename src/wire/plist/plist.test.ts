import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../error.ts';
import { parsePlist } from './read.ts';
import { writePlist } from './write.ts';

const parse = (text: string) => parsePlist(Buffer.from(text));

test('values survive the round trip', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((s) => !/[\p{Cc}\ufffe\uffff]/u.test(s) && s.isWellFormed());
  const leaf = fc.oneof(
    text,
    fc.integer(),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }).filter((n) => !Object.is(n, -0)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc
      .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((d) => new Date(Math.floor(d.getTime() / 1000) * 1000)),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(text, tie('value')), { maxLength: 4 }).map((e) => new Map(e)),
    ),
  }));
  fc.assert(
    fc.property(value, (input) => assert.deepEqual(parsePlist(writePlist(input as never)), input)),
    { numRuns: 300 },
  );
});

test('entities beyond XML its own are never resolved', () => {
  for (const text of [
    '<!DOCTYPE plist [<!ENTITY x "boom">]><plist><string>&x;</string></plist>',
    '<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]><plist><string>&x;</string></plist>',
    '<plist><string>&nbsp;</string></plist>',
    '<plist><string>&#0;</string></plist>',
    '<plist><string>a & b</string></plist>',
  ]) {
    assert.throws(() => parse(text), WireError);
  }
  assert.equal(parse('<plist><string>&lt;&amp;&#x41;&#66;</string></plist>'), '<&AB');
});

test('structure is strict', () => {
  for (const text of [
    '',
    'garbage',
    '<plist>',
    '<plist></plist>',
    '<plist><dict><string>a</string></dict></plist>',
    '<plist><dict><key>a</key></dict></plist>',
    '<plist><dict><key>a</key><true/><key>a</key><true/></dict></plist>',
    '<plist><array><true/></dict></plist>',
    '<plist><true/></plist>x',
    '<plist><script>1</script></plist>',
    '<plist><integer>1e3</integer></plist>',
    '<plist><date>yesterday</date></plist>',
    '<plist><data>%%</data></plist>',
  ]) {
    assert.throws(() => parse(text), WireError, text);
  }
});

test('limits hold: size, depth, elements', () => {
  assert.throws(() => parsePlist(Buffer.alloc(2 * 1024 * 1024, ' ')), WireError);
  assert.throws(() => parse(`<plist>${'<array>'.repeat(40)}${'</array>'.repeat(40)}</plist>`), WireError);
  assert.throws(() => parsePlist(Buffer.from(`<plist><array>${'<true/>'.repeat(60_000)}</array></plist>`)), WireError);
});

test('dictionary keys cannot reach prototypes', () => {
  const dict = parse('<plist><dict><key>__proto__</key><string>x</string></dict></plist>') as Map<string, unknown>;
  assert.equal(dict.get('__proto__'), 'x');
  assert.equal(({} as Record<string, unknown>)['x'], undefined);
});

test('any mutation of a real message gives a value or our own error', () => {
  const message = writePlist({
    Status: 'Idle',
    UDID: 'A'.repeat(40),
    N: [1, 2.5, true, new Date(0), Buffer.from('x')],
  });
  fc.assert(
    fc.property(fc.nat(message.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(message);
      changed[at] = byte;
      try {
        parsePlist(changed);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('U+0000 is refused wherever it stands: no table could store it', () => {
  for (const text of ['<plist><string>a\0b</string></plist>', '<plist><dict><key>\0</key><true/></dict></plist>'])
    assert.throws(() => parse(text), WireError);
});
