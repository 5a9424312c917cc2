import type { GuardClient, Searched } from '#seal';

/** How many people glass is asked to bring at a time: an index takes some milliseconds for each number. */
const PART: { readonly [field in Searched]: number } = { name: 500, number: 40 };
/** How many rounds of the ledger's list one look takes at most. */
const ROUNDS = 50;

interface Feed {
  readonly changes: readonly (readonly [subject: string, version: number])[];
  readonly next: number;
  readonly more: boolean;
  readonly open: boolean;
}

/** Whose rows the sealer still needs, by what the ledger says has changed. */
export class Wanted {
  readonly #ledger: GuardClient;
  readonly #field: Searched;
  readonly #subjects = new Set<string>();
  #after = 0;
  #looked = false;

  constructor(ledger: GuardClient, field: Searched) {
    this.#ledger = ledger;
    this.#field = field;
  }

  status(field: Searched) {
    return {
      /** Everybody the ledger knew of at the last look is here or wanted. */
      complete: this.#looked && this.#subjects.size === 0,
      waiting: this.#subjects.size,
      wants: firstOf(this.#subjects, PART[field]),
    };
  }

  /**
   * Takes note of changes; `known` is the version that is here already. Returns who has gone, and whether the ledger has
   * this search open, or has never had it yet: it hears of it after the sealer.
   */
  async look(known: (subject: string) => number | undefined): Promise<{ open: boolean; gone: string[] }> {
    const gone: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { changes, next, more, open } = await this.#ledger.call<Feed>('search-feed', {
        ...{ field: this.#field, after: this.#after },
      });
      this.#after = next;
      for (const [subject, version] of changes) {
        if (version === 0) {
          gone.push(subject);
          this.#subjects.delete(subject);
        } else if (known(subject) !== version) this.#subjects.add(subject);
      }
      if (!open) return { open: !this.#looked, gone };
      if (!more) break;
    }
    this.#looked = true;
    return { open: true, gone };
  }

  /** These were looked for: whoever had no row comes again when something of theirs changes. */
  done(subjects: readonly string[]): void {
    for (const subject of subjects) this.#subjects.delete(subject);
  }

  reset(): void {
    this.#subjects.clear();
    this.#after = 0;
    this.#looked = false;
  }
}

function firstOf(set: ReadonlySet<string>, most: number): string[] {
  const first: string[] = [];
  for (const one of set) if (first.push(one) === most) break;
  return first;
}
