import { equalBytes } from '#base';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { ProofError } from './errors.ts';
import { leafHash } from './hash.ts';
import {
  decodeEntries,
  entriesPath,
  hashTile,
  parseTilePath,
  TILE_WIDTH,
  type TileAt,
  tilePath,
  tilesOf,
} from './tiles.ts';
import { Tree } from './tree.ts';

/** Where a log's files come from. A door: the room itself reads nothing. */
export interface LogReader {
  /** The bytes at a path below the log's folder, or undefined if there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Every file below the log's folder, relative, with forward slashes. */
  list(): Promise<readonly string[]>;
}

export interface LogReport {
  readonly ok: boolean;
  /** Leaves under the checkpoint. */
  readonly entries: number;
  readonly origin?: string;
  /** base64 of the root hash. */
  readonly root?: string;
  /** Files that were re-derived and compared. */
  readonly files: number;
  /** What is wrong: the file and what was expected of it. At most 100. */
  readonly problems: readonly { readonly path: string; readonly problem: string }[];
}

const MOST_PROBLEMS = 100;

/**
 * Re-derives a whole C2SP tlog-tiles log: the checkpoint's signature, every leaf hash from the entry bundles, every
 * tile from the leaf hashes, the root from the tiles, and every stale partial tile as a prefix of what came later.
 * Nothing is sampled: a sample misses edits. Files that belong to no log are a problem too.
 */
export async function verifyLog(reader: LogReader, verifier: string): Promise<LogReport> {
  const problems: { path: string; problem: string }[] = [];
  const blame = (path: string, problem: string) => {
    if (problems.length < MOST_PROBLEMS) problems.push({ path, problem });
  };
  const note = await reader.read('checkpoint');
  let checkpoint: Checkpoint | undefined;
  try {
    if (note === undefined) throw new ProofError('checkpoint', 'There is no checkpoint.');
    checkpoint = openCheckpoint(new TextDecoder('utf-8', { fatal: true }).decode(note), verifier);
  } catch (error) {
    blame('checkpoint', error instanceof ProofError ? error.message : 'The checkpoint is not text.');
    return { ok: false, entries: 0, files: 0, problems };
  }
  const { size, root, origin } = checkpoint;
  const tree = new Tree();
  let files = 1;
  const bundles = Math.ceil(size / TILE_WIDTH);
  for (let index = 0; index < bundles && problems.length === 0; index++) {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    const path = entriesPath(index, width);
    for (const entry of await readEntries(reader, path, width, blame)) tree.append(leafHash(entry));
    files++;
  }
  if (problems.length > 0) return { ok: false, entries: size, origin, root: root.toString('base64'), files, problems };
  if (!equalBytes(tree.root(), root)) blame('checkpoint', 'The entries do not give the root hash of the checkpoint.');
  for (const tile of tilesOf(size)) {
    if (tile.level === 'entries') continue;
    const path = tilePath(tile.level, tile.index, tile.width);
    const bytes = await reader.read(path);
    if (bytes === undefined) blame(path, 'The tile is missing.');
    else if (!equalBytes(bytes, hashTile(tree, tile.level, tile.index, tile.width))) blame(path, 'The tile is wrong.');
    files++;
  }
  files += await verifyRest(reader, tree, blame);
  return { ok: problems.length === 0, entries: size, origin, root: root.toString('base64'), files, problems };
}

async function readEntries(
  reader: LogReader,
  path: string,
  width: number,
  blame: (path: string, problem: string) => void,
): Promise<Buffer[]> {
  const bytes = await reader.read(path);
  if (bytes === undefined) {
    blame(path, 'The entries are missing.');
    return [];
  }
  try {
    const entries = decodeEntries(bytes);
    if (entries.length === width) return entries;
  } catch {}
  blame(path, 'The entries are cut off or too many.');
  return [];
}

/** Compares what is left over: earlier partial tiles, which must be prefixes, and files that have no business here. */
async function verifyRest(reader: LogReader, tree: Tree, blame: (path: string, problem: string) => void) {
  const current = new Set(['checkpoint']);
  for (const { level, index, width } of tilesOf(tree.size)) {
    current.add(level === 'entries' ? entriesPath(index, width) : tilePath(level, index, width));
  }
  let compared = 0;
  for (const path of await reader.list()) {
    if (current.has(path)) continue;
    const at = parseTilePath(path);
    const bytes = at === undefined ? undefined : await reader.read(path);
    if (at === undefined || bytes === undefined) {
      blame(path, 'The file is not part of a log.');
      continue;
    }
    compared++;
    if (!prefixHolds(tree, at, bytes)) blame(path, 'A partial or later tile is wrong.');
  }
  return compared;
}

/**
 * Earlier partial tiles must be prefixes of what the checkpoint covers. Later ones exist for a moment while a log is
 * written, or after a crash: their covered part must be right, the rest nobody vouches for yet.
 */
function prefixHolds(tree: Tree, at: TileAt, bytes: Uint8Array): boolean {
  const first = at.index * TILE_WIDTH;
  if (at.level === 'entries') {
    const covered = Math.max(0, Math.min(at.width, tree.size - first));
    let entries: Buffer[];
    try {
      entries = decodeEntries(bytes);
    } catch {
      return false;
    }
    const hashes = entries.slice(0, covered).map(leafHash);
    return entries.length === at.width && hashes.every((hash, i) => equalBytes(hash, tree.subtree(0, first + i)));
  }
  const count = Math.floor(tree.size / TILE_WIDTH ** at.level);
  const covered = Math.max(0, Math.min(at.width, count - first));
  const expected = covered === 0 ? Buffer.alloc(0) : hashTile(tree, at.level, at.index, covered);
  return bytes.byteLength === at.width * 32 && equalBytes(bytes.subarray(0, covered * 32), expected);
}
