import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openOuter, type RowLabel, SealError, signTransit, type TransitNotice } from '#seal';
import type { Book } from './book.ts';
import { overwrite, syncFolder } from './files.ts';
import { loadKey, makeKey, publicText } from './keys.ts';
import type { TransitKey } from './rows.ts';
import { DAY, HOUR } from './time.ts';

/** How long a transit key is sealed to before the next one is made. */
const LIFE = 7 * DAY;
/** How long a key still opens once its successor is in use: a changed number waits a day, sealed to the one before. */
const KEEP = 25 * HOUR;

/**
 * The keys of values in transit. Between its writing and its settling a value stands in the database under no lock, and a dump
 * or a WAL archive may catch it there: so these keys are short-lived, and what was caught ends with them.
 *
 * Crash points. A key's file is on disk before the entry that puts it in force; one without an entry is made anew. A key's end
 * is an entry first; what is left of the file is destroyed when the ledger opens.
 */
export class Transit {
  readonly #book: Book;
  readonly #state: string;
  readonly #org: string;
  readonly #signing: KeyObject;
  readonly #founding: () => KeyObject;
  /** By number. */
  readonly #keys = new Map<number, KeyObject>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly book: Book;
    readonly state: string;
    readonly org: string;
    readonly signing: KeyObject;
    /** Reads the founding key: `outer.key`, or a credential of that name. */
    readonly founding: () => KeyObject;
  }) {
    this.#book = options.book;
    this.#state = options.state;
    this.#org = options.org;
    this.#signing = options.signing;
    this.#founding = options.founding;
    for (const { number, gone } of this.#known) if (!gone) this.#keys.set(number, this.#load(number));
  }

  get #known(): readonly TransitKey[] {
    return this.#book.gate.state.rows.transit;
  }

  get #current(): TransitKey {
    return this.#known.at(-1)!;
  }

  /** Raw X25519 of the key in force, base64url. */
  get publicKey(): string {
    return publicText(this.#keys.get(this.#current.number)!);
  }

  /** Which key is in force, signed; undefined while it is the founding one. */
  get notice(): TransitNotice | undefined {
    const { number } = this.#current;
    return number === 1 ? undefined : signTransit(this.#signing, { org: this.#org, number, key: this.publicKey });
  }

  /** Takes the transit layer off, by whichever key it is under. Throws SealError `open-failed`. */
  open(outer: Uint8Array, label: RowLabel): { inner: Buffer; number: number } {
    return this.any((key, number) => ({ inner: openOuter(key, outer, label), number }));
  }

  /** What `work` makes of the first key that it does not refuse, the newest first. Throws SealError. */
  any<T>(work: (key: KeyObject, number: number) => T): T {
    for (const [number, key] of [...this.#keys].reverse()) {
      try {
        return work(key, number);
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
      }
    }
    throw new SealError('open-failed', 'A sealed value does not open.');
  }

  /** The next key, at once. */
  renew(): Promise<void> {
    return this.#alone(() => this.#renew());
  }

  /** Makes the next key when this one is old, and destroys those that nothing in transit is under any more. */
  tend(): Promise<void> {
    return this.#alone(async () => {
      const now = this.#book.gate.time.now();
      if (now >= this.#current.at + LIFE) await this.#renew();
      for (const { number, gone } of this.#known) {
        const next = this.#known.find((one) => one.number === number + 1);
        if (gone || next?.usedAt === undefined || now < next.usedAt + KEEP) continue;
        const ended = { e: 'rows', change: { what: 'transit-gone', number } } as const;
        await this.#book.record('transit.destroyed', null, { number }, [ended]);
        this.#keys.delete(number);
      }
      await this.finish();
    });
  }

  /** Destroys what is left of keys that the journal says are gone. */
  async finish(): Promise<void> {
    for (const { number, gone } of this.#known) {
      const path = this.#path(number);
      if (!gone || !existsSync(path)) continue;
      await overwrite(path);
      await rm(path);
      await syncFolder(this.#state);
    }
  }

  async #renew(): Promise<void> {
    const number = this.#current.number + 1;
    await rm(this.#path(number), { force: true });
    const key = await makeKey(this.#state, this.#name(number), 'x25519');
    this.#keys.set(number, key);
    const at = this.#book.gate.time.now();
    await this.#book.record('transit.renewed', null, { number }, [
      { e: 'rows', change: { what: 'transit', number, at } },
    ]);
  }

  #name = (number: number): string => (number === 1 ? 'outer' : `outer-${number}`);
  #path = (number: number): string => join(this.#state, `${this.#name(number)}.key`);

  #load(number: number): KeyObject {
    if (number === 1) return this.#founding();
    return loadKey(this.#state, this.#name(number), 'x25519');
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
