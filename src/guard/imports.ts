import type { KeyObject } from 'node:crypto';
import { type Assertion, type ImportPeople, type ImportPermit, signImportPermit } from '#seal';
import type { Book } from './book.ts';
import { Refusal } from './gate.ts';
import type { Effect } from './state.ts';

const WRONG_KEYS =
  'These are not the keys that values are sealed to here. Open the page anew; if this happens again, tell your security team.';

/**
 * One administrator's touch over people who were sealed in a browser: how many, which bytes, and to which keys. The ledger
 * vouches for the keys with its signature, so a page that was given others learns it before anything leaves the browser.
 */
export class Imports {
  readonly #book: Book;
  readonly #signing: KeyObject;
  /** `keysDigest` of the keys in force; undefined where the organisation's is not known, and then nothing is permitted. */
  readonly #sealedTo: () => string | undefined;

  constructor(book: Book, signing: KeyObject, sealedTo: () => string | undefined) {
    this.#book = book;
    this.#signing = signing;
    this.#sealedTo = sealedTo;
  }

  async permit(document: ImportPeople, assertion: Assertion): Promise<{ permit: ImportPermit }> {
    const { import: id, stage, count, sha256, keys } = document;
    const detail = { import: id, stage, count, sha256 };
    let effects: readonly Effect[];
    try {
      effects = this.#book.gate.takeIn(document, assertion);
      if (keys !== this.#sealedTo()) throw new Refusal('wrong-keys', WRONG_KEYS, document.admin);
    } catch (error) {
      return this.#book.refuse('approval.refused', error, { ...detail, op: 'import', claimed: document.admin });
    }
    const entry = this.#book.write('directory.import_permitted', document.admin, detail, effects);
    await entry.written;
    return { permit: signImportPermit(this.#signing, { ...document, leaf: entry.leaf }) };
  }
}
