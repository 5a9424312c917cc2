import type { KeyObject } from 'node:crypto';
import { canonicalJson, fromBase64url, type Json, sha256, toBase64url } from '#base';
import {
  type Assertion,
  type Field,
  GuardError,
  orgKeyStatement,
  type RotateKey,
  type SealedRow,
  signBody,
} from '#seal';
import type { Book } from './book.ts';
import { countValues, valueName } from './census.ts';
import { Refusal } from './gate.ts';
import type { Persons } from './persons.ts';
import type { Rotation } from './rotation.ts';
import { MINUTE } from './time.ts';

/** How long writers have to learn of a new key before the one before it may be destroyed. */
export const WRITERS = 10 * MINUTE;

/** A value that the sealer sealed anew, on its way back under the person's lock. */
export interface ResealedValue {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly inner: string;
}

type Named = Omit<ResealedValue, 'inner'>;
const markOf = (inner: Uint8Array): string => toBase64url(sha256(inner).subarray(0, 12));

/** The ledger's part in changing the organisation's key: it opens its own layer for the sealer only while two people's order stands. */
export class Rekeying {
  readonly #book: Book;
  readonly #signing: KeyObject;
  readonly #persons: Persons;
  readonly #org: string;
  readonly #founding: string | undefined;
  readonly #onThird: () => Promise<void>;
  /** What was sealed anew and is yet to be seen in the database: the beginning of its hash. A restart forgets it, and the sealer looks. */
  readonly #fresh = new Map<string, string>();

  /** `founding`: the organisation's first raw public key, base64url; without it no key is changed. */
  constructor(options: {
    readonly book: Book;
    readonly signing: KeyObject;
    readonly persons: Persons;
    readonly org: string;
    readonly founding?: string;
    /** A third lock is in force: what numbers could be guessed from goes. */
    readonly onThird: () => Promise<void>;
  }) {
    this.#book = options.book;
    this.#signing = options.signing;
    this.#persons = options.persons;
    this.#org = options.org;
    this.#founding = options.founding;
    this.#onThird = options.onThird;
  }

