import { ProofError } from './errors.ts';
import type { Tree } from './tree.ts';

/** Hashes in a full tile, entries in a full bundle. C2SP tlog-tiles. */
export const TILE_WIDTH = 256;
/** Longest entry that a bundle can hold, bytes. */
export const ENTRY_BYTES = 65_535;

function indexPath(index: number): string {
  const groups: string[] = [];
  let rest = index;
  do {
    groups.unshift(String(rest % 1000).padStart(3, '0'));
    rest = Math.floor(rest / 1000);
  } while (rest > 0);
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

const suffix = (width: number) => (width === TILE_WIDTH ? '' : `.p/${width}`);

/** `tile/<level>/<index>[.p/<width>]`, index in groups of three digits. C2SP tlog-tiles, Merkle tree. */
export function tilePath(level: number, index: number, width: number = TILE_WIDTH): string {
  return `tile/${level}/${indexPath(index)}${suffix(width)}`;
}

/** `tile/entries/<index>[.p/<width>]`. C2SP tlog-tiles, log entries. */
export function entriesPath(index: number, width: number = TILE_WIDTH): string {
  return `tile/entries/${indexPath(index)}${suffix(width)}`;
}

/** A tile's place: `level` is 'entries' for a bundle. */
export interface TileAt {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

const PATH = /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** Reads a tile's path; undefined if it is none, or not in its one canonical spelling. */
export function parseTilePath(path: string): TileAt | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const level = match[1] === 'entries' ? 'entries' : Number(match[1]);
  const index = Number(match[2]!.replaceAll(/[x/]/g, ''));
  const width = match[3] === undefined ? TILE_WIDTH : Number(match[3]);
  const spelled = level === 'entries' ? entriesPath(index, width) : tilePath(level, index, width);
  return spelled === path ? { level, index, width } : undefined;
}

/** The tiles that a log of `size` leaves consists of, entries first: full ones and the last partial one per level. */
export function* tilesOf(size: number): Generator<TileAt> {
  for (const one of widths(size)) yield { level: 'entries', ...one };
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    for (const one of widths(count)) yield { level, ...one };
  }
}

function* widths(count: number): Generator<{ index: number; width: number }> {
  for (let index = 0; index * TILE_WIDTH < count; index++) {
    yield { index, width: Math.min(TILE_WIDTH, count - index * TILE_WIDTH) };
  }
}

/** The bytes of a hash tile: `width` hashes of complete subtrees of 256^level leaves. */
export function hashTile(tree: Tree, level: number, index: number, width: number): Buffer {
  return tree.packed(level * 8, index * TILE_WIDTH, index * TILE_WIDTH + width);
}

/** An entry bundle: each entry with its 2-byte big-endian length before it. Throws ProofError `entry` if one is too long. */
export function encodeEntries(entries: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    if (entry.byteLength > ENTRY_BYTES) throw new ProofError('entry', 'A log entry is longer than 65 535 bytes.');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(entry.byteLength);
    parts.push(length, entry);
  }
  return Buffer.concat(parts);
}

/** Reads an entry bundle. Throws ProofError `entry` if it ends within an entry. */
export function decodeEntries(bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Buffer[] = [];
  for (let at = 0; at < buffer.length; ) {
    const end = at + 2 <= buffer.length ? at + 2 + buffer.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    if (end > buffer.length) throw new ProofError('entry', 'An entry bundle ends within an entry.');
    entries.push(buffer.subarray(at + 2, end));
    at = end;
  }
  return entries;
}
