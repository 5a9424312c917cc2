import { fromBase64url, sha256, toBase64url } from '#base';
import {
  type Field,
  GuardError,
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
import type { Transit } from './transit.ts';

/** How far a version may run ahead of the present one: the database counts them, and must not be able to use them up. */
const MOST_AHEAD = 1_000;

/** What may not be redirected in silence: changes wait. */
const HELD: ReadonlySet<Field> = new Set(['number', 'email']);
/** Nobody forged these. */
const QUIET: ReadonlySet<string> = new Set(['stale', 'version-gap', 'left', 'cancelled', 'held-full']);

/** One sealed value on its way under its person's lock, signed by whoever wrote it. */
export type Arrival = Pick<SealedRow, 'subject' | 'field' | 'version'> & Written;

/** Why a value was not taken; `present` is the version that counts, where that is why. */
export interface Refused {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly code:
    | 'left'
    | 'cancelled'
    | 'held-full'
    | 'writer'
    | 'signature'
    | 'does-not-open'
    | 'stale'
    | 'version-taken'
    | 'version-gap'
    | 'rolled-back';
  readonly present?: number;
}

/** A change that waits; `until` is when it counts, by the ledger's clock, if nobody turns it away. */
export interface Waits {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly until: number;
}

/** A value that may be put under its person's lock, and which transit key it came under. */
type Judged = Incoming & { readonly number: number };

export interface Settled {
  readonly rows: readonly SealedRow[];
  readonly held?: readonly Waits[];
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
  readonly #transit: Transit;
  readonly #holdMs: number;
  readonly #refusals = new RefusalBook();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: {
    readonly book: Book;
    readonly persons: Persons;
    readonly org: string;
    readonly transit: Transit;
    /** How long a changed number or address waits, milliseconds. */
    readonly holdMs: number;
  }) {
    this.#book = options.book;
    this.#persons = options.persons;
    this.#org = options.org;
    this.#transit = options.transit;
    this.#holdMs = options.holdMs;
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
    const held: (Waits & { readonly fresh?: RowChange })[] = [];
    const bySubject = new Map<string, Judged[]>();
    const ahead = new Map<string, number>();
    for (const arrival of arrivals) {
      const { subject, field, version } = arrival;
      const judged = this.#judge(arrival, ahead);
      if ('until' in judged) held.push({ subject, field, version, ...judged });
      else if ('code' in judged) refused.push({ subject, field, version, ...judged });
      else bySubject.set(subject, [...(bySubject.get(subject) ?? []), judged]);
    }
    const writes: Promise<unknown>[] = [this.#tellHeld(held)];
    const rows: SealedRow[] = [];
    await Promise.all(
      [...bySubject].map(async ([subject, incoming]) => {
        try {
          const put = await this.#persons.put(subject, incoming);
          for (const [i, { field, version }] of incoming.entries()) {
            const row = put[i];
            const code = this.#rows.left.has(subject) ? 'left' : 'version-taken';
            if (row === undefined) refused.push({ subject, field, version, code });
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
    writes.push(...refused.map((one) => this.#tell(one, arrivals)));
    if (rows.length > 0) {
      const detail = { rows: rows.length, refused: refused.length };
      const numbers = new Set([...bySubject.values()].flat().map((one) => one.number));
      const effects = [{ e: 'rows', change: settled } as const, ...this.#firstUses(numbers)];
      writes.push(this.#book.record('directory.settled', null, detail, effects));
    }
    await Promise.all(writes);
    return {
      rows,
      ...(refused.length === 0 ? {} : { refused }),
      ...(held.length === 0 ? {} : { held: held.map(({ fresh: _, ...one }) => one) }),
    };
  }

  #judge(
    arrival: Arrival,
    ahead: Map<string, number>,
  ): Judged | Pick<Refused, 'code' | 'present'> | { readonly until: number; readonly fresh?: RowChange } {
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
    const bytes = fromBase64url(arrival.outer);
    try {
      const { inner, number } = this.#transit.open(bytes, label);
      const outer = toBase64url(sha256(bytes));
      if (HELD.has(field) && present > 0 && version > present) {
        const waits = this.#hold({ subject, field, version, outer });
        if (waits !== undefined) return waits;
      }
      ahead.set(place, version);
      return { subject, field, version, inner, outer, number };
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      return { code: 'does-not-open' };
    }
  }

  /** That values come sealed to a key: from then on its predecessor's days are counted. */
  #firstUses(numbers: ReadonlySet<number>) {
    const at = this.#book.gate.time.now();
    return this.#rows.transit
      .filter(({ number, usedAt }) => usedAt === undefined && numbers.has(number))
      .map(({ number }) => ({ e: 'rows', change: { what: 'transit-used', number, at } }) as const);
  }

  /** A changed number or address of somebody who is known waits; undefined once its time has come, or two people let it in. */
  #hold(one: Pick<Incoming, 'subject' | 'field' | 'version' | 'outer'>) {
    const { subject, field, version, outer } = one;
    const { held } = this.#rows;
    const now = this.#book.gate.time.now();
    if (held.isCancelled(subject, field, version)) return { code: 'cancelled' } as const;
    const known = held.of(subject, field).find((waiting) => waiting.version === version);
    if (known === undefined) {
      if (this.#holdMs === 0) return undefined;
      if (held.isFull(subject, field)) return { code: 'held-full' } as const;
      const fresh: RowChange = { what: 'held', subject, field, version, outer, at: now };
      // At once, so that a second one in the same batch is judged by it.
      this.#rows.apply(fresh);
      return { until: now + this.#holdMs, fresh };
    }
    if (known.outer !== outer) return { code: 'version-taken' } as const;
    const until = known.at + this.#holdMs;
    return known.released || until <= now ? undefined : { until };
  }

  /** What waits is in memory already; the entry is written in the same turn. */
  async #tellHeld(held: readonly (Waits & { readonly fresh?: RowChange })[]): Promise<void> {
    const fresh = held.flatMap(({ fresh: change }) => (change === undefined ? [] : [change]));
    if (fresh.length === 0) return;
    const subjects = [...new Set(held.flatMap((one) => (one.fresh === undefined ? [] : [one.subject])))];
    const effects = fresh.map((change) => ({ e: 'rows', change }) as const);
    const detail = { held: fresh.length, subjects };
    await this.#book.log.write({ kind: 'change.held', actor: null, detail }, effects).written;
  }

  /** Late values are nothing unusual; all else is written down, up to a number per minute. */
  async #tell({ subject, field, code }: Refused, arrivals: readonly Arrival[]): Promise<void> {
    if (QUIET.has(code)) return;
    const more = this.#refusals.admit(this.#book.gate.time.now());
    if (more === undefined) return;
    const claimed = arrivals.find((one) => one.subject === subject && one.field === field)?.writer ?? 'nobody';
    const detail = { code, field, claimed, ...(more > 0 ? { more } : {}) };
    await this.#book.write('write.refused', null, detail, [], subject).written;
  }
}
