import { Finding } from './finding.ts';
import { Edge, leafHash, rootOf } from './merkle.ts';
import { type Checkpoint, type Note, readCheckpoint, readNote, signedBy, type VerifierKey } from './note.ts';
import { type Policy, type Witnessed, witnessed } from './policy.ts';
import type { Source } from './source.ts';
import { entriesOf, pathOf, type Tile, tileAt, WIDTH, widthAt } from './tiles.ts';

/** A checkpoint that somebody kept: the log must begin with everything that it covers. */
export interface Kept {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Trust {
  /** Any one of them must have signed each checkpoint. */
  readonly keys: readonly VerifierKey[];
  readonly policy?: Policy;
  readonly kept?: readonly Kept[];
}

export interface Problem {
  readonly path: string;
  readonly problem: string;
}

export interface LogReport {
  readonly ok: boolean;
  readonly origin?: string;
  readonly entries: number;
  /** base64 */
  readonly root?: string;
  /** Files that were re-derived and compared. */
  readonly files: number;
  /** Kept checkpoints that the log begins with. */
  readonly kept: readonly { readonly name: string; readonly entries: number }[];
  /** The newest checkpoint that enough witnesses of the policy signed. */
  readonly witnessed?: { readonly entries: number; readonly by: Witnessed['by'] };
  readonly problems: readonly Problem[];
}

interface Opened {
  readonly checkpoint: Checkpoint;
  readonly witnessed: Witnessed | undefined;
}

const MOST_PROBLEMS = 100;

/** Checks a checkpoint's signatures: the log's, and those of the policy's witnesses. Throws Finding. */
export function openCheckpoint(bytes: Uint8Array, { keys, policy }: Trust): Opened {
  const note: Note = readNote(bytes);
  const checkpoint = readCheckpoint(note.text);
  const signed = keys.filter((key) => key.name === checkpoint.origin && signedBy(note, key) !== undefined);
  if (signed.length === 0)
    throw new Finding('checkpoint', `It is not signed by the log’s key. Its origin is ${checkpoint.origin}.`);
  return { checkpoint, witnessed: policy === undefined ? undefined : witnessed(note, policy) };
}

/**
 * Re-derives a whole log: every leaf hash from the entries, every tile from the leaf hashes, the root from the tiles, the
 * root at each kept checkpoint, every left-over partial tile as the beginning of what came later. Nothing is sampled, nothing
 * in memory grows with the log but 32 bytes per 256 entries. Throws Finding `unread` where nothing can be said.
 */
export async function verifyLog(source: Source, trust: Trust): Promise<LogReport> {
  const problems: Problem[] = [];
  const blame = (path: string, problem: string) => {
    if (problems.length < MOST_PROBLEMS) problems.push({ path, problem });
  };
  const opened = openAll(await source.read('checkpoint'), trust, blame);
  if (opened === undefined) return { ok: false, entries: 0, files: 0, kept: [], problems };
  const { checkpoint, kept } = opened;
  const left = await leftOvers(source, checkpoint.size, blame);
  const walk = new Walk(source, checkpoint.size, left, blame);
  const roots = await walk.roots([checkpoint.size, ...kept.map((one) => one.checkpoint.size)]);
  if (roots !== undefined) {
    if (!roots.get(checkpoint.size)?.equals(checkpoint.root))
      blame('checkpoint', 'The entries do not give the root hash that was signed.');
    for (const { name, checkpoint: old } of kept)
      if (!roots.get(old.size)?.equals(old.root))
        blame(name, `FORK: the first ${old.size} entries are not those that this checkpoint was signed for.`);
  }
  const ok = problems.length === 0;
  const newest = opened.witnessed;
  return {
    ok,
    origin: checkpoint.origin,
    entries: checkpoint.size,
    root: checkpoint.root.toString('base64'),
    files: walk.files + 1,
    kept: ok ? kept.map(({ name, checkpoint: old }) => ({ name, entries: old.size })) : [],
    ...(newest === undefined ? {} : { witnessed: newest }),
    problems,
  };
}

type Blame = (path: string, problem: string) => void;

/** The present checkpoint and the kept ones; undefined if the present one is worth nothing. */
function openAll(bytes: Buffer | undefined, trust: Trust, blame: Blame) {
  const open = (path: string, given: Buffer | undefined) => {
    try {
      if (given === undefined) throw new Finding('checkpoint', 'There is no checkpoint.');
      return openCheckpoint(given, trust);
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      blame(path, error.message);
      return undefined;
    }
  };
  const present = open('checkpoint', bytes);
  if (present === undefined) return undefined;
  const { checkpoint } = present;
  const all = [{ name: 'checkpoint', ...present }];
  const kept: { name: string; checkpoint: Checkpoint }[] = [];
  for (const { name, bytes: given } of trust.kept ?? []) {
    const old = open(name, given);
    if (old === undefined) continue;
    if (old.checkpoint.origin !== checkpoint.origin) blame(name, 'It is of another log.');
    else if (old.checkpoint.size > checkpoint.size)
      blame(name, `ROLLED BACK: the log had ${old.checkpoint.size} entries, now it has ${checkpoint.size}.`);
    else {
      kept.push({ name, checkpoint: old.checkpoint });
      all.push({ name, ...old });
    }
  }
  if (trust.policy === undefined) return { checkpoint, kept, witnessed: undefined };
  const enough = all.filter((one) => one.witnessed?.enough === true);
  const newest = enough.sort((a, b) => b.checkpoint.size - a.checkpoint.size)[0];
  if (newest === undefined)
    blame('checkpoint', 'NOT WITNESSED: no checkpoint has the cosignatures that the policy asks for.');
  const seen = newest === undefined ? undefined : { entries: newest.checkpoint.size, by: newest.witnessed?.by ?? [] };
  return { checkpoint, kept, witnessed: seen };
}

/** Files that are not those of the checkpoint: earlier partial tiles and later ones, by their place. */
async function leftOvers(source: Source, size: number, blame: Blame): Promise<Map<string, Tile[]>> {
  const left = new Map<string, Tile[]>();
  for (const path of (await source.list?.()) ?? []) {
    if (path === 'checkpoint') continue;
    const tile = tileAt(path);
    if (tile === undefined) {
      blame(path, 'The file is not part of a log.');
      continue;
    }
    const count = tile.level === 'entries' ? size : Math.floor(size / WIDTH ** tile.level);
    if (tile.width === widthAt(tile.index, count)) continue;
    const place = `${tile.level} ${tile.index}`;
    left.set(place, [...(left.get(place) ?? []), tile]);
  }
  return left;
}

/** One pass over a log, from its entries up. */
class Walk {
  readonly #source: Source;
  readonly #size: number;
  readonly #left: Map<string, Tile[]>;
  readonly #blame: Blame;
  files = 0;

