import { WireError } from '../error.ts';

/**
 * One data item (RFC 8949). Maps are Maps, with text or integer keys, so that no key can be mistaken for an object's own
 * machinery; integers beyond 2^53 are bigints; byte strings are views, not copies.
 */
export type Cbor = number | bigint | boolean | null | string | Uint8Array | readonly Cbor[] | CborMap;
export type CborMap = ReadonlyMap<string | number | bigint, Cbor>;

export interface CborLimits {
  readonly maxBytes?: number;
  readonly maxDepth?: number;
  /** Data items altogether, map keys included. */
  readonly maxItems?: number;
}

interface Reader {
  readonly bytes: Buffer;
  at: number;
  items: number;
  readonly depth: number;
}

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bad(what: string): never {
  throw new WireError('cbor', `The object is not CBOR that is accepted: ${what}.`);
}

/**
 * Parses one data item that must fill `bytes`. Definite lengths only; tags, floating point and undefined are refused,
 * because nothing that is attested uses them; the canonical order of keys is not asked for, a key that occurs twice is
 * refused. Default limits: 64 KiB, 16 levels, 1000 items. Throws WireError `cbor`.
 */
export function readCbor(bytes: Uint8Array, limits: CborLimits = {}): Cbor {
  if (bytes.length > (limits.maxBytes ?? 64 * 1024)) bad('it is too long');
  const reader: Reader = {
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    at: 0,
    items: limits.maxItems ?? 1000,
    depth: limits.maxDepth ?? 16,
  };
  const value = item(reader, 0);
  if (reader.at !== bytes.length) bad('something follows its end');
  return value;
}

function item(reader: Reader, depth: number): Cbor {
  if (depth > reader.depth) bad('it is nested too deeply');
  reader.items -= 1;
  if (reader.items < 0) bad('it has too many items');
  const first = byte(reader);
  const major = first >> 5;
  const info = first & 0x1f;
  if (major === 7) return simple(info);
  const count = argument(reader, info);
  switch (major) {
    case 0:
      return count;
    case 1:
      return typeof count === 'bigint' || count === Number.MAX_SAFE_INTEGER ? -1n - BigInt(count) : -1 - count;
    case 2:
      return take(reader, count);
    case 3:
      return utf8(take(reader, count));
    case 4:
      return array(reader, size(reader, count, 1), depth);
    case 5:
      return map(reader, size(reader, count, 2), depth);
    default:
      return bad('it has a tag');
  }
}

function byte(reader: Reader): number {
  if (reader.at >= reader.bytes.length) bad('it ends too early');
  return reader.bytes[reader.at++]!;
}

/** The argument of a head (RFC 8949 section 3): in the head itself or in 1, 2, 4 or 8 bytes after it. */
function argument(reader: Reader, info: number): number | bigint {
  if (info < 24) return info;
  if (info > 27) return bad(info === 31 ? 'a length is indefinite' : 'a head is reserved');
  const width = 1 << (info - 24);
  if (reader.at + width > reader.bytes.length) bad('it ends too early');
  const at = reader.at;
  reader.at += width;
  if (width < 8) return reader.bytes.readUIntBE(at, width);
  const value = reader.bytes.readBigUInt64BE(at);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function simple(info: number): boolean | null {
  if (info === 20) return false;
  if (info === 21) return true;
  if (info === 22) return null;
  return bad('it has a value of a kind that is not accepted');
}

function take(reader: Reader, count: number | bigint): Buffer {
  if (typeof count === 'bigint' || count > reader.bytes.length - reader.at)
    return bad('a string is longer than its frame');
  const start = reader.at;
  reader.at += count;
  return reader.bytes.subarray(start, reader.at);
}

function utf8(bytes: Uint8Array): string {
  try {
    return text.decode(bytes);
  } catch {
    return bad('a text is not UTF-8');
  }
}

/** A promised number of items that cannot fit into what is left is refused before anything is made of it. */
function size(reader: Reader, count: number | bigint, each: number): number {
  if (typeof count === 'bigint' || count * each > reader.bytes.length - reader.at)
    return bad('it promises more than it holds');
  return count;
}

function array(reader: Reader, count: number, depth: number): Cbor[] {
  const items: Cbor[] = [];
  for (let n = 0; n < count; n += 1) items.push(item(reader, depth + 1));
  return items;
}

function map(reader: Reader, count: number, depth: number): CborMap {
  const entries = new Map<string | number | bigint, Cbor>();
  for (let n = 0; n < count; n += 1) {
    const key = item(reader, depth + 1);
    if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'bigint')
      return bad('a key is neither text nor number');
    if (entries.has(key)) bad('a key occurs twice');
    entries.set(key, item(reader, depth + 1));
  }
  return entries;
}