  get #rotation(): Rotation {
    return this.#book.gate.state.rotation;
  }

  /** The key in force as this guard vouches for it; undefined while it is the founding one. */
  get notice() {
    const { statement } = this.#rotation;
    return statement === undefined ? undefined : { statement, signature: signBody(this.#signing, statement) };
  }

  /** What status tells of a rotation. */
  status() {
    const { statement, running, done } = this.#rotation;
    const notice = this.notice;
    return {
      number: statement?.number ?? 1,
      running,
      ...(running ? { resealed: done.size } : {}),
      ...(notice === undefined ? {} : { notice }),
    };
  }

  /** Two people put a key in force. Repeating the document in force does nothing. Throws Refusal. */
  async promote(document: RotateKey, assertions: readonly Assertion[]): Promise<object> {
    const { gate } = this.#book;
    const { id, number, requester, purpose, third } = document;
    if (this.#rotation.statement?.approval === id && gate.seen(document)) {
      await this.#book.log.flush();
      if (third !== undefined) await this.#onThird();
      return { notice: this.notice };
    }
    let approved: ReturnType<typeof gate.approve>;
    try {
      const present = this.#rotation.statement?.key ?? this.#founding;
      if (this.#rotation.running) throw new Refusal('busy', 'Rows are still being sealed anew for the last change.');
      if (document.previous !== present || number !== (this.#rotation.statement?.number ?? 1) + 1) {
        throw new Refusal('refused', 'This document is not about the key that is in force.');
      }
      const lock = this.#rotation.statement?.third;
      const made = document.third === undefined || gate.state.third.made.has(document.third);
      if (lock === undefined ? !made : document.third !== lock) {
        throw new Refusal('refused', 'This document is not about the third lock that there is. It is never taken off.');
      }
      approved = gate.approve(document, assertions);
    } catch (error) {
      return this.#book.refuse('approval.refused', error, { approval: id, op: 'rotate-key', claimed: requester });
    }
    const { signers, effects } = approved;
    const pairs = countValues(gate.state.rows);
    const keySha256 = toBase64url(sha256(fromBase64url(document.key)));
    const statement = orgKeyStatement(this.#org, document);
    await this.#book.record(
      'key.promoted',
      requester,
      { approval: id, number, keySha256, values: pairs, signers, purpose, ...(third === undefined ? {} : { third }) },
      [...effects, { e: 'org-key', statement, at: gate.time.now(), pairs }],
    );
    if (third !== undefined) await this.#onThird();
    return { notice: this.notice };
  }

  /** Opens the outer layers of rows that are to be sealed anew: metered, written down, then opened. */
  async open(number: number, rows: readonly SealedRow[]) {
    const rotation = this.#rotation;
    if (!rotation.running || rotation.statement?.number !== number) {
      throw new GuardError('refused', 'No change of the key is under way. Nothing is opened for one.');
    }
    if (!rotation.mayOpen(rows.length)) {
      throw new GuardError('cap', 'More was opened for this change of the key than it can need. Look for the cause.');
    }
    const names = rows.map(valueName).sort();
    const entry = this.#book.write(
      'key.resealing',
      null,
      { number, asked: rows.length, sha256: toBase64url(sha256(canonicalJson(names as Json))) },
      [{ e: 'rotate', count: rows.length }],
    );
    await entry.written;
    const inner: ResealedValue[] = [];
    const found: Named[] = [];
    const layers = await Promise.all(rows.map((row) => this.#persons.open(row)));
    for (const [i, row] of rows.entries()) {
      const opened = layers[i];
      if (opened === undefined) continue;
      const { subject, field, version } = row;
      const name = valueName(row);
      if (this.#fresh.get(name) === markOf(opened)) {
        this.#fresh.delete(name);
        found.push({ subject, field, version });
      } else inner.push({ subject, field, version, inner: toBase64url(opened) });
    }
    await this.#count(number, found);
    return { inner, found };
  }

  async #count(number: number, found: readonly Named[]): Promise<void> {
    if (found.length === 0) return;
    const effects = [{ e: 'resealed', number, values: found.map(valueName) }] as const;
    this.#book.gate.state.apply(effects);
    await this.#book.log.remember(effects);
  }

  /** Puts values that were sealed anew back under their persons' locks, and remembers which were found under the new key. */
  async close(number: number, values: readonly ResealedValue[], found: readonly Named[]) {
    const rotation = this.#rotation;
    if (!rotation.running || rotation.statement?.number !== number) {
      throw new GuardError('refused', 'No change of the key is under way.');
    }
    const locked = await Promise.all(values.map((value) => this.#persons.relock(value, fromBase64url(value.inner))));
    const rows = locked.filter((row) => row !== undefined);
    for (const [i, value] of values.entries()) {
      if (locked[i] !== undefined) this.#fresh.set(valueName(value), markOf(fromBase64url(value.inner)));
    }
    await this.#count(number, found);
    return { rows };
  }

  /** Ends a change of the key if no value is left under the one before and writers have had time to learn of it. */
  async retire(number: number): Promise<{ retired: boolean; left: number; waitMs: number }> {
    const rotation = this.#rotation;
    if (rotation.statement?.number !== number) throw new GuardError('refused', 'This is not the key in force.');
    if (!rotation.running) return { retired: true, left: 0, waitMs: 0 };
    const waitMs = Math.max(0, rotation.at + WRITERS - this.#book.gate.time.now());
    const left = countValues(this.#book.gate.state.rows, (value) => rotation.done.has(value));
    if (left > 0 || waitMs > 0) return { retired: false, left, waitMs };
    this.#fresh.clear();
    await this.#book.record('key.retired', null, { number: number - 1 }, [{ e: 'retired', number: number - 1 }]);
    return { retired: true, left, waitMs };
  }
}
