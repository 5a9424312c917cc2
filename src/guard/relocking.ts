import type { Assertion, Field, RotateLocks, SealedRow } from '#seal';
import { GuardError } from '#seal';
import type { Book } from './book.ts';
import type { Persons } from './persons.ts';
import type { Effect } from './state.ts';
import type { Transit } from './transit.ts';

/** A value whose row was withdrawn: its version stays, and no ciphertext of it is kept. */
export type Withdrawn = Pick<SealedRow, 'subject' | 'field' | 'version'>;

/**
 * Gives everybody a new lock, without anything being opened to anybody: rows are taken from under the old lock and put under
 * the new one, here. Started by two people; core brings the rows in batches and may be owned.
 *
 * Crash points. The new lock is on disk beside the old one before any row is under it, and both open rows. The old one is
 * destroyed only when all present rows of the person were shown as the database keeps them, under the new lock. So whatever
 * stops in between, every row that the database may hold opens, and the batch is simply brought again.
 */
export class Relocking {
  readonly #book: Book;
  readonly #persons: Persons;
  readonly #transit: Transit;

  constructor(book: Book, persons: Persons, transit: Transit) {
    this.#book = book;
    this.#persons = persons;
    this.#transit = transit;
  }

  get #generation(): number {
    return this.#book.gate.state.rows.generation;
  }

  /** Two people start it. The same signed document again does nothing. */
  async start(document: RotateLocks, assertions: readonly Assertion[]): Promise<{ generation: number }> {
    const { gate, log } = this.#book;
    const { id: approval, requester, purpose } = document;
    if (gate.seen(document)) await log.flush();
    else {
      let approved: ReturnType<typeof gate.approve>;
      try {
        approved = gate.approve(document, assertions);
      } catch (error) {
        return this.#book.refuse('approval.refused', error, { approval, op: 'rotate-locks', claimed: requester });
      }
      const generation = this.#generation + 1;
      const started: Effect = { e: 'rows', change: { what: 'rotation', generation } };
      const { signers, effects } = approved;
      await this.#book.record('locks.rotating', requester, { approval, generation, signers, purpose }, [
        ...effects,
        started,
      ]);
      // What is under no lock yet is sealed to another key from now on, too.
      await this.#transit.renew();
    }
    return { generation: this.#generation };
  }

  /** One batch of whole persons: rows as the database keeps them. Answers rows to store in their place, and who is done. */
  async carry(generation: number, rows: readonly SealedRow[], withdrawn: readonly Withdrawn[]) {
    if (generation !== this.#generation || generation === 0) {
      throw new GuardError('refused', 'No such change of the locks is under way.');
    }
    const people = Map.groupBy(rows, ({ subject }) => subject);
    const gone = Map.groupBy(withdrawn, ({ subject }) => subject);
    const fresh: SealedRow[] = [];
    const done: string[] = [];
    await Promise.all(
      [...new Set([...people.keys(), ...gone.keys()])].map(async (subject) => {
        const shown = new Map<Field, number>((gone.get(subject) ?? []).map(({ field, version }) => [field, version]));
        const result = await this.#persons.relockAll(subject, generation, people.get(subject) ?? [], shown);
        fresh.push(...result.rows);
        if (result.done) done.push(subject);
      }),
    );
    if (rows.length > 0 || done.length > 0) {
      await this.#book.record('locks.rotated', null, {
        generation,
        asked: rows.length,
        rows: fresh.length,
        done: done.length,
      });
    }
    const order = ({ subject, field }: SealedRow) => `${subject}|${field}`;
    return { rows: fresh.sort((a, b) => (order(a) < order(b) ? -1 : 1)), done: done.sort() };
  }
}
