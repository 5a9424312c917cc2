import type { OrgKeyStatement } from '#seal';

/** What a guard remembers of the organisation's keys: the ledger's effects, journalled with their entries. */
export type RotationEffect =
  /** Two people put this key in force; `pairs`: how many values there were to seal anew. */
  | { readonly e: 'org-key'; readonly statement: OrgKeyStatement; readonly at: number; readonly pairs: number }
  /** Outer layers opened for sealing anew: the meter of class `rotate`. */
  | { readonly e: 'rotate'; readonly count: number }
  /** Values that the sealer found under the key in force. */
  | { readonly e: 'resealed'; readonly number: number; readonly values: readonly string[] }
  /** Nothing is left under the key before this one. */
  | { readonly e: 'retired'; readonly number: number };

/** Each value is opened twice if all goes well: to seal it anew, and to see that the database has kept that. */
const OPENINGS_PER_VALUE = 4;
const OPENINGS_BESIDES = 2_000;

/** The ledger's memory of a rotation. Only `apply` changes it. */
export class Rotation {
  /** The key in force, once it is not the founding one any more. */
  statement: OrgKeyStatement | undefined;
  at = 0;
  /** Values known to be under the key in force: `subject|field|version`. Empty when the rotation has ended. */
  done = new Set<string>();
  #running = false;
  #pairs = 0;
  #opened = 0;

  get running(): boolean {
    return this.#running;
  }

  /** Whether so many more outer layers may be opened for this rotation. */
  mayOpen(count: number): boolean {
    return this.#running && this.#opened + count <= this.#pairs * OPENINGS_PER_VALUE + OPENINGS_BESIDES;
  }

  apply(effect: RotationEffect): void {
    switch (effect.e) {
      case 'org-key':
        this.statement = effect.statement;
        this.at = effect.at;
        this.done = new Set();
        this.#pairs = effect.pairs;
        this.#opened = 0;
        this.#running = true;
        break;
      case 'rotate':
        this.#opened += effect.count;
        break;
      case 'resealed':
        if (this.#running && effect.number === this.statement?.number) {
          for (const value of effect.values) this.done.add(value);
        }
        break;
      case 'retired':
        this.#running = false;
        this.done = new Set();
        break;
      default:
        effect satisfies never;
    }
  }
}
