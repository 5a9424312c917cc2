import type { Field, Writer } from '#seal';
import { Held, type HeldChange } from './held.ts';
import { HOUR } from './time.ts';

/** A value's place: `[subject, field, version]`. */
export type Placed = readonly [subject: string, field: Field, version: number];

/** What the ledger remembers of rows and of who writes them; each is journalled with the entry that tells of it. */
export type RowChange =
  | { readonly what: 'writer'; readonly writer: Writer; readonly key: string }
  | { readonly what: 'settled'; readonly rows: readonly Placed[] }
  | HeldChange
  | { readonly what: 'transit'; readonly number: number; readonly at: number }
  | { readonly what: 'transit-used'; readonly number: number; readonly at: number }
  | { readonly what: 'transit-gone'; readonly number: number }
  | { readonly what: 'rotation'; readonly generation: number }
  | { readonly what: 'left'; readonly subjects: readonly string[]; readonly at: number; readonly alone: boolean };

/** A key of values in transit; `usedAt`: when the first value under it was settled. */
export interface TransitKey {
  readonly number: number;
  readonly at: number;
  readonly usedAt?: number;
  readonly gone: boolean;
}

/**
 * The ledger's memory of rows: whose signature makes a value, and which version of each value is the present one. It is the
 * fold of what the journal holds, and the journal cannot go back without its signed checkpoint telling.
 */
export class Rows {
  /** Ed25519 SPKI, base64url, pinned when the installation was founded. */
  readonly writers = new Map<Writer, string>();
  /** Who has left: nobody is made under such a handle again, and no lock of theirs counts. */
  readonly left = new Set<string>();
  /** In order; the founding key is the first. */
  transit: readonly TransitKey[] = [{ number: 1, at: 0, gone: false }];
  /** Counts the changes of all locks that two people started. */
  generation = 0;
  /** Changed numbers and addresses that wait. */
  readonly held = new Held();
  readonly #versions = new Map<string, Map<Field, number>>();
  #alone: { readonly count: number; readonly at: number }[] = [];

  apply(change: RowChange): void {
    switch (change.what) {
      case 'writer':
        this.writers.set(change.writer, change.key);
        break;
      case 'settled':
        for (const [subject, field, version] of change.rows) {
          if (this.left.has(subject)) continue;
          this.held.settle(subject, field, version);
          const own = this.#versions.get(subject) ?? new Map<Field, number>();
          own.set(field, version);
          this.#versions.set(subject, own);
        }
        break;
      case 'transit':
        this.transit = [...this.transit, { number: change.number, at: change.at, gone: false }];
        break;
      case 'transit-used':
        this.transit = this.transit.map((one) => (one.number === change.number ? { ...one, usedAt: change.at } : one));
        break;
      case 'transit-gone':
        this.transit = this.transit.map((one) => (one.number === change.number ? { ...one, gone: true } : one));
        break;
      case 'rotation':
        this.generation = change.generation;
        break;
      case 'held':
      case 'released':
      case 'cancelled':
        this.held.apply(change);
        break;
      case 'left':
        for (const subject of change.subjects) {
          this.left.add(subject);
          for (const [field] of this.fields(subject)) this.held.settle(subject, field, Number.POSITIVE_INFINITY);
          this.#versions.delete(subject);
        }
        if (change.alone) this.#alone.push({ count: change.subjects.length, at: change.at });
        break;
      default:
        change satisfies never;
    }
  }

  /** The present version of a value as the journal has it; undefined for one that was never settled. */
  version(subject: string, field: Field): number | undefined {
    return this.#versions.get(subject)?.get(field);
  }

  /** How many people were erased on one person's signature within the last hour. */
  erasedAlone(now: number): number {
    this.#alone = this.#alone.filter(({ at }) => at > now - HOUR);
    return this.#alone.reduce((sum, { count }) => sum + count, 0);
  }

  /** All present versions of one subject. */
  fields(subject: string): readonly (readonly [Field, number])[] {
    return [...(this.#versions.get(subject) ?? [])];
  }

  /** Every present version. */
  *all(): Generator<Placed> {
    for (const [subject, fields] of this.#versions)
      for (const [field, version] of fields) yield [subject, field, version];
  }
}
