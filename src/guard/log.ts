import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { equalBytes, type Json } from '#base';
import { leafHash, TILE_WIDTH, Tree } from '#proof';
import { GuardError } from '#seal';
import { Bell } from './bell.ts';
import { encodeLeaf, type Leaf, makeEntry, type OwnEntry, type Statement, subjectsOf } from './entries.ts';
import { isFull, Journal, type Place } from './journal.ts';
import { OwnWord } from './own-word.ts';
import { withinMs } from './patience.ts';
import { Publisher, type PublisherOptions } from './publisher.ts';
import type { Disk } from './room.ts';
import type { Effect } from './state.ts';
import type { SteadyTime } from './time.ts';

/** One journal record: a leaf of core's, an own entry with its effects, or effects that are nobody else's business. */
interface JournalRecord {
  readonly leaf?: Leaf;
  readonly own?: OwnEntry;
  readonly effects?: readonly Effect[];
}

/** What is kept in memory of each own entry. */
interface OwnMark {
  readonly leaf: number;
  readonly time: number;
  readonly kind: OwnEntry['kind'];
  readonly actor: string | null;
  /** Whom it is about. */
  readonly subjects: readonly string[];
}

const TAIL_BYTES = 256 * 1024;
/** Leaves that one checkpoint takes in at most: however long the backlog, a step is short, and a long one means the disk. */
const STEP = 4_096;
/** Entries kept in memory until they are published; what is beyond is read back from the journal. */
const MOST_RECENT = 65_536;

export interface LogOptions {
  readonly state: string;
  readonly folder: string;
  readonly origin: string;
  readonly key: KeyObject;
  readonly time: SteadyTime;
  /** Called once when the log can no longer be written: the process must end with exit status 74. */
  readonly onUnusable: (cause: unknown) => void;
  /** Longest wait between an entry and the checkpoint that covers it, milliseconds. */
  readonly publishMs?: number;
  /** Where the log lies, with a reserve for its last words. */
  readonly disk?: Disk;
  /** Longest that a caller waits for the disk, and after which it counts as hanging, milliseconds. */
  readonly patience?: { readonly sinkMs: number; readonly hungMs: number };
}

const PATIENCE = { sinkMs: 500, hungMs: 10_000 };
const slow = () => new GuardError('unavailable', 'The log’s disk is too slow. Nothing is opened until it answers.');

/** The ledger's log: journal first, public tiles and checkpoint derived from it. */
export class EvidenceLog {
  readonly tree = new Tree();
  readonly #options: LogOptions;
  readonly #places: Place[] = [];
  readonly #own: OwnMark[] = [];
  /** Leaf index of core's n, at n - 1. */
  readonly #core: number[] = [];
  #journal!: Journal;
  #publisher!: Publisher;
  #committed = 0;
  #dead = false;
  #timer: NodeJS.Timeout | undefined;
  #publishing: Promise<void> = Promise.resolve();
  /** Entries by leaf index: what is not published yet, and the last bundle, which is written again and again. */
  readonly #recent = new Map<number, Buffer>();
  readonly #bell = new Bell();
  readonly #ownWord: OwnWord;

  private constructor(options: LogOptions) {
    this.#options = options;
    this.#ownWord = new OwnWord(options);
  }

