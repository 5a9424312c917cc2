import type { KeyObject } from 'node:crypto';
import { fromBase64url, sha256, toBase64url } from '#base';
import {
  type Field,
  GuardError,
  openOuter,
  type RowLabel,
  SealError,
  type SealedRow,
  verifyWritten,
  WRITES,
  type Written,
} from '#seal';
import type { Book } from './book.ts';
import type { Incoming, Persons } from './persons.ts';
import { RefusalBook } from './refusals.ts';
import type { RowChange, Rows } from './rows.ts';

/** How far a version may run ahead of the present one: the database counts them, and must not be able to use them up. */
const MOST_AHEAD = 1_000;

/** One sealed value on its way under its person's lock, signed by whoever wrote it. */
export type Arrival = Pick<SealedRow, 'subject' | 'field' | 'version'> & Written;

/** Why a value was not taken; `present` is the version that counts, where that is why. */
export interface Refused {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly code:
    | 'left'
    | 'writer'
    | 'signature'
    | 'does-not-open'
    | 'stale'
    | 'version-taken'
    | 'version-gap'
    | 'rolled-back';
  readonly present?: number;
}

export interface Settled {
  readonly rows: readonly SealedRow[];
  readonly refused?: readonly Refused[];
}

/**
 * Moves values from transit under their persons' locks. Core brings them and may be owned, as may the database that kept
 * them: what counts is the writer's signature, the writer's own fields, and a version above the present one.
 */
export class Settling {
  readonly #book: Book;
  readonly #persons: Persons;
  readonly #org: string;
  readonly #key: KeyObject;
  readonly #refusals = new RefusalBook();
  #turn: Promise<unknown> = Promise.resolve();

  /** `key` is the ledger's X25519 private key, for values in transit. */
  constructor(options: {
    readonly book: Book;
    readonly persons: Persons;
    readonly org: string;
    readonly key: KeyObject;
  }) {
    this.#book = options.book;
    this.#persons = options.persons;
    this.#org = options.org;
    this.#key = options.key;
  }

  /** One batch at a time, so that each is judged by what the one before left. */
  settle(arrivals: readonly Arrival[]): Promise<Settled> {
    const mine = this.#turn.then(() => this.#settle(arrivals));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  get #rows(): Rows {
    return this.#book.gate.state.rows;
  }

  async #settle(arrivals: readonly Arrival[]): Promise<Settled> {
    const refused: Refused[] = [];
    const bySubject = new Map<string, Incoming[]>();
    const ahead = new Map<string, number>();
    for (const arrival of arrivals) {
      const { subject, field, version } = arrival;
      const judged = this.#judge(arrival, ahead);
      if ('code' in judged) refused.push({ subject, field, version, ...judged });
      else bySubject.set(subject, [...(bySubject.get(subject) ?? []), judged]);
    }
    const rows: SealedRow[] = [];
    await Promise.all(
      [...bySubject].map(async ([subject, incoming]) => {
        try {
          const put = await this.#persons.put(subject, incoming);
          for (const [i, { field, version }] of incoming.entries()) {
            const row = put[i];
            if (row === undefined) refused.push({ subject, field, version, code: 'version-taken' });
            else rows.push(row);
          }
        } catch (error) {
          if (!(error instanceof GuardError && error.code === 'rolled-back')) throw error;
          for (const { field, version } of incoming) refused.push({ subject, field, version, code: 'rolled-back' });
        }
      }),
    );
    const order = new Map(arrivals.map((one, i) => [`${one.subject}|${one.field}|${one.version}`, i]));
    const at = (row: SealedRow) => order.get(`${row.subject}|${row.field}|${row.version}`) ?? 0;
    rows.sort((a, b) => at(a) - at(b));
    const last = new Map(rows.map((row) => [`${row.subject}|${row.field}`, row]));
    const settled: RowChange = {
      what: 'settled',
      rows: [...last.values()].map(({ subject, field, version }) => [subject, field, version]),
    };
    const writes: Promise<unknown>[] = refused.map((one) => this.#tell(one, arrivals));
    if (rows.length > 0) {
      const detail = { rows: rows.length, refused: refused.length };
      writes.push(this.#book.record('directory.settled', null, detail, [{ e: 'rows', change: settled }]));
    }
    await Promise.all(writes);
    return refused.length === 0 ? { rows } : { rows, refused };
  }

  #judge(arrival: Arrival, ahead: Map<string, number>): Incoming | Pick<Refused, 'code' | 'present'> {
    const { subject, field, version, writer } = arrival;
    const key = this.#rows.writers.get(writer);
    if (key === undefined || !WRITES[writer].has(field)) return { code: 'writer' };
    const label: RowLabel = { org: this.#org, subject, field, version };
    if (!verifyWritten(key, label, arrival)) return { code: 'signature' };
    if (this.#rows.left.has(subject)) return { code: 'left' };
    const place = `${subject}|${field}`;
    const present = ahead.get(place) ?? this.#rows.version(subject, field) ?? 0;
    if (version < present) return { code: 'stale', present };
    if (version > present + MOST_AHEAD) return { code: 'version-gap', present };
    const outer = fromBase64url(arrival.outer);
    try {
      const inner = openOuter(this.#key, outer, label);
      ahead.set(place, version);
      return { subject, field, version, inner, outer: toBase64url(sha256(outer)) };
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      return { code: 'does-not-open' };
    }
  }

  /** Late values are nothing unusual; all else is written down, up to a number per minute. */
  async #tell({ subject, field, code }: Refused, arrivals: readonly Arrival[]): Promise<void> {
    if (code === 'stale' || code === 'version-gap' || code === 'left') return;
    const more = this.#refusals.admit(this.#book.gate.time.now());
    if (more === undefined) return;
    const claimed = arrivals.find((one) => one.subject === subject && one.field === field)?.writer ?? 'nobody';
    const detail = { code, field, claimed, ...(more > 0 ? { more } : {}) };
    await this.#book.write('write.refused', null, detail, [], subject).written;
  }
}
