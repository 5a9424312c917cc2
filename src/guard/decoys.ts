import { randomInt } from 'node:crypto';
import type { Clock } from '#base';
import { GuardError, openCall } from '#seal';
import type { Book } from './book.ts';
import type { CopyKind, DecoyBook, DecoyChange } from './decoy-book.ts';
import type { Effect } from './state.ts';
import type { Transit } from './transit.ts';

/** A copy without decoys could not be told from another one. */
const FEWEST = 2;
/** How often another choice is drawn before it is said that there are too few decoys for so many copies. */
const DRAWS = 64;
/** Copies that an alarm names. */
const MOST_NAMED = 20;

/** The ledger's acts on decoys. None of them writes an entry that others read, but for the alarm of a call. */
export class Decoys {
  readonly #book: Book;
  readonly #now: Clock;
  readonly #open: (box: string) => string;

  /** `transit` has the ledger's keys of what others seal to it. */
  constructor(options: { readonly book: Book; readonly transit: () => Transit; readonly now: Clock }) {
    this.#book = options.book;
    this.#open = (box) => options.transit().any((key) => openCall(key, box));
    this.#now = options.now;
  }

  get #known(): DecoyBook {
    return this.#book.gate.state.decoyBook;
  }

  /** New decoys, told before they are stored. */
  async join(handles: readonly string[]): Promise<object> {
    await this.#remember({ what: 'joined', handles, at: this.#now() });
    return {};
  }

  /**
   * The decoys that go into this copy of the directory, sorted: no other copy of the kind carries the same ones, as far as
   * there are enough. Written to the journal before it is answered; asked again, it answers the same. An export leaves the
   * other decoys out; a backup carries all that there are, and differs from others as decoys join and leave.
   * `id` is at most 64 characters. Throws GuardError `too-few-decoys`.
   */
  async setFor(kind: CopyKind, id: string): Promise<readonly string[]> {
    const before = this.#known.copy(kind, id);
    if (before !== undefined) return [...before.handles];
    if (!/^[A-Za-z0-9._:-]{1,64}$/.test(id)) throw new GuardError('shape', 'A copy is named by 1 to 64 characters.');
    const present = this.#known.present();
    const handles = kind === 'backup' ? present : this.#draw(present);
    await this.#remember({ what: 'copy', kind, id, handles, at: this.#now() });
    return handles;
  }

  /** Half of the present decoys by chance, of which at least one is rung through to somebody, if any is. */
  #draw(present: readonly string[]): readonly string[] {
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const chosen = present.filter(() => randomInt(2) === 1);
      const live = present.some((one) => this.#known.isCanary(one));
      if (chosen.length < FEWEST || (live && !chosen.some((one) => this.#known.isCanary(one)))) continue;
      if (!this.#known.taken('export', chosen)) return chosen;
    }
    throw new GuardError('too-few-decoys', 'There are too few decoys to tell this copy from the others. Add some.');
  }

  /** Decoys whose addresses are live: `tags` are `canaryTag` of each. Told before they are stored. */
  async canaries(entries: readonly { readonly handle: string; readonly tags: readonly string[] }[]): Promise<object> {
    const joined: DecoyChange = { what: 'joined', handles: entries.map(({ handle }) => handle), at: this.#now() };
    await this.#remember(joined, ...entries.map((entry): DecoyChange => ({ what: 'canary', ...entry })));
    return {};
  }

  /**
   * Somebody rang or wrote to an address. If it is a canary's, the highest alarm is written: which copies of the directory
   * hold it, never whose it is. The answer is the same for every address.
   */
  async called(how: string, box: string): Promise<object> {
    const handle = this.#known.byTag(this.#open(box));
    if (handle === undefined) return {};
    const change: DecoyChange = { what: 'called', handle, at: this.#now() };
    this.#known.apply(change);
    const suspects = this.#known.suspects(handle);
    const copies = suspects.slice(0, MOST_NAMED).map(({ kind, id }) => `${kind} ${id}`);
    const detail = { how, copies, suspected: suspects.length, called: this.#known.calledCount };
    await this.#book.record('canary.called', null, detail, [{ e: 'decoy', change }]);
    return {};
  }

  async leave(handles: readonly string[]): Promise<object> {
    await this.#remember({ what: 'left', handles, at: this.#now() });
    return {};
  }

  async #remember(...changes: DecoyChange[]): Promise<void> {
    const effects: Effect[] = changes.map((change) => ({ e: 'decoy', change }));
    this.#book.gate.state.apply(effects);
    await this.#book.log.remember(effects);
  }
}
