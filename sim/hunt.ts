import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Encoded, encodings } from './encodings.ts';

/** A find. It names the value by its index alone and never holds it. */
export interface Hit {
  readonly where: string;
  /** Index into the values of the hunter. */
  readonly value: number;
  readonly encoding: string;
  /** Of the first find, in bytes. */
  readonly offset: number;
  readonly times: number;
}

export interface Searched {
  readonly hits: readonly Hit[];
  readonly files: number;
  readonly bytes: number;
  /** Files that could not be read: a hunt with any of these has not cleared the place. */
  readonly unread: readonly string[];
}

interface Pattern extends Encoded {
  readonly value: number;
}

const CHUNK = 1024 * 1024;
const slot = (key: number) => Math.imul(key, 0x9e3779b1) >>> 12;

/**
 * Looks for many values in all their encodings in one pass: a bitmap of the patterns' first four bytes rejects nearly
 * every position, a table by those bytes names the candidates. Throws RangeError for values under 6 bytes of UTF-8,
 * which would be found by chance.
 */
export class Hunter {
  readonly #bitmap = new Uint8Array(1 << 20);
  readonly #byPrefix = new Map<number, Pattern[]>();
  readonly #longest: number;

  constructor(values: readonly string[]) {
    let longest = 4;
    for (const [value, plain] of values.entries()) {
      if (Buffer.byteLength(plain) < 6) throw new RangeError(`value ${value} is too short to hunt for`);
      for (const encoded of encodings(plain)) {
        const key = encoded.bytes.readUInt32BE(0);
        this.#bitmap[slot(key)] = 1;
        const same = this.#byPrefix.get(key);
        if (same) same.push({ ...encoded, value });
        else this.#byPrefix.set(key, [{ ...encoded, value }]);
        longest = Math.max(longest, encoded.bytes.length);
      }
    }
    this.#longest = longest;
  }

  /** Searches one buffer. */
  search(bytes: Uint8Array, where = 'buffer'): Hit[] {
    const finds = new Finds(where);
    this.#scan(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength, finds);
    return finds.hits();
  }

  /** Reports patterns that begin before `until`; `base` is the offset of the buffer in its file. */
  #scan(bytes: Buffer, base: number, until: number, finds: Finds): void {
    if (bytes.length < 4) return;
    const bitmap = this.#bitmap;
    const last = Math.min(until, bytes.length - 3);
    let key = (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!;
    for (let at = 0; at < last; at++) {
      key = ((key << 8) | bytes[at + 3]!) >>> 0;
      if (bitmap[slot(key)] === 0) continue;
      for (const pattern of this.#byPrefix.get(key) ?? []) {
        const end = at + pattern.bytes.length;
        if (end <= bytes.length && bytes.compare(pattern.bytes, 0, pattern.bytes.length, at, end) === 0) {
          finds.add(pattern, base + at);
        }
      }
    }
  }

  /** Searches files and directories, following no links. Large files are read in pieces. File names are searched too. */
  async searchPaths(paths: readonly string[]): Promise<Searched> {
    const hits: Hit[] = [];
    const unread: string[] = [];
    let files = 0;
    let bytes = 0;
    const visit = async (path: string): Promise<void> => {
      try {
        hits.push(...this.search(Buffer.from(path), `name of ${path.length} characters`));
        const kind = await lstat(path);
        if (kind.isDirectory()) {
          for (const name of await readdir(path)) await visit(join(path, name));
        } else if (kind.isFile()) {
          bytes += await this.#searchFile(path, hits);
          files += 1;
        }
      } catch (error) {
        // A file that vanished holds nothing; anything else stays unknown and is said.
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) unread.push(path);
      }
    };
    for (const path of paths) {
      await lstat(path).catch(() => unread.push(path));
      await visit(path);
    }
    return { hits, files, bytes, unread };
  }

  async #searchFile(path: string, hits: Hit[]): Promise<number> {
    const finds = new Finds(path);
    const file = await open(path, 'r');
    let base = 0;
    try {
      const buffer = Buffer.alloc(CHUNK + this.#longest);
      let held = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, held, buffer.length - held, null);
        held += bytesRead;
        const whole = bytesRead === 0;
        // A pattern may straddle two pieces: what could still be the start of one waits for the next piece.
        const until = whole ? held : Math.max(0, held - this.#longest + 1);
        this.#scan(buffer.subarray(0, held), base, until, finds);
        if (whole) break;
        buffer.copy(buffer, 0, until, held);
        base += until;
        held -= until;
      }
      hits.push(...finds.hits());
      return base + held;
    } finally {
      await file.close();
    }
  }
}

class Finds {
  readonly #where: string;
  readonly #found = new Map<string, { value: number; encoding: string; offset: number; times: number }>();

  constructor(where: string) {
    this.#where = where;
  }

  add(pattern: Pattern, offset: number): void {
    const key = `${pattern.value} ${pattern.encoding}`;
    const before = this.#found.get(key);
    if (before) before.times += 1;
    else this.#found.set(key, { value: pattern.value, encoding: pattern.encoding, offset, times: 1 });
  }

  hits(): Hit[] {
    return [...this.#found.values()].map((find) => ({ where: this.#where, ...find }));
  }
}
