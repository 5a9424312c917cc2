import type { Field, Writer } from '#seal';

/** A value's place: `[subject, field, version]`. */
export type Placed = readonly [subject: string, field: Field, version: number];

/** What the ledger remembers of rows and of who writes them; each is journalled with the entry that tells of it. */
export type RowChange =
  | { readonly what: 'writer'; readonly writer: Writer; readonly key: string }
  | { readonly what: 'settled'; readonly rows: readonly Placed[] };

/**
 * The ledger's memory of rows: whose signature makes a value, and which version of each value is the present one. It is the
 * fold of what the journal holds, and the journal cannot go back without its signed checkpoint telling.
 */
export class Rows {
  /** Ed25519 SPKI, base64url, pinned when the installation was founded. */
  readonly writers = new Map<Writer, string>();
  readonly #versions = new Map<string, Map<Field, number>>();

  apply(change: RowChange): void {
    switch (change.what) {
      case 'writer':
        this.writers.set(change.writer, change.key);
        break;
      case 'settled':
        for (const [subject, field, version] of change.rows) {
          const own = this.#versions.get(subject) ?? new Map<Field, number>();
          own.set(field, version);
          this.#versions.set(subject, own);
        }
        break;
      default:
        change satisfies never;
    }
  }

  /** The present version of a value as the journal has it; undefined for one that was never settled. */
  version(subject: string, field: Field): number | undefined {
    return this.#versions.get(subject)?.get(field);
  }

  /** All present versions of one subject. */
  fields(subject: string): readonly (readonly [Field, number])[] {
    return [...(this.#versions.get(subject) ?? [])];
  }
}
