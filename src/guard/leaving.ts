import { type Assertion, LEAVING_PER_HOUR, type Leave, WRITES } from '#seal';
import type { Book } from './book.ts';
import { type Gate, REFUSED, Refusal } from './gate.ts';
import type { Persons } from './persons.ts';
import type { LedgerSearch } from './search/ledger-search.ts';
import type { Effect } from './state.ts';

/**
 * Erases who has left, by destroying their locks: every copy of the database becomes unreadable for them.
 *
 * Crash points. The entry with its effect is on disk before any lock is touched; from then on nothing of these people opens
 * or is taken. A crash before all locks are gone is finished by `finish` when the ledger opens again.
 */
export class Leaving {
  readonly #book: Book;
  readonly #persons: Persons;
  readonly #search: LedgerSearch | undefined;

  constructor(book: Book, persons: Persons, search?: LedgerSearch) {
    this.#book = book;
    this.#persons = persons;
    this.#search = search;
  }

  /** Destroys what the journal says must be gone: after a crash, or because somebody put lock files back. */
  async finish(): Promise<void> {
    await this.#persons.sweep();
    for (const subject of this.#book.gate.state.rows.left) await this.#persons.destroy(subject);
  }

  /** Answers once the locks are destroyed. The same signed document again destroys again, and writes nothing. */
  async leave(document: Leave, assertions: readonly Assertion[]): Promise<{ erased: number }> {
    const { gate, log } = this.#book;
    const { id: approval, requester, purpose } = document;
    const subjects = [...document.subjects];
    if (gate.seen(document) && subjects.every((subject) => gate.state.rows.left.has(subject))) await log.flush();
    else {
      let judged: ReturnType<typeof judge>;
      try {
        judged = judge(gate, document, assertions);
      } catch (error) {
        const detail = { approval, op: 'leave', people: subjects.length, claimed: requester };
        return this.#book.refuse('approval.refused', error, detail);
      }
      const { signers, effects } = judged;
      const detail = { approval, subjects, signers: [...signers], purpose, people: subjects.length };
      const one = subjects.length === 1 ? subjects[0] : undefined;
      await this.#book.write('directory.erased', requester, detail, effects, one).written;
    }
    for (const subject of subjects) await this.#persons.destroy(subject);
    await this.#search?.forget(subjects);
    return { erased: subjects.length };
  }
}

/** Whoever asks must sign; a second person too where more are erased than one may erase within an hour. Throws Refusal. */
function judge(gate: Gate, document: Leave, assertions: readonly Assertion[]) {
  const { rows, keys } = gate.state;
  if (gate.state.locked('directory')) throw new Refusal('locked', 'The directory is locked.');
  const now = gate.time.now();
  const alone = new Set(assertions.map(({ credential }) => keys.get(credential)?.admin)).size < 2;
  const { signers, effects } = gate.approve(document, assertions, { people: alone ? 1 : 2 });
  if (alone && signers[0] !== document.requester) throw new Refusal('refused', REFUSED, signers[0]);
  if (alone && rows.erasedAlone(now) + document.subjects.length > LEAVING_PER_HOUR) {
    const message = `One person may erase ${LEAVING_PER_HOUR} people an hour. For more, a second one must agree.`;
    throw new Refusal('two-people', message, document.requester, 'leaving');
  }
  // A device's secrets are not a person's: without them nobody could unlock it again.
  const isDevice = (subject: string) => rows.fields(subject).some(([field]) => WRITES.edge.has(field));
  if (document.subjects.some(isDevice)) throw new Refusal('refused', 'This is a device, not a person.', signers[0]);
  const left: Effect = { e: 'rows', change: { what: 'left', subjects: document.subjects, at: now, alone } };
  const decoys = document.subjects.filter((subject) => gate.state.decoys.has(subject));
  const decoy: Effect = { e: 'decoy', change: { what: 'left', handles: decoys, at: now } };
  return { signers, effects: [...effects, left, ...(decoys.length > 0 ? [decoy] : [])] };
}
