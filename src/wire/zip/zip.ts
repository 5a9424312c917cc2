import { crc32, inflateRawSync } from 'node:zlib';
import { WireError } from '../error.ts';

/** The end of central directory record and the longest comment behind it: what must be read to find a directory. */
export const ZIP_TAIL_BYTES = 22 + 65_535;
/** Bytes of a local file header before its name. */
export const ZIP_LOCAL_BYTES = 30;
const MOST_DIRECTORY = 8 * 1024 * 1024;

/** Where an archive's central directory is. */
export interface ZipDirectory {
  readonly offset: number;
  readonly length: number;
  readonly entries: number;
}

export interface ZipEntry {
  readonly name: string;
  /** 0 stored, 8 deflated. */
  readonly method: 0 | 8;
  readonly crc32: number;
  readonly compressed: number;
  readonly size: number;
  /** Of the local file header. */
  readonly offset: number;
}

function bad(what: string): never {
  throw new WireError('zip', `The archive cannot be read: ${what}.`);
}

/**
 * Finds the central directory from the last bytes of an archive of `size` bytes (APPNOTE 4.3.16). Strict: one disk, no
 * ZIP64, the directory ends where its end record begins, and that record and its comment end the file. Throws WireError `zip`.
 */
export function findZipDirectory(tail: Uint8Array, size: number): ZipDirectory {
  const view = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength);
  if (view.length > size) bad('it ends before it begins');
  for (let at = view.length - 22; at >= 0; at -= 1) {
    if (view.readUInt32LE(at) !== 0x06054b50 || at + 22 + view.readUInt16LE(at + 20) !== view.length) continue;
    const [disk, first, here, entries] = [4, 6, 8, 10].map((offset) => view.readUInt16LE(at + offset));
    const [length, offset] = [view.readUInt32LE(at + 12), view.readUInt32LE(at + 16)];
    if (disk !== 0 || first !== 0 || here !== entries) bad('it is one of several parts');
    if (entries === 0xffff || length === 0xffffffff || offset === 0xffffffff) bad('it is a ZIP64 archive');
    if (length > MOST_DIRECTORY) bad('it has too many files');
    if (offset + length !== size - view.length + at) bad('its list of files is not where it should be');
    return { offset, length, entries: entries! };
  }
  return bad('it is no ZIP archive, or it is cut off');
}

/**
 * The entries of a central directory (APPNOTE 4.3.12): exactly as many as announced, none encrypted, each name once, each
 * a relative path without tricks. Throws WireError `zip`.
 */
export function readZipDirectory(bytes: Uint8Array, directory: ZipDirectory): ZipEntry[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let at = 0;
  while (entries.length < directory.entries) {
    if (at + 46 > view.length || view.readUInt32LE(at) !== 0x02014b50) bad('its list of files is damaged');
    const [flags, method] = [view.readUInt16LE(at + 8), view.readUInt16LE(at + 10)];
    const [nameLength, extra, comment] = [28, 30, 32].map((offset) => view.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const end = at + 46 + nameLength + extra + comment;
    if (end > view.length) bad('its list of files is damaged');
    const name = readName(view.subarray(at + 46, at + 46 + nameLength));
    if ((flags & 0x2041) !== 0) bad('it is encrypted');
    if (method !== 0 && method !== 8) bad('a file is compressed in an unknown way');
    if (names.has(name)) bad('a file stands in it twice');
    names.add(name);
    const entry: ZipEntry = {
      ...{ name, method, crc32: view.readUInt32LE(at + 16), compressed: view.readUInt32LE(at + 20) },
      ...{ size: view.readUInt32LE(at + 24), offset: view.readUInt32LE(at + 42) },
    };
    if (entry.offset + ZIP_LOCAL_BYTES + nameLength + entry.compressed > directory.offset)
      bad('a file lies outside of it');
    if (method === 0 && entry.compressed !== entry.size) bad('a file has two sizes');
    entries.push(entry);
    at = end;
  }
  if (at !== view.length) bad('its list of files is longer than it says');
  return entries;
}

function readName(bytes: Uint8Array): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bad('a file’s name is not UTF-8');
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these have no place in a name
  if (name === '' || /^\/|\\|[\u0000-\u001f\u007f]/.test(name) || name.split('/').includes('..'))
    bad('a file has a name that leads elsewhere');
  return name;
}

/** How many bytes follow a local file header until the file's own begin (APPNOTE 4.3.7); checks that it is the entry's. */
export function zipLocalExtent(header: Uint8Array, entry: ZipEntry): number {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  if (view.length < ZIP_LOCAL_BYTES || view.readUInt32LE(0) !== 0x04034b50) bad('a file is not where it should be');
  if (view.readUInt16LE(8) !== entry.method) bad('a file is described in two ways');
  return view.readUInt16LE(26) + view.readUInt16LE(28);
}

/** The bytes of a file from `rest`: what follows its local header's first 30 bytes. At most `most` bytes come out. */
export function readZipEntry(header: Uint8Array, rest: Uint8Array, entry: ZipEntry, most: number): Buffer {
  const skip = zipLocalExtent(header, entry);
  const view = Buffer.from(rest.buffer, rest.byteOffset, rest.byteLength);
  const nameLength = Buffer.from(header.buffer, header.byteOffset, header.byteLength).readUInt16LE(26);
  if (!view.subarray(0, nameLength).equals(Buffer.from(entry.name))) bad('a file is named in two ways');
  const data = view.subarray(skip, skip + entry.compressed);
  if (data.length !== entry.compressed) bad('a file is cut off');
  if (entry.size > most) bad('a file is too large');
  let out: Buffer;
  try {
    out = entry.method === 0 ? Buffer.from(data) : inflateRawSync(data, { maxOutputLength: Math.max(1, entry.size) });
  } catch {
    return bad('a file does not unpack');
  }
  if (out.length !== entry.size || crc32(out) !== entry.crc32) bad('a file is damaged');
  return out;
}
