import type { Dice } from './dice.ts';

/** A loosely read element: whatever cannot be read is one leaf. */
interface Part {
  tag: number;
  children: Part[] | undefined;
  value: Buffer;
  indefinite: boolean;
}

function read(bytes: Buffer, at: number, end: number, depth: number): { part: Part; next: number } | undefined {
  if (at + 2 > end || depth > 40) return undefined;
  const tag = bytes[at]!;
  let length = bytes[at + 1]!;
  let start = at + 2;
  const indefinite = length === 0x80;
  if (length > 0x80) {
    const count = length & 0x7f;
    if (count > 4 || start + count > end) return undefined;
    length = bytes.readUIntBE(start, count);
    start += count;
  }
  if (indefinite) {
    const children: Part[] = [];
    for (let next = start; ; ) {
      if (bytes[next] === 0 && bytes[next + 1] === 0)
        return { part: { tag, children, value: Buffer.alloc(0), indefinite }, next: next + 2 };
      const child = read(bytes, next, end, depth + 1);
      if (child === undefined) return undefined;
      children.push(child.part);
      next = child.next;
    }
  }
  if (start + length > end) return undefined;
  const value = bytes.subarray(start, start + length);
  const children = (tag & 0x20) !== 0 ? readAll(value, depth + 1) : undefined;
  return { part: { tag, children, value, indefinite }, next: start + length };
}

function readAll(bytes: Buffer, depth: number): Part[] | undefined {
  const parts: Part[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = read(bytes, at, bytes.length, depth);
    if (found === undefined) return undefined;
    parts.push(found.part);
    at = found.next;
  }
  return parts;
}

function write(part: Part): Buffer {
  const body = part.children === undefined ? part.value : Buffer.concat(part.children.map(write));
  if (part.indefinite) return Buffer.concat([Buffer.of(part.tag, 0x80), body, Buffer.of(0, 0)]);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(part.tag, body.length), body]);
  const size = body.length < 0x100 ? 1 : body.length < 0x1_00_00 ? 2 : 4;
  const head = Buffer.alloc(2 + size);
  head[0] = part.tag;
  head[1] = 0x80 | size;
  head.writeUIntBE(body.length, 2, size);
  return Buffer.concat([head, body]);
}

function all(part: Part, into: Part[] = []): Part[] {
  into.push(part);
  for (const child of part.children ?? []) all(child, into);
  return into;
}

const TAGS = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1e, 0x24, 0x30, 0x31, 0x80, 0xa0, 0xa3,
];

/** Changes one element and mends the lengths around it, so that the parser gets past the frame. Undefined: not DER. */
export function changeTree(bytes: Buffer, other: Buffer, dice: Dice): Buffer | undefined {
  const root = read(bytes, 0, bytes.length, 0)?.part;
  if (root === undefined) return undefined;
  const parts = all(root);
  const part = dice.pick(parts);
  const parent = parts.find((one) => one.children?.includes(part));
  switch (dice.below(9)) {
    case 0:
      part.tag = dice.pick(TAGS);
      break;
    case 1:
      if (parent) parent.children!.splice(parent.children!.indexOf(part), 1);
      break;
    case 2:
      if (parent) parent.children!.splice(parent.children!.indexOf(part), 0, ...Array<Part>(dice.size(20)).fill(part));
      break;
    case 3: {
      const strange = read(other, 0, other.length, 0)?.part;
      if (parent && strange) parent.children![parent.children!.indexOf(part)] = dice.pick(all(strange));
      break;
    }
    case 4:
      part.children = undefined;
      part.value = dice.bytes(dice.below(40));
      break;
    case 5:
      if (parent) swap(parent.children!, dice);
      break;
    case 6: {
      let inner: Part = { ...part };
      for (let n = dice.size(70); n > 0; n -= 1)
        inner = {
          tag: dice.pick([0x30, 0x31, 0xa0, 0x24]),
          children: [inner],
          value: Buffer.alloc(0),
          indefinite: false,
        };
      Object.assign(part, inner);
      break;
    }
    case 7:
      if (part.children) part.indefinite = !part.indefinite;
      break;
    default:
      if (part.children === undefined && part.value.length > 0) {
        part.value = Buffer.from(part.value);
        part.value[dice.below(part.value.length)]! ^= 1 << dice.below(8);
      }
  }
  return write(root);
}

function swap(list: Part[], dice: Dice): void {
  const [i, j] = [dice.below(list.length), dice.below(list.length)];
  [list[i], list[j]] = [list[j]!, list[i]!];
}
