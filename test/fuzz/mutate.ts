import { changeTree } from './der-tree.ts';
import type { Dice } from './dice.ts';
import type { Target } from './target.ts';

const ODD = [0x00, 0x01, 0x20, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x84, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];

type Change = (bytes: Buffer, dice: Dice, other: Buffer, target: Target) => Buffer;

const cut = (bytes: Buffer, from: number, to: number, ...between: Uint8Array[]) =>
  Buffer.concat([bytes.subarray(0, from), ...between, bytes.subarray(to)]);

function range(bytes: Buffer, dice: Dice): [number, number] {
  const from = dice.below(bytes.length + 1);
  return [from, Math.min(bytes.length, from + dice.size(64))];
}

/** A place where an element begins, for XML; anywhere, for others. */
function border(bytes: Buffer, dice: Dice, target: Target): number {
  const at = dice.below(bytes.length + 1);
  if (target.form !== 'xml') return at;
  const found = bytes.indexOf(0x3c, at);
  return found < 0 ? bytes.length : found;
}

const ANYWHERE: readonly Change[] = [
  (bytes, dice) => {
    const out = Buffer.from(bytes);
    for (let n = dice.size(8); n > 0 && out.length > 0; n -= 1) out[dice.below(out.length)]! ^= 1 << dice.below(8);
    return out;
  },
  (bytes, dice) => {
    const out = Buffer.from(bytes);
    if (out.length > 0) out[dice.below(out.length)] = dice.pick(ODD);
    return out;
  },
  // truncation, at either end
  (bytes, dice) =>
    dice.once(4) ? bytes.subarray(dice.below(bytes.length)) : bytes.subarray(0, dice.below(bytes.length + 1)),
  // a piece of another input
  (bytes, dice, other, target) => {
    const [from, to] = [border(other, dice, target), border(other, dice, target)];
    const at = border(bytes, dice, target);
    return cut(
      bytes,
      at,
      dice.once(2) ? at : border(bytes, dice, target),
      other.subarray(Math.min(from, to), Math.max(from, to)),
    );
  },
  // a piece twice, or many times
  (bytes, dice, _other, target) => {
    const [from, to] = [border(bytes, dice, target), border(bytes, dice, target)];
    const piece = bytes.subarray(Math.min(from, to), Math.max(from, to)).subarray(0, 4_096);
    return cut(bytes, from, from, ...Array<Buffer>(dice.size(12)).fill(piece));
  },
  (bytes, dice) => cut(bytes, ...range(bytes, dice)),
  (bytes, dice, _other, { words }) => {
    const at = dice.below(bytes.length + 1);
    const word = dice.pick(words);
    return cut(bytes, at, dice.once(2) ? at : at + word.length, word);
  },
  (bytes, dice, _other, target) => {
    const at = border(bytes, dice, target);
    return cut(bytes, at, at, dice.pick(target.words));
  },
  // a digit, or a byte that may be a length, larger or smaller
  (bytes, dice) => {
    const out = Buffer.from(bytes);
    const at = dice.below(out.length);
    if (out.length > 0) out[at] = (out[at]! + dice.pick([-16, -2, -1, 1, 2, 16])) & 0xff;
    return out;
  },
  (bytes, dice) => {
    const at = dice.below(bytes.length + 1);
    return cut(bytes, at, at, dice.bytes(dice.size(16)));
  },
];

const DER: readonly Change[] = [
  (bytes, dice, other) => changeTree(bytes, other, dice) ?? bytes,
  (bytes, dice, other) => changeTree(bytes, other, dice) ?? bytes,
  (bytes, dice, other) => changeTree(changeTree(bytes, other, dice) ?? bytes, other, dice) ?? bytes,
  // a length in the long form, up to four bytes of it
  (bytes, dice) => {
    const at = dice.below(bytes.length);
    return cut(bytes, at + 1, at + 2, Buffer.of(0x80 | dice.below(6)), dice.bytes(dice.below(5)));
  },
];

const TAGS = ['array', 'dict', 'string', 'data', 'integer', 'real', 'date', 'key', 'true', 'plist'];
const XML: readonly Change[] = [
  (bytes, dice, _other, target) => {
    const tag = dice.pick(TAGS);
    const [from, to] = [border(bytes, dice, target), border(bytes, dice, target)].sort((a, b) => a - b) as [
      number,
      number,
    ];
    const deep = dice.size(40);
    const open = Buffer.from(`<${tag}>`.repeat(deep));
    return cut(bytes, from, to, open, bytes.subarray(from, to), Buffer.from(`</${tag}>`.repeat(deep)));
  },
  // one element's name for another's
  (bytes, dice) => {
    const text = bytes.toString('latin1');
    const tag = dice.pick(TAGS);
    return Buffer.from(
      text.replace(new RegExp(`<(/?)${tag}>`, dice.once(2) ? 'g' : ''), `<$1${dice.pick(TAGS)}>`),
      'latin1',
    );
  },
  (bytes, dice) => {
    const text = bytes.toString('latin1');
    const values = [...text.matchAll(/>([^<]+)</g)];
    if (values.length === 0) return bytes;
    const { index, 1: value } = dice.pick(values);
    const odd = dice.pick([
      '',
      '0',
      '-1',
      '1e400',
      '9'.repeat(dice.size(40)),
      '0x'.concat('f'.repeat(dice.size(20))),
      '\0',
      '\u0001',
      '😀'.repeat(dice.size(300)),
      'a'.repeat(dice.size(5_000)),
      '2026-13-45T99:99:99Z',
      '0000-00-00T00:00:00Z',
      '====',
      'true',
    ]);
    return Buffer.concat([bytes.subarray(0, index! + 1), Buffer.from(odd), bytes.subarray(index! + 1 + value!.length)]);
  },
];

/** An input with one to six changes. Bytes of `other` may be spliced in. */
export function mutate(bytes: Buffer, other: Buffer, dice: Dice, target: Target): Buffer {
  const changes =
    target.form === 'der' ? [...ANYWHERE, ...DER, ...DER] : target.form === 'xml' ? [...ANYWHERE, ...XML] : ANYWHERE;
  let out = bytes;
  for (let n = dice.size(6); n > 0; n -= 1) {
    const next = dice.pick(changes)(out, dice, other, target);
    if (next.length > target.maxBytes + 64) break;
    out = next;
  }
  return out;
}

/** A fragment or two repeated to any size up to a little over what is allowed, with or without a valid beginning. */
export function bomb(dice: Dice, target: Target): Buffer {
  const size = dice.size(target.maxBytes + 16);
  const piece = Buffer.concat([dice.pick(target.words), dice.once(2) ? dice.pick(target.words) : Buffer.alloc(0)]);
  if (piece.length === 0) return piece;
  const seed = dice.pick(target.seeds);
  const at = border(seed, dice, target);
  const body = Buffer.alloc(size, piece);
  if (dice.once(3)) return body;
  return cut(seed, at, dice.once(2) ? at : seed.length, body).subarray(0, target.maxBytes + 16);
}
