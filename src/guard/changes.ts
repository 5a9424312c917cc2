import type { Assertion, Change } from '#seal';
import type { Book } from './book.ts';
import { type Gate, REFUSED, Refusal } from './gate.ts';
import type { Effect } from './state.ts';

/** What people decide about a changed number or address that waits: two let it in before its time, one turns it away. */
export class Changes {
  readonly #book: Book;

  constructor(book: Book) {
    this.#book = book;
  }

  /** The same signed document again does nothing. */
  async decide(document: Change, assertions: readonly Assertion[]): Promise<object> {
    const { id: approval, act, subject, field, version, requester, purpose } = document;
    const detail = { approval, op: 'change', act, field, version };
    if (this.#book.gate.seen(document)) {
      await this.#book.log.flush();
      return {};
    }
    let judged: ReturnType<typeof judge>;
    try {
      judged = judge(this.#book.gate, document, assertions);
    } catch (error) {
      return this.#book.refuse('approval.refused', error, { ...detail, claimed: requester });
    }
    const { signers, effects } = judged;
    const kind = act === 'release' ? 'change.released' : 'change.cancelled';
    await this.#book.write(kind, requester, { ...detail, signers: [...signers], purpose }, effects, subject).written;
    return {};
  }
}

function judge(gate: Gate, document: Change, assertions: readonly Assertion[]) {
  const { act, subject, field, version, requester } = document;
  const { signers, effects } = gate.approve(document, assertions, { people: act === 'release' ? 2 : 1 });
  if (signers.length < 2 && signers[0] !== requester) throw new Refusal('refused', REFUSED, signers[0]);
  if (!gate.state.rows.held.of(subject, field).some((one) => one.version === version)) {
    throw new Refusal('nothing-waits', 'No such change waits any more.', requester);
  }
  const what = act === 'release' ? 'released' : 'cancelled';
  const change: Effect = { e: 'rows', change: { what, subject, field, version } };
  return { signers, effects: [...effects, change] };
}
