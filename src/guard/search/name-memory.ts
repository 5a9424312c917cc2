import { Arena } from './arena.ts';
import { fold, wordsOf } from './fold.ts';

interface Place {
  readonly subject: string;
  readonly version: number;
  /** Where its folded form begins and ends, and its name. */
  readonly folded: readonly [number, number];
  readonly name: readonly [number, number];
}

export interface NameHit {
  readonly subject: string;
  readonly version: number;
  /** A copy: whoever asked wipes it. */
  readonly name: Buffer;
}

/** What a scan found. `full`: a full name was typed, word for word, and only people of that name are here. */
export interface NameHits {
  readonly full: boolean;
  readonly more: boolean;
  readonly hits: readonly NameHit[];
}

/**
 * The names of the directory, folded and as they are, in two compact buffers outside of JavaScript's heap: bytes only, so that
 * wiping them leaves nothing. Handles stay ordinary strings.
 */
export class NameMemory {
  readonly #folded = new Arena();
  readonly #names = new Arena();
  /** In the order of the folded buffer. Places of people who left stay, empty, until it is packed. */
  #places: Place[] = [];
  readonly #bySubject = new Map<string, Place>();

  get size(): number {
    return this.#bySubject.size;
  }

  /** Bytes of both buffers. */
  get bytes(): number {
    return this.#folded.capacity + this.#names.capacity;
  }

  version(subject: string): number | undefined {
    return this.#bySubject.get(subject)?.version;
  }

  /** Takes a name in, in place of an earlier one. The caller wipes `name`. */
  put(subject: string, version: number, name: Uint8Array): void {
    this.forget(subject);
    const folded = fold(name);
    // 0 between people: no word runs from one into the next.
    const start = this.#folded.append(Buffer.concat([Buffer.alloc(1), folded])) + 1;
    const at = this.#names.append(name);
    const place: Place = {
      ...{ subject, version, folded: [start, start + folded.length], name: [at, at + name.length] },
    };
    folded.fill(0);
    this.#places.push(place);
    this.#bySubject.set(subject, place);
  }

  /** Wipes one person's name. */
  forget(subject: string): void {
    const place = this.#bySubject.get(subject);
    if (place === undefined) return;
    this.#bySubject.delete(subject);
    this.#folded.erase(...place.folded);
    this.#names.erase(...place.name);
    if (this.#places.length > 1_000 && this.#places.length > this.#bySubject.size * 2) this.#pack();
  }

  wipe(): void {
    this.#folded.wipe();
    this.#names.wipe();
    this.#places = [];
    this.#bySubject.clear();
  }

  /**
   * People whose name has every word of the query in it, in any order. A query of two words or more that are all whole words
   * of a name finds people of that name alone. The whole memory is read whatever is found.
   */
  find(query: Uint8Array, most: number): NameHits {
    const folded = fold(query);
    const words = wordsOf(folded);
    const longest = words.reduce((best, word) => (word.length > best.length ? word : best), Buffer.alloc(0));
    const full: Place[] = [];
    const part: Place[] = [];
    let fulls = 0;
    let parts = 0;
    const bytes = this.#folded.bytes;
    for (let at = longest.length === 0 ? -1 : bytes.indexOf(longest); at >= 0; ) {
      const place = this.#placeAt(at);
      const [start, end] = place.folded;
      const text = bytes.subarray(start, end);
      if (words.every((word) => text.includes(word))) {
        const whole = words.length > 1 && words.every((word) => hasWord(text, word));
        if (whole) fulls += full.length < most ? full.push(place) && 1 : 1;
        else parts += part.length < most ? part.push(place) && 1 : 1;
      }
      at = bytes.indexOf(longest, end);
    }
    folded.fill(0);
    const taken = fulls > 0 ? full : part;
    const names = this.#names.bytes;
    return {
      full: fulls > 0,
      more: (fulls > 0 ? fulls : parts) > most,
      hits: taken.map(({ subject, version, name: [from, to] }) => {
        const name = Buffer.alloc(to - from);
        names.copy(name, 0, from, to);
        return { subject, version, name };
      }),
    };
  }

  #placeAt(at: number): Place {
    let low = 0;
    let high = this.#places.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#places[middle]!.folded[0] <= at) low = middle;
      else high = middle - 1;
    }
    return this.#places[low]!;
  }

  #pack(): void {
    const live = [...this.#bySubject.values()];
    const names = live.map(({ name: [from, to] }) => Buffer.from(this.#names.bytes.subarray(from, to)));
    this.wipe();
    for (const [i, { subject, version }] of live.entries()) {
      this.put(subject, version, names[i]!);
      names[i]!.fill(0);
    }
  }
}

/** Whether a word stands in a folded name between two spaces. */
function hasWord(text: Buffer, word: Buffer): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (text[at - 1] === 0x20 && text[at + word.length] === 0x20) return true;
  }
  return false;
}
