import { WireError } from '../error.ts';
import { parsePlist } from './read.ts';
import type { Plist } from './value.ts';

const MAGIC = 'bplist00';
const MOST_OBJECTS = 50_000;
const MOST_DEPTH = 32;

function bad(what: string): never {
  throw new WireError('plist', `The property list cannot be read: ${what}.`);
}

/**
 * Parses a property list in either form: binary (`bplist00`, as Xcode writes it into apps) or XML. For files that
 * administrators hand in; devices send XML. Strict and bounded: an object that contains itself, sizes that do not fit and types
 * beyond the property list's own are refused. Throws WireError `plist`.
 */
export function parseAnyPlist(bytes: Uint8Array): Plist {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.subarray(0, 8).toString('latin1') !== MAGIC) return parsePlist(view);
  if (view.length > 1024 * 1024) bad('it is too large');
  return new Reader(view).root();
}

class Reader {
  readonly #bytes: Buffer;
  readonly #offsets: readonly number[];
  readonly #refSize: number;
  readonly #top: number;
  /** Texts and data that were read, by their place: one that is meant a thousand times is copied once. */
  readonly #long = new Map<number, string | Uint8Array>();
  #left: number;
  #read = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#left = bytes.length;
    if (bytes.length < 8 + 1 + 32) bad('it is cut off');
    const trailer = bytes.subarray(bytes.length - 32);
    const [offsetSize, refSize] = [trailer[6]!, trailer[7]!];
    const [count, top, table] = [8, 16, 24].map((at) => Number(trailer.readBigUInt64BE(at))) as [
      number,
      number,
      number,
    ];
    if (![1, 2, 4].includes(offsetSize) || ![1, 2, 4].includes(refSize)) bad('its numbers have an odd size');
    if (count < 1 || count > MOST_OBJECTS || top >= count) bad('it has too many objects, or none');
    if (table < 9 || table + count * offsetSize > bytes.length - 32) bad('its table is not where it should be');
    this.#refSize = refSize;
    this.#top = top;
    this.#offsets = Array.from({ length: count }, (_, n) => {
      const at = bytes.readUIntBE(table + n * offsetSize, offsetSize);
      return at < 8 || at >= table ? bad('an object lies outside of it') : at;
    });
  }

  root(): Plist {
    return this.#object(this.#top, []);
  }

  #object(ref: number, inside: readonly number[]): Plist {
    if (inside.includes(ref) || inside.length >= MOST_DEPTH) bad('it contains itself, or is too deep');
    this.#read += 1;
    // The same object may be meant many times; a small file must not become a large value.
    if (this.#read > MOST_OBJECTS) bad('it has too many objects');
    const at = this.#offsets[ref] ?? bad('an object is missing');
    const marker = this.#bytes[at]!;
    const [kind, low] = [marker >> 4, marker & 15];
    switch (kind) {
      case 0x0:
        return low === 8 ? false : low === 9 ? true : bad('it holds a value of an unknown kind');
      case 0x1:
        return this.#integer(at + 1, low);
      case 0x2:
        if (low !== 2 && low !== 3) bad('a number has an odd size');
        return low === 2 ? this.#take(at + 1, 4).readFloatBE(0) : this.#take(at + 1, 8).readDoubleBE(0);
      case 0x3: {
        // Seconds since 2001 (Core Foundation's epoch).
        const date = new Date((this.#take(at + 1, 8).readDoubleBE(0) + 978_307_200) * 1000);
        return Number.isNaN(date.getTime()) ? bad('a date is none') : date;
      }
      default:
        return this.#sized(kind, at, low, [...inside, ref]);
    }
  }

  #sized(kind: number, at: number, low: number, inside: readonly number[]): Plist {
    const [from, count] = this.#count(at, low);
    switch (kind) {
      case 0x4:
        return this.#once(at, from, count, (bytes) => new Uint8Array(bytes));
      case 0x5:
        return this.#once(at, from, count, (bytes) => text(bytes.toString('latin1')));
      case 0x6:
        return this.#once(at, from, count * 2, (bytes) => text(Buffer.from(bytes).swap16().toString('utf16le')));
      case 0xa:
        this.#take(from, count * this.#refSize);
        return Array.from({ length: count }, (_, n) => this.#object(this.#ref(from, n, count), inside));
      case 0xd: {
        const dict = new Map<string, Plist>();
        this.#take(from, count * 2 * this.#refSize);
        for (let n = 0; n < count; n += 1) {
          const key = this.#object(this.#ref(from, n, count), inside);
          if (typeof key !== 'string' || dict.has(key)) bad('a key is no text, or stands there twice');
          dict.set(key as string, this.#object(this.#ref(from, count + n, count * 2), inside));
        }
        return dict;
      }
      default:
        return bad('it holds a value of an unknown kind');
    }
  }

  /** A text or data at a place. Each byte belongs to one of them: what overlaps would grow beyond the file. */
  #once(at: number, from: number, length: number, make: (bytes: Buffer) => string | Uint8Array): string | Uint8Array {
    const known = this.#long.get(at);
    if (known !== undefined) return known;
    const bytes = this.#take(from, length);
    this.#left -= length;
    if (this.#left < 0) bad('its objects overlap');
    const value = make(bytes);
    this.#long.set(at, value);
    return value;
  }

  #count(at: number, low: number): [number, number] {
    if (low !== 15) return [at + 1, low];
    const marker = this.#take(at + 1, 1)[0]!;
    if (marker >> 4 !== 1 || (marker & 15) > 2) bad('a size is none');
    const bytes = 1 << (marker & 15);
    return [at + 2 + bytes, this.#take(at + 2, bytes).readUIntBE(0, bytes)];
  }

  #integer(at: number, low: number): number | bigint {
    if (low < 3) return this.#take(at, 1 << low).readUIntBE(0, 1 << low);
    if (low !== 3) bad('a number has an odd size');
    const value = this.#take(at, 8).readBigInt64BE(0);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #ref(from: number, n: number, count: number): number {
    if (n >= count * 2) bad('an object is missing');
    return this.#take(from + n * this.#refSize, this.#refSize).readUIntBE(0, this.#refSize);
  }

  #take(at: number, length: number): Buffer {
    const taken = this.#bytes.subarray(at, at + length);
    return taken.length === length ? taken : bad('it is cut off');
  }
}

function text(value: string): string {
  if (!value.isWellFormed() || value.includes('\0')) bad('a text is none');
  return value;
}
