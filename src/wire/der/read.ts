import { WireError } from '../error.ts';

/** Tag numbers of X.690 that are used here; context tags are `0x80 | n`, constructed ones `0xa0 | n`. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element. `bytes` is the whole encoding, `value` its contents; both are views, not copies. */
export interface Node {
  readonly tag: number;
  readonly bytes: Uint8Array;
  readonly value: Uint8Array;
  readonly children: readonly Node[];
}

const MAX_DEPTH = 64;
const MAX_NODES = 20_000;

function bad(what: string): never {
  throw new WireError('der', `The message is not valid ASN.1: ${what}.`);
}

/**
 * Parses one BER element (X.690) that must fill `bytes`. Constructed elements are walked to a depth of 64, at most
 * 20 000 elements; indefinite lengths, which CMS producers use, are accepted. Throws WireError `der`.
 */
export function readDer(bytes: Uint8Array): Node {
  const budget = { nodes: MAX_NODES };
  const { node, end } = readAt(bytes, 0, bytes.length, 0, budget);
  if (end !== bytes.length) bad('something follows its end');
  return node;
}

function readAt(
  bytes: Uint8Array,
  start: number,
  limit: number,
  depth: number,
  budget: { nodes: number },
): { node: Node; end: number } {
  if (depth > MAX_DEPTH) bad('it is nested too deeply');
  budget.nodes -= 1;
  if (budget.nodes < 0) bad('it has too many elements');
  let at = start;
  if (at + 2 > limit) bad('it ends too early');
  const tag = bytes[at++]!;
  if ((tag & 0x1f) === 0x1f) bad('it uses long tags');
  const constructed = (tag & 0x20) !== 0;
  const first = bytes[at++]!;
  let length = first;
  let indefinite = false;
  if (first === 0x80) {
    if (!constructed) bad('a primitive element has no length');
    indefinite = true;
  } else if (first > 0x80) {
    const count = first & 0x7f;
    if (count > 4 || at + count > limit) bad('a length is out of range');
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + bytes[at++]!;
  }
  if (!indefinite && at + length > limit) bad('an element is longer than its frame');
  const contents = at;
  const children: Node[] = [];
  if (!constructed) {
    const end = contents + length;
    return { node: { tag, bytes: bytes.subarray(start, end), value: bytes.subarray(contents, end), children }, end };
  }
  const stop = indefinite ? limit : contents + length;
  while (at < stop) {
    if (indefinite && bytes[at] === 0 && bytes[at + 1] === 0) break;
    const child = readAt(bytes, at, stop, depth + 1, budget);
    children.push(child.node);
    at = child.end;
  }
  if (indefinite && !(at + 2 <= limit && bytes[at] === 0 && bytes[at + 1] === 0)) bad('an end mark is missing');
  const end = indefinite ? at + 2 : stop;
  return { node: { tag, bytes: bytes.subarray(start, end), value: bytes.subarray(contents, at), children }, end };
}

/** The child at `index`, with the tag it must have. */
export function child(node: Node, index: number, tag?: number): Node {
  const found = node.children[index];
  if (found === undefined) bad('an element is missing');
  if (tag !== undefined && found.tag !== tag) bad('an element has the wrong type');
  return found;
}

/** Checks the tag of a node and returns it. */
export function expectTag(node: Node, tag: number): Node {
  if (node.tag !== tag) bad('an element has the wrong type');
  return node;
}

/** Contents of an OCTET STRING, primitive or (BER) in pieces; also for its implicit context forms. */
export function octets(node: Node): Buffer {
  if ((node.tag & 0x20) === 0) return Buffer.from(node.value);
  return Buffer.concat(node.children.map((part) => octets(part)));
}

/** OBJECT IDENTIFIER in dotted form. */
export function oidOf(node: Node): string {
  expectTag(node, TAG.oid);
  if (node.value.length === 0 || node.value.length > 32) bad('an object identifier is out of range');
  const parts: number[] = [];
  let value = 0;
  for (const byte of node.value) {
    if (value > 0x01_ff_ff_ff) bad('an object identifier is out of range');
    value = value * 128 + (byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (parts.length === 0) {
      const root = Math.min(2, Math.floor(value / 40));
      parts.push(root, value - root * 40);
    } else parts.push(value);
    value = 0;
  }
  return parts.join('.');
}

/** A character string of the kinds that names and attributes use. */
export function textOf(node: Node): string {
  switch (node.tag) {
    case TAG.utf8String:
    case TAG.printableString:
    case TAG.ia5String:
    case 0x14:
      return Buffer.from(node.value).toString('utf8');
    case 0x1e:
      if (node.value.length % 2 !== 0) bad('a text ends within a character');
      return Buffer.from(node.value).swap16().toString('utf16le');
    default:
      return bad('a text has the wrong type');
  }
}

/** UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5) in milliseconds. */
export function timeOf(node: Node): number {
  const text = Buffer.from(node.value).toString('latin1');
  const match =
    node.tag === TAG.utcTime
      ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text)
      : /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (match === null) bad('a time is malformed');
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const full = node.tag === TAG.utcTime ? (year < 50 ? 2000 + year : 1900 + year) : year;
  return Date.UTC(full, month - 1, day, hour, minute, second);
}
