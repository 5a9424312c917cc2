import type { Field } from '#seal';

/** Changes of one value that may wait at a time. */
const MOST = 8;

/** A changed number or address that waits: `outer` is base64url SHA-256 of the value in transit. */
export interface Waiting {
  readonly version: number;
  readonly outer: string;
  /** When the ledger saw it first, by its own clock. */
  readonly at: number;
  /** Two people let it in before its time. */
  readonly released: boolean;
}

export type HeldChange =
  | {
      readonly what: 'held';
      readonly subject: string;
      readonly field: Field;
      readonly version: number;
      readonly outer: string;
      readonly at: number;
    }
  | {
      readonly what: 'released' | 'cancelled';
      readonly subject: string;
      readonly field: Field;
      readonly version: number;
    };

/**
 * Changes of numbers and addresses that wait before they count. Each waits its own time, so that one which was seen long ago
 * lends nothing to a later one; what was cancelled is not taken again, whoever brings it.
 */
export class Held {
  readonly #waiting = new Map<string, readonly Waiting[]>();
  readonly #cancelled = new Set<string>();

  apply(change: HeldChange): void {
    const { subject, field, version } = change;
    const place = `${subject}|${field}`;
    const waiting = this.of(subject, field);
    switch (change.what) {
      case 'held':
        this.#set(place, [...waiting, { version, outer: change.outer, at: change.at, released: false }]);
        break;
      case 'released':
        this.#set(
          place,
          waiting.map((one) => (one.version === version ? { ...one, released: true } : one)),
        );
        break;
      case 'cancelled':
        this.#set(
          place,
          waiting.filter((one) => one.version !== version),
        );
        this.#cancelled.add(`${place}|${version}`);
        break;
      default:
        change satisfies never;
    }
  }

  /** A value was settled, or its person erased: what waited up to that version waits no more. */
  settle(subject: string, field: Field, version: number): void {
    this.#set(
      `${subject}|${field}`,
      this.of(subject, field).filter((one) => one.version > version),
    );
  }

  of(subject: string, field: Field): readonly Waiting[] {
    return this.#waiting.get(`${subject}|${field}`) ?? [];
  }

  isCancelled(subject: string, field: Field, version: number): boolean {
    return this.#cancelled.has(`${subject}|${field}|${version}`);
  }

  isFull(subject: string, field: Field): boolean {
    return this.of(subject, field).length >= MOST;
  }

  #set(place: string, waiting: readonly Waiting[]): void {
    if (waiting.length === 0) this.#waiting.delete(place);
    else this.#waiting.set(place, waiting);
  }
}