  /** Makes an empty log; fails if there is one. */
  static async found(options: LogOptions): Promise<void> {
    await Journal.create(join(options.state, 'journal'));
    await Publisher.found(new EvidenceLog(options).#publisherOptions(), options.time.now());
  }

  /**
   * Opens the log and hands all remembered effects to `replay` in order. Throws GuardError `corrupt` or `fork`, or the
   * system's error if the journal is missing: nothing is made anew.
   */
  static async open(options: LogOptions, replay: (effects: readonly Effect[]) => void) {
    const log = new EvidenceLog(options);
    const { journal, cut } = await Journal.open(
      join(options.state, 'journal'),
      (record, place) => {
        const { effects } = log.#index(record as JournalRecord, place);
        if (effects !== undefined) replay(effects);
      },
      {
        present: [join(options.folder, 'checkpoint')],
        onFailure: (cause) => log.#fail(cause),
        lastWords: async () => log.#lastWords() as unknown as Json,
        hungMs: log.#patience.hungMs,
      },
    );
    log.#journal = journal;
    log.#committed = log.tree.size;
    try {
      await log.#ownWord.mustHold(log.tree);
      log.#publisher = await Publisher.resume(log.#publisherOptions());
      if (log.#publisher.size < log.tree.size) {
        await log.#publisher.publish(options.time.now(), log.tree.size);
      }
    } catch (error) {
      await journal.close();
      throw error;
    }
    return { log, cut };
  }

  get usable(): boolean {
    return this.#journal.usable && !this.#dead;
  }

  /** The last checkpoint. */
  get checkpoint() {
    return this.#publisher.checkpoint;
  }

  /** Number of core's leaves. */
  get coreSize(): number {
    return this.#core.length;
  }

  /**
   * Records what happened together with its effects. `written` resolves when it is on disk; nothing may be done for the
   * caller before. The effects must have been applied already, in the same turn.
   */
  write(statement: Statement, effects: readonly Effect[] = []): { leaf: number; time: number; written: Promise<void> } {
    const time = this.#options.time.now();
    const { entry, leaf } = makeEntry(statement, this.#own.length + 1, time);
    const written = this.#append({ leaf, own: entry, effects });
    return { leaf: this.tree.size - 1, time, written };
  }

  /** Remembers effects without a public entry. */
  remember(effects: readonly Effect[]): Promise<void> {
    return this.#append({ effects });
  }

  /**
   * Takes core's leaves. They continue its count without a gap; one that was sent before must be identical. Throws
   * GuardError `gap` or `fork`.
   */
  async takeCore(leaves: readonly Omit<Leaf, 'v' | 'src'>[]): Promise<number[]> {
    const indexes: number[] = [];
    const fresh: Leaf[] = [];
    for (const given of leaves) {
      const leaf: Leaf = { v: 1, src: 'core', ...given };
      const known = this.#core[leaf.n - 1];
      if (known === undefined) {
        if (leaf.n !== this.#core.length + fresh.length + 1)
          throw new GuardError('gap', 'Leaves are missing in between.');
        fresh.push(leaf);
      } else {
        if (!equalBytes(this.tree.subtree(0, known), leafHash(encodeLeaf(leaf)))) {
          throw new GuardError('fork', 'A leaf with this number was recorded with other content.');
        }
        indexes.push(known);
      }
    }
    const writes: Promise<void>[] = [];
    for (const leaf of fresh) {
      indexes.push(this.tree.size);
      writes.push(this.#append({ leaf }));
    }
    await Promise.all(writes);
    // A repeated leaf may still be on its way to the disk with an earlier request.
    if (fresh.length === 0) await this.flush();
    return indexes;
  }

  /** Resolves when everything recorded so far is on disk; throws GuardError `unavailable` if that takes too long. */
  async flush(): Promise<void> {
    const deadline = performance.now() + this.#patience.sinkMs;
    while (this.#committed < this.tree.size) {
      if (performance.now() > deadline) throw slow();
      await this.#change(this.#patience.sinkMs);
    }
  }

  /**
   * Own entries from a leaf index on, oldest first, until about 256 KiB are together; waits up to `waitMs` if there are
   * none yet.
   */
  async tail(from: number, waitMs: number): Promise<{ leaf: number; entry: OwnEntry }[]> {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const marks = this.ownMarks((mark) => mark.leaf >= from && mark.leaf < this.#committed, 200);
      const left = deadline - Date.now();
      if (marks.length > 0 || left <= 0 || !this.usable) return this.#takeSome(marks);
      await this.#change(left);
    }
  }

  async #takeSome(marks: readonly OwnMark[]): Promise<{ leaf: number; entry: OwnEntry }[]> {
    const taken: { leaf: number; entry: OwnEntry }[] = [];
    let bytes = 0;
    for (const { leaf } of marks) {
      if (bytes > TAIL_BYTES) break;
      bytes += this.#places[leaf]!.length;
      taken.push({ leaf, entry: (await this.#record(leaf)).own! });
    }
    return taken;
  }

  /** Marks of own entries that pass, oldest first. */
  ownMarks(pass: (mark: OwnMark) => boolean, most: number): OwnMark[] {
    const found: OwnMark[] = [];
    for (const mark of this.#own) {
      if (!pass(mark)) continue;
      found.push(mark);
      if (found.length === most) break;
    }
    return found;
  }

  /** An entry with its inclusion proof under the present checkpoint, which is made to cover it first. */
  async prove(
    leaf: number,
  ): Promise<{ envelope: string; own: OwnEntry | undefined; proof: Buffer[]; checkpoint: string }> {
    if (leaf >= this.#committed) throw new GuardError('unknown', 'The log has no such entry.');
    await this.publish(leaf + 1);
    const record = await this.#record(leaf);
    const { note, size } = this.checkpoint;
    const proof = this.tree.inclusion(leaf, size);
    return { envelope: encodeLeaf(record.leaf!).toString(), own: record.own, proof, checkpoint: note };
  }

  /** Brings the public log up to at least `size` leaves. */
  async publish(size: number = this.#committed): Promise<void> {
    while (this.#publisher.size < size && this.usable) {
      this.#publishing = this.#publishing.then(async () => {
        if (this.#publisher.size >= size) return;
        // The tree may hold leaves that are not on disk yet; those must not be signed.
        await this.#publisher.publish(this.#options.time.now(), Math.min(this.#committed, this.#publisher.size + STEP));
        this.#forgetPublished();
      });
      try {
        await withinMs(this.#publishing, this.#patience.hungMs, 'the disk hangs');
      } catch (cause) {
        // The journal may still have room where the public folder has none.
        if (isFull(cause) && this.usable) await this.#append(this.#lastWords()).catch(() => {});
        this.#fail(cause);
        throw new GuardError('unavailable', 'The log cannot be published. Nothing is opened until it can.', { cause });
      }
    }
  }

  /** Nothing more is signed if we once signed what we do not contain. Throws GuardError `fork`, and ends the process. */
  async mustContain(note: string): Promise<void> {
    try {
      await this.#ownWord.mustContain(note, this.tree);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.usable) await this.publish();
    clearTimeout(this.#timer);
    await this.#journal.close();
    this.#bell.ring();
  }

  #append(record: JournalRecord): Promise<void> {
    if (!this.usable) return Promise.reject(new GuardError('unavailable', 'The log cannot be written.'));
    const { place, written } = this.#journal.append(record as unknown as Json);
    this.#index(record, place);
    const size = this.tree.size;
    const done = written.then(() => {
      if (size > this.#committed) this.#committed = size;
      this.#bell.ring();
      this.#schedule();
    });
    // Whoever was told no stays told: what the disk does later is in the log, and opens nothing.
    return withinMs(done, this.#patience.sinkMs, slow);
  }

  /** Why this is the end, for the journal of a full disk: counted after what is on disk, not after what was tried. */
  #lastWords(): JournalRecord {
    this.#options.disk?.giveUp();
    const kept = this.#own.filter(({ leaf }) => leaf < this.#committed).length;
    const said: Statement = { kind: 'log.trouble', actor: null, detail: { code: 'disk-full' } };
    const { entry, leaf } = makeEntry(said, kept + 1, this.#options.time.now());
    return { leaf, own: entry, effects: [] };
  }

  get #patience() {
    return this.#options.patience ?? PATIENCE;
  }

  #index(record: JournalRecord, place: Place): JournalRecord {
    const { leaf, own } = record;
    if (leaf === undefined) return record;
    const encoded = encodeLeaf(leaf);
    const index = this.tree.append(leafHash(encoded));
    // While the journal is replayed there is none yet: nothing is kept then.
    if (this.#journal !== undefined && this.#recent.size < MOST_RECENT) this.#recent.set(index, encoded);
    this.#places.push(place);
    this.#options.time.see(own?.time ?? 0);
    if (own === undefined) this.#core.push(index);
    else {
      const { time, kind, actor } = own;
      this.#own.push({ leaf: index, time, kind, actor, subjects: subjectsOf(own) });
    }
    return record;
  }

  #forgetPublished(): void {
    const from = this.#publisher.size - (this.#publisher.size % TILE_WIDTH);
    for (const index of this.#recent.keys()) {
      if (index >= from) break;
      this.#recent.delete(index);
    }
  }

  async #record(leaf: number): Promise<JournalRecord> {
    return (await this.#journal.read(this.#places[leaf]!)) as JournalRecord;
  }

  #schedule(): void {
    if (!this.usable || this.#timer !== undefined || this.#publisher.size >= this.#committed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // A failure has been reported by then; there is nobody here to tell.
      this.publish().then(
        () => this.#schedule(),
        () => {},
      );
    }, this.#options.publishMs ?? 200);
  }

  #fail(cause: unknown): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#bell.ring();
    this.#options.onUnusable(cause);
  }

  #change(ms?: number): Promise<void> {
    if (!this.usable) return Promise.reject(new GuardError('unavailable', 'The log cannot be written.'));
    return this.#bell.next(ms);
  }

  #publisherOptions(): PublisherOptions {
    const { folder, origin, key, state } = this.#options;
    const entry = async (index: number) => this.#recent.get(index) ?? encodeLeaf((await this.#record(index)).leaf!);
    return { folder, temporary: join(state, 'publishing'), origin, key, tree: this.tree, entry };
  }
}
