import { createHash } from 'node:crypto';
import { sha256 } from '#base';
import {
  findZipDirectory,
  isDict,
  parseAnyPlist,
  readZipDirectory,
  readZipEntry,
  textAt,
  WireError,
  ZIP_LOCAL_BYTES,
  ZIP_TAIL_BYTES,
  zipLocalExtent,
} from '#wire';
import { FleetError } from '../error.ts';

/** Bytes of each part of a package but the last. */
export const PART_BYTES = 1024 * 1024;
export const MOST_PACKAGE_BYTES = 512 * PART_BYTES;
const MOST_INFO_BYTES = 1024 * 1024;
const INFO = /^Payload\/[^/]+\.app\/Info\.plist$/;

/** What an app package says of itself, and its hashes. */
export interface PackageFacts {
  readonly identifier: string;
  readonly name: string;
  /** CFBundleShortVersionString and CFBundleVersion. */
  readonly version: string;
  readonly build: string;
  readonly minimumOs: string | null;
  readonly sha256: Buffer;
  /** SHA-256 of each part, in order, one after the other. */
  readonly partHashes: Buffer;
}

/** Gives a part by its number. */
export type ReadPart = (n: number) => Promise<Uint8Array>;

/**
 * Reads an app package (.ipa) of `size` bytes, part by part: hashes, and what the app's Info.plist says. No more than two
 * parts and the list of files are in memory at a time. Throws FleetError `bad-package` with what is wrong.
 */
export async function readPackage(part: ReadPart, size: number): Promise<PackageFacts> {
  if (size < 22 || size > MOST_PACKAGE_BYTES) throw bad('it has more than 512 MiB, or nothing in it');
  try {
    const hashes = await hashParts(part, size);
    return { ...(await readInfo(part, size)), ...hashes };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new FleetError('bad-package', error.message, { cause: error });
  }
}

const bad = (what: string) => new FleetError('bad-package', `This is not an app package that can be used: ${what}.`);

async function hashParts(part: ReadPart, size: number): Promise<{ sha256: Buffer; partHashes: Buffer }> {
  const whole = createHash('sha256');
  const hashes: Buffer[] = [];
  for (let n = 0; n * PART_BYTES < size; n += 1) {
    const bytes = await part(n);
    if (bytes.length !== Math.min(PART_BYTES, size - n * PART_BYTES)) throw bad('a part of it is missing');
    whole.update(bytes);
    hashes.push(sha256(bytes));
  }
  return { sha256: whole.digest(), partHashes: Buffer.concat(hashes) };
}

async function readInfo(part: ReadPart, size: number) {
  const range = async (from: number, length: number): Promise<Buffer> => {
    const pieces: Uint8Array[] = [];
    const end = Math.min(size, from + length);
    for (let n = Math.floor(from / PART_BYTES); n * PART_BYTES < end; n += 1) {
      const bytes = await part(n);
      pieces.push(bytes.subarray(Math.max(0, from - n * PART_BYTES), Math.max(0, end - n * PART_BYTES)));
    }
    return Buffer.concat(pieces);
  };
  const tail = Math.min(size, ZIP_TAIL_BYTES);
  const directory = findZipDirectory(await range(size - tail, tail), size);
  const entries = readZipDirectory(await range(directory.offset, directory.length), directory);
  const infos = entries.filter(({ name }) => INFO.test(name));
  const [entry] = infos;
  if (entry === undefined || infos.length > 1) throw bad('it does not hold exactly one app under Payload');
  if (entry.compressed > MOST_INFO_BYTES) throw bad('its Info.plist is too large');
  const header = await range(entry.offset, ZIP_LOCAL_BYTES);
  const rest = await range(entry.offset + ZIP_LOCAL_BYTES, zipLocalExtent(header, entry) + entry.compressed);
  const info = parseAnyPlist(readZipEntry(header, rest, entry, MOST_INFO_BYTES));
  if (!isDict(info)) throw bad('its Info.plist is no dictionary');
  const identifier = textAt(info, 'CFBundleIdentifier') ?? '';
  if (!/^[A-Za-z0-9._-]{1,155}$/.test(identifier)) throw bad('its bundle identifier is missing or odd');
  const version = (key: string) => {
    const value = textAt(info, key) ?? '';
    if (!/^[0-9A-Za-z][0-9A-Za-z._ ()+-]{0,63}$/.test(value)) throw bad(`its ${key} is missing or odd`);
    return value;
  };
  const platforms = info.get('CFBundleSupportedPlatforms');
  if (Array.isArray(platforms) && !platforms.includes('iPhoneOS')) throw bad('it is for another system than iOS');
  const minimum = textAt(info, 'MinimumOSVersion');
  const name = textAt(info, 'CFBundleDisplayName') || textAt(info, 'CFBundleName') || identifier;
  return {
    ...{ identifier, name: name.replace(/\s+/g, ' ').trim().slice(0, 80) || identifier },
    ...{ version: version('CFBundleShortVersionString'), build: version('CFBundleVersion') },
    minimumOs: minimum !== undefined && /^[0-9]{1,3}(\.[0-9]{1,3}){0,2}$/.test(minimum) ? minimum : null,
  };
}