  constructor(source: Source, size: number, left: Map<string, Tile[]>, blame: Blame) {
    this.#source = source;
    this.#size = size;
    this.#left = left;
    this.#blame = blame;
  }

  /** The root at each of the sizes; undefined if entries are missing, so that there is none. */
  async roots(sizes: readonly number[]): Promise<Map<number, Buffer> | undefined> {
    const edge = new Edge();
    const roots = new Map<number, Buffer>();
    const wanted = new Set(sizes);
    let level: Buffer[] = [];
    const note = () => wanted.has(edge.size) && roots.set(edge.size, edge.root());
    note();
    let whole = true;
    for (let index = 0; index * WIDTH < this.#size; index += 1) {
      const width = widthAt(index, this.#size);
      const hashes = await this.#bundle({ level: 'entries', index, width });
      if (hashes === undefined) {
        whole = false;
        continue;
      }
      for (const hash of whole ? hashes : []) {
        edge.push(hash);
        note();
      }
      await this.#compare({ level: 0, index, width }, hashes);
      if (width === WIDTH) level.push(rootOf(hashes));
    }
    for (let height = 1; level.length > 0 && whole; height += 1) {
      const above: Buffer[] = [];
      for (let index = 0; index * WIDTH < level.length; index += 1) {
        const width = widthAt(index, level.length);
        const hashes = level.slice(index * WIDTH, index * WIDTH + width);
        await this.#compare({ level: height, index, width }, hashes);
        if (width === WIDTH) above.push(rootOf(hashes));
      }
      level = above;
    }
    // What lies beyond the checkpoint: nobody vouches for it yet, but it must have the form of what it will be.
    if (whole) for (const tiles of [...this.#left.values()]) for (const tile of tiles) await this.#leftOver(tile, []);
    return whole ? roots : undefined;
  }

  async #bundle(tile: Tile): Promise<Buffer[] | undefined> {
    const path = pathOf(tile);
    const bytes = await this.#source.read(path);
    this.files += 1;
    const entries = bytes === undefined ? undefined : entriesOf(bytes);
    if (bytes === undefined) this.#blame(path, 'The entries are missing.');
    else if (entries?.length !== tile.width) this.#blame(path, 'The entries are cut off, or too many or too few.');
    else {
      const hashes = entries.map(leafHash);
      await this.#leftAt(tile, hashes);
      return hashes;
    }
    return undefined;
  }

  async #compare(tile: Tile, hashes: readonly Buffer[]): Promise<void> {
    const path = pathOf(tile);
    const bytes = await this.#source.read(path);
    this.files += 1;
    if (bytes === undefined) this.#blame(path, 'The tile is missing.');
    else if (!bytes.equals(Buffer.concat(hashes))) this.#blame(path, 'The tile is not what the entries give.');
    await this.#leftAt(tile, hashes);
  }

  async #leftAt({ level, index }: Tile, hashes: readonly Buffer[]): Promise<void> {
    const place = `${level} ${index}`;
    for (const tile of this.#left.get(place) ?? []) await this.#leftOver(tile, hashes);
    this.#left.delete(place);
  }

  /** The covered part must be right; `hashes` are all that the checkpoint covers there. */
  async #leftOver(tile: Tile, hashes: readonly Buffer[]): Promise<void> {
    const path = pathOf(tile);
    const bytes = await this.#source.read(path);
    this.files += 1;
    const covered = hashes.slice(0, tile.width);
    if (bytes === undefined) this.#blame(path, 'The file is a link or too long.');
    else if (tile.level === 'entries') {
      const entries = entriesOf(bytes);
      if (entries?.length !== tile.width || !covered.every((hash, i) => leafHash(entries[i]!).equals(hash)))
        this.#blame(path, 'An earlier or later part of the entries differs.');
    } else {
      const expected = Buffer.concat(covered);
      if (bytes.length !== tile.width * 32 || !bytes.subarray(0, expected.length).equals(expected))
        this.#blame(path, 'An earlier or later part of the tile differs.');
    }
  }
}
