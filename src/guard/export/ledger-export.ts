import { toBase64url } from '#base';
import type { Assertion, Export, Exported, SealedRow } from '#seal';
import type { Book } from '../book.ts';
import type { Decoys } from '../decoys.ts';
import { Refusal } from '../gate.ts';
import type { Persons } from '../persons.ts';
import { beginExport, notOpen } from './rules.ts';

/** What two people let out, while it is under way. Not kept over a restart: then the export is over, and counts. */
interface Open {
  readonly document: Export;
  readonly until: number;
  /** Decoys that go into this file; it names its export wherever it turns up. */
  readonly marks: ReadonlySet<string>;
  /** Values that may still be opened. */
  left: number;
}

/** The ledger's part of an export: it judges and charges, writes each batch down, and only then takes its layer off. */
export class LedgerExport {
  readonly #book: Book;
  readonly #persons: Persons;
  readonly #decoys: Decoys;
  #open: Open | undefined;

  constructor(book: Book, persons: Persons, decoys: Decoys) {
    this.#book = book;
    this.#persons = persons;
    this.#decoys = decoys;
  }

  /** Two people begin it. The same again while it is under way does nothing. */
  async begin(document: Export, assertions: readonly Assertion[]): Promise<object> {
    const { gate } = this.#book;
    if (this.#open?.document.id === document.id && gate.seen(document)) return {};
    let begun: ReturnType<typeof beginExport>;
    const { id: approval, requester, fields, people, recipients, purpose } = document;
    try {
      if (this.#people() > people)
        throw new Refusal('refused', 'There are more people than were signed for. Ask anew.');
      begun = beginExport(gate, document, assertions);
    } catch (error) {
      return this.#book.refuse('approval.refused', error, { approval, op: 'export', claimed: requester });
    }
    const detail = { approval, fields, people, recipients, signers: begun.signers, purpose };
    await this.#book.record('directory.export_begun', requester, detail, begun.effects);
    const marks = new Set(await this.#decoys.setFor('export', approval));
    this.#open = { document, until: begun.until, marks, left: people * fields.length };
    return {};
  }

  /** Everybody who has a value that may be exported. */
  #people(): number {
    return new Set(
      [...this.#book.gate.state.rows.all()].flatMap(([subject, field]) => (field === 'name' ? [subject] : [])),
    ).size;
  }

  /** Opens rows of one field: everybody asked for is written down first. Other copies' decoys do not come out. */
  async open(id: string, field: Exported, rows: readonly SealedRow[]) {
    const { state, time } = this.#book.gate;
    const open = this.#open;
    if (
      open?.document.id !== id ||
      open.until <= time.now() ||
      state.locked('directory') ||
      state.locked('document', id) ||
      !open.document.fields.includes(field) ||
      rows.some((row) => row.field !== field) ||
      rows.length > open.left
    ) {
      return this.#book.refuse('directory.refused', notOpen(), { grant: id, field, asked: rows.length, op: 'export' });
    }
    open.left -= rows.length;
    const { requester, purpose } = open.document;
    const subjects = [...new Set(rows.map(({ subject }) => subject))].sort();
    await this.#book.record('directory.exported', requester, {
      grant: id,
      field,
      purpose,
      asked: rows.length,
      subjects,
    });
    const inner = await Promise.all(
      rows
        .filter(({ subject }) => !state.decoys.has(subject) || open.marks.has(subject))
        .map(async (row) => {
          // A lock that was put back opens nothing; the others are not held up.
          const layer = await this.#persons.open(row).catch(() => undefined);
          return layer === undefined ? [] : [{ subject: row.subject, version: row.version, inner: toBase64url(layer) }];
        }),
    );
    if (this.#open !== open || state.locked('directory')) throw notOpen();
    return { inner: inner.flat() };
  }

  /** The file is finished. */
  async end(id: string, file: { readonly bytes: number; readonly sha256: string }): Promise<object> {
    const open = this.#open;
    if (open?.document.id !== id) throw notOpen();
    this.#open = undefined;
    await this.#book.record('directory.export_done', open.document.requester, { grant: id, ...file });
    return {};
  }
}
