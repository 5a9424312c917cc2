/** Where copies of the directory go that carry decoys of their own. */
export type CopyKind = 'export' | 'backup';

/** What changes about decoys. Journalled; never part of an entry of the log, which others read. */
export type DecoyChange =
  | { readonly what: 'joined'; readonly handles: readonly string[]; readonly at: number }
  | { readonly what: 'left'; readonly handles: readonly string[]; readonly at: number }
  /** Live numbers and mailboxes of a decoy, as `canaryTag` of each. */
  | { readonly what: 'canary'; readonly handle: string; readonly tags: readonly string[] }
  | {
      readonly what: 'copy';
      readonly kind: CopyKind;
      readonly id: string;
      readonly handles: readonly string[];
      readonly at: number;
    }
  | { readonly what: 'called'; readonly handle: string; readonly at: number };

export interface Copy {
  readonly kind: CopyKind;
  readonly id: string;
  readonly at: number;
  readonly handles: ReadonlySet<string>;
}

/**
 * What the ledger alone knows about decoys: which there are, since when, which addresses of theirs are live, and which of
 * them went into which copy of the directory.
 */
export class DecoyBook {
  /** All there ever were: whoever asks for one that has left is as suspicious as before. */
  readonly known = new Set<string>();
  readonly #joined = new Map<string, number>();
  readonly #left = new Map<string, number>();
  /** Decoy by tag of a live address. */
  readonly #canaries = new Map<string, string>();
  readonly #copies = new Map<string, Copy>();
  /** Decoys that were rung or written to, in order. */
  readonly #called = new Set<string>();

  apply(change: DecoyChange): void {
    switch (change.what) {
      case 'joined':
        for (const handle of change.handles) {
          this.known.add(handle);
          if (!this.#joined.has(handle)) this.#joined.set(handle, change.at);
        }
        break;
      case 'left':
        for (const handle of change.handles) if (this.known.has(handle)) this.#left.set(handle, change.at);
        break;
      case 'canary':
        for (const tag of change.tags) this.#canaries.set(tag, change.handle);
        break;
      case 'copy': {
        const { kind, id, at } = change;
        this.#copies.set(`${kind}|${id}`, { kind, id, at, handles: new Set(change.handles) });
        break;
      }
      case 'called':
        this.#called.add(change.handle);
        break;
      default:
        change satisfies never;
    }
  }

  /** Those that count among the people now. */
  present(): string[] {
    return [...this.known].filter((handle) => !this.#left.has(handle)).sort();
  }

  get presentCount(): number {
    return this.known.size - this.#left.size;
  }

  /** Milliseconds since the epoch at which it joined; 0 where that was not written down yet. */
  joinedAt(handle: string): number {
    return this.#joined.get(handle) ?? 0;
  }

  isCanary(handle: string): boolean {
    return [...this.#canaries.values()].includes(handle);
  }

  byTag(tag: string): string | undefined {
    return this.#canaries.get(tag);
  }

  copy(kind: CopyKind, id: string): Copy | undefined {
    return this.#copies.get(`${kind}|${id}`);
  }

  /** How many decoys were ever rung or written to. */
  get calledCount(): number {
    return this.#called.size;
  }

  /** Whether an earlier copy of this kind carries exactly these. */
  taken(kind: CopyKind, handles: readonly string[]): boolean {
    return [...this.#copies.values()].some(
      (copy) =>
        copy.kind === kind && copy.handles.size === handles.length && handles.every((one) => copy.handles.has(one)),
    );
  }

  /**
   * The copies that explain every call so far, newest first: each holds all decoys that were rung. Where no single copy
   * does, those that hold the last one.
   */
  suspects(handle: string): readonly Copy[] {
    const holding = [...this.#copies.values()].filter((copy) => copy.handles.has(handle)).sort((a, b) => b.at - a.at);
    const all = holding.filter((copy) => [...this.#called].every((one) => copy.handles.has(one)));
    return all.length > 0 ? all : holding;
  }
}
