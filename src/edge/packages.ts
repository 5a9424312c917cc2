import { equalBytes, sha256, toBase64url } from '#base';
import { type PublicKeys, verifyPackage } from '#seal';
import type { Pool } from '#store';
import { appManifest } from '#wire';
import { type Answer, busy, notFound, ok, refused } from './answer.ts';
import { type DownloadLimits, Downloads } from './downloads.ts';

const PART_BYTES = 1024 * 1024;
/** How long what an address stands for is believed before it is looked up again. */
const FRESH_MS = 15_000;
const KEPT_LINKS = 1_000;
/** Parts kept ready, because many devices fetch the same package at the same time: at most 24 MiB. */
const KEPT_PARTS = 24;

interface Package {
  readonly id: string;
  readonly identifier: string;
  readonly title: string;
  readonly version: string;
  readonly build: string;
  readonly size: number;
  readonly part_hashes: Buffer;
  readonly signature: Buffer;
}

export interface PackageDoors {
  readonly pool: Pool;
  readonly keys: PublicKeys;
  readonly origin: string;
  readonly refusals: { count(reason: 'link'): void };
  readonly log: { warn(message: string, facts?: Record<string, string>): void };
}

export const PACKAGE_PATH = /^\/apps\/([A-Za-z0-9_-]{43})\/([A-Za-z0-9_-]{43})\/(manifest\.plist|package\.ipa)$/;

/**
 * Apps of our own: `/apps/<token>/<fingerprint>/manifest.plist` and `…/package.ipa`. The token is 256 random bits and counts
 * for a time. Nothing is handed out that core has not signed, nor anything but what the fingerprint says: two people agreed to
 * the command with this address.
 */
export class Packages {
  readonly #doors: PackageDoors;
  readonly #downloads: Downloads;
  readonly #links = new Map<string, { found: Package | undefined; at: number }>();
  readonly #parts = new Map<string, Buffer>();

  constructor(doors: PackageDoors, limits?: DownloadLimits) {
    this.#doors = doors;
    this.#downloads = new Downloads(limits);
  }

  async answer(path: string, range: string | undefined, head: boolean): Promise<Answer> {
    const [, token = '', fingerprint = '', what = ''] = PACKAGE_PATH.exec(path) ?? [];
    const found = token === '' ? undefined : await this.#find(token);
    if (found === undefined || toBase64url(sha256(found.part_hashes)) !== fingerprint) {
      this.#doors.refusals.count('link');
      return notFound;
    }
    if (what === 'manifest.plist') return ok(this.#manifest(found, `${token}/${fingerprint}`));
    return this.#package(found, range, head);
  }

  #manifest(found: Package, address: string): Buffer {
    return appManifest({
      ...{ url: `${this.#doors.origin}/apps/${address}/package.ipa`, title: found.title, version: found.build },
      ...{ identifier: found.identifier, size: found.size, partBytes: PART_BYTES, partHashes: found.part_hashes },
    });
  }

  async #package(found: Package, range: string | undefined, head: boolean): Promise<Answer> {
    const part = range === undefined ? { from: 0, to: found.size } : readRange(range, found.size);
    const headers: Record<string, string> = { 'Accept-Ranges': 'bytes', ETag: `"${found.id}"` };
    if (part === undefined)
      return { ...refused, status: 416, headers: { ...headers, 'Content-Range': `bytes */${found.size}` } };
    const { from, to } = part;
    const type = 'application/octet-stream';
    const partial = range === undefined ? {} : { 'Content-Range': `bytes ${from}-${to - 1}/${found.size}` };
    const answer = { status: range === undefined ? 200 : 206, type, headers: { ...headers, ...partial } };
    if (head) return { ...answer, stream: { length: to - from, parts: async function* () {} } };
    if (!(await this.#downloads.begin())) return { ...busy, headers: { 'Retry-After': '60' } };
    const read = this.#read.bind(this, found, from, to);
    const downloads = this.#downloads;
    return {
      ...answer,
      stream: {
        length: to - from,
        parts: async function* () {
          try {
            yield* read();
          } finally {
            downloads.end();
          }
        },
      },
    };
  }

  async *#read(found: Package, from: number, to: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let n = Math.floor(from / PART_BYTES); n * PART_BYTES < to; n += 1) {
      const bytes = await this.#part(found, n);
      const slice = bytes.subarray(Math.max(0, from - n * PART_BYTES), Math.min(bytes.length, to - n * PART_BYTES));
      await this.#downloads.pace(slice.length);
      yield slice;
    }
  }

  /** A part that is as core signed it. Throws where it is not: the connection ends in the middle, and the device tries no app. */
  async #part(found: Package, n: number): Promise<Buffer> {
    const key = `${found.id} ${n}`;
    const known = this.#parts.get(key);
    if (known !== undefined) return known;
    const { rows } = await this.#doors.pool.query<{ bytes: Buffer | null }>(
      'select edge.package_part($1, $2) as bytes',
      [...[found.id, n]],
    );
    const bytes = rows[0]?.bytes;
    if (bytes === null || bytes === undefined || !equalBytes(sha256(bytes), hashOf(found, n))) {
      await this.#unsigned(found.id, bytes === null || bytes === undefined ? 'part-missing' : 'part-differs');
      throw new Error('a part of a package is not as core signed it');
    }
    if (this.#parts.size >= KEPT_PARTS) this.#parts.delete(this.#parts.keys().next().value!);
    this.#parts.set(key, bytes);
    return bytes;
  }

  async #find(token: string): Promise<Package | undefined> {
    const kept = this.#links.get(token);
    if (kept !== undefined && Date.now() - kept.at < FRESH_MS) return kept.found;
    const { rows } = await this.#doors.pool.query<Package>('select * from edge.package($1)', [sha256(token)]);
    const row = rows[0];
    let found: Package | undefined;
    if (row !== undefined) {
      const { id, identifier, version, build, size, part_hashes: partHashes } = row;
      const signed = verifyPackage(
        this.#doors.keys.core,
        { id, identifier, version, build, size, partHashes },
        row.signature,
      );
      if (signed) found = row;
      else await this.#unsigned(id, 'not-signed');
    }
    // Guesses are not kept: they would push out what devices ask for.
    if (found === undefined) this.#links.delete(token);
    else {
      if (this.#links.size >= KEPT_LINKS) this.#links.delete(this.#links.keys().next().value!);
      this.#links.set(token, { found, at: Date.now() });
    }
    return found;
  }

  async #unsigned(id: string, what: string): Promise<void> {
    this.#doors.log.warn('an app package was held back', { package: id, why: what });
    await this.#doors.pool.query('select edge.package_unsigned($1, $2)', [id, what]);
  }
}

const hashOf = (found: Package, n: number): Buffer => found.part_hashes.subarray(n * 32, n * 32 + 32);

/** One range of bytes (RFC 9110 section 14.1.2), end exclusive; undefined if it cannot be satisfied. */
function readRange(text: string, size: number): { from: number; to: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d{0,12})-(\d{0,12})$/.exec(text) ?? [];
  if (first === '' && last === '') return undefined;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return from < to ? { from, to } : undefined;
}
