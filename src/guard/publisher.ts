import type { KeyObject } from 'node:crypto';
import { chmodSync, existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { equalBytes } from '#base';
import {
  type Checkpoint,
  encodeEntries,
  entriesPath,
  hashTile,
  openCheckpoint,
  signCheckpoint,
  TILE_WIDTH,
  type Tree,
  tilePath,
  verifierKey,
} from '#proof';
import { GuardError } from '#seal';
import { makeFolder, syncFolder, writeDurably } from './files.ts';

/** Where a publisher finds leaves and puts files. */
export interface PublisherOptions {
  /** The public folder: `checkpoint` and `tile/`. */
  readonly folder: string;
  /** A file on the same file system, outside the public folder, for writing before renaming. */
  readonly temporary: string;
  readonly origin: string;
  readonly key: KeyObject;
  readonly tree: Tree;
  /** The entry at an index of the log. */
  readonly entry: (index: number) => Promise<Uint8Array>;
}

/**
 * Derives the public log from the journal: entry bundles, tiles, then the signed checkpoint, each replaced as a whole.
 *
 * Crash points. Before the checkpoint's rename: tiles of leaves that no checkpoint covers yet lie there; they hold what
 * the journal holds, and the next publication writes the same bytes again. After it: the checkpoint covers durable
 * tiles only. A checkpoint is signed only if the journal still contains everything that the last one covered.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #size = 0;
  #note = '';
  #at = 0;

  private constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Signs the first checkpoint of a new log. Fails if there is one. */
  static async found(options: PublisherOptions, now: number): Promise<Publisher> {
    if (existsSync(join(options.folder, 'checkpoint'))) throw new GuardError('founded', 'There is a log already.');
    makeFolder(options.folder, 0o755);
    chmodSync(options.folder, 0o755);
    const publisher = new Publisher(options);
    await publisher.publish(now, 0);
    return publisher;
  }

  /**
   * Takes up an existing log. Throws GuardError `fork` if the journal does not contain what the last checkpoint signed,
   * `corrupt` if there is no valid checkpoint: such a log is never continued.
   */
  static async resume(options: PublisherOptions): Promise<Publisher> {
    const publisher = new Publisher(options);
    let last: Checkpoint;
    try {
      publisher.#note = await readFile(join(options.folder, 'checkpoint'), 'utf8');
      last = openCheckpoint(publisher.#note, verifierKey(options.origin, options.key));
    } catch (cause) {
      throw new GuardError('corrupt', 'The log has no valid checkpoint. Restore it; it is not made anew.', { cause });
    }
    const { tree } = options;
    if (last.size > tree.size || !equalBytes(tree.root(last.size), last.root)) {
      throw new GuardError('fork', 'The journal does not contain what was signed. Restore it; it is not continued.');
    }
    publisher.#size = last.size;
    return publisher;
  }

  /** Leaves under the last checkpoint. */
  get size(): number {
    return this.#size;
  }

  /** The last signed checkpoint, and when this process signed it (0 if a former one did). */
  get checkpoint(): { readonly note: string; readonly size: number; readonly at: number } {
    return { note: this.#note, size: this.#size, at: this.#at };
  }

  /** Writes what is new and signs the first `size` leaves, which are all on disk. An error means: unusable. */
  async publish(now: number, size: number): Promise<void> {
    const { tree, folder, origin, key } = this.#options;
    const root = tree.root(size);
    if (this.#size > 0 && !existsSync(join(folder, 'checkpoint'))) throw new Error('the checkpoint was removed');
    await this.#entries(size);
    for (let level = 0, old = this.#size, count = size; count > 0; level++) {
      await this.#tiles(level, old, count);
      old = Math.floor(old / TILE_WIDTH);
      count = Math.floor(count / TILE_WIDTH);
    }
    const note = signCheckpoint({ origin, size, root }, key);
    await this.#put('checkpoint', Buffer.from(note));
    this.#note = note;
    this.#size = size;
    this.#at = now;
  }

  async #entries(size: number): Promise<void> {
    for (const { index, width } of changed(this.#size, size)) {
      const entries: Uint8Array[] = [];
      for (let i = 0; i < width; i++) entries.push(await this.#options.entry(index * TILE_WIDTH + i));
      await this.#put(entriesPath(index, width), encodeEntries(entries));
      if (width === TILE_WIDTH) await this.#dropPartial(entriesPath(index));
    }
  }

  async #tiles(level: number, old: number, count: number): Promise<void> {
    for (const { index, width } of changed(old, count)) {
      await this.#put(tilePath(level, index, width), hashTile(this.#options.tree, level, index, width));
      if (width === TILE_WIDTH) await this.#dropPartial(tilePath(level, index));
    }
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.#options.folder, path);
    const folder = dirname(target);
    if (!existsSync(folder)) {
      if (!existsSync(this.#options.folder)) throw new Error('the log was removed');
      makeFolder(folder, 0o755);
      // The umask cuts modes, and the log is public.
      for (let at = folder; at.length >= this.#options.folder.length; at = dirname(at)) chmodSync(at, 0o755);
      for (let at = folder; at.length >= this.#options.folder.length; at = dirname(at)) await syncFolder(at);
    }
    await writeDurably(target, bytes, { temporary: this.#options.temporary, mode: 0o644 });
  }

  /** Partial tiles may go once the full one is there (C2SP tlog-tiles, partial tiles). */
  async #dropPartial(path: string): Promise<void> {
    await rm(join(this.#options.folder, `${path}.p`), { recursive: true, force: true });
  }
}

/** The tiles that differ between a level of `old` and of `count` hashes. */
function* changed(old: number, count: number): Generator<{ index: number; width: number }> {
  for (let index = Math.floor(old / TILE_WIDTH); index * TILE_WIDTH < count; index++) {
    const width = Math.min(TILE_WIDTH, count - index * TILE_WIDTH);
    if (index * TILE_WIDTH + width > old) yield { index, width };
  }
}
