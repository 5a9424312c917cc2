import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { fromBase64url, sha256, toBase64url } from '#base';
import {
  type Assertion,
  challengeOf,
  type Dehydrate,
  type Hydrate,
  type Receipt,
  type SealedRow,
  type Search,
  type Searched,
  signReceipt,
} from '#seal';
import type { Book } from '../book.ts';
import { REFUSED, Refusal } from '../gate.ts';
import type { Persons } from '../persons.ts';
import type { Effect } from '../state.ts';
import { loadSecret, OPRF_KEY } from './keys.ts';
import { loadGroup } from './noble.ts';
import { Oprf } from './oprf.ts';
import { askSearch, closeSearch, openSearch, type Question, type SearchSettings } from './rules.ts';
import { TAGS, type Tag, Tags } from './tags.ts';

export interface LedgerSearchOptions {
  readonly state: string;
  readonly book: Book;
  readonly persons: Persons;
  /** The ledger's key for receipts. */
  readonly signing: KeyObject;
  readonly settings: SearchSettings;
  /** Writes a decoy's entry, freezes who asked, and throws. */
  readonly decoy: (
    read: { readonly admin: string; readonly field: Searched; readonly id: string; readonly asked: number },
    effects: readonly Effect[],
  ) => Promise<never>;
}

const FEED = 4_000;

/** The ledger's part of search: opens rows for it under a session of two people, counts, writes down, and keeps the tags. */
export class LedgerSearch {
  readonly #options: LedgerSearchOptions;
  readonly #tags: Tags;
  readonly #numbers: { readonly oprf: Oprf; readonly key: bigint } | undefined;
  /** Questions about numbers between their evaluation and their tag: grant to seq. */
  readonly #pending = new Map<string, Question>();
  /** Numbers opened for the index that were not evaluated yet: what a session may evaluate. */
  #credit = 0;
  readonly #opened = new Set<string>();

  private constructor(options: LedgerSearchOptions, tags: Tags, numbers?: { oprf: Oprf; key: bigint }) {
    this.#options = options;
    this.#tags = tags;
    this.#numbers = numbers;
  }

  /** Loads the group arithmetic only if numbers are searched here. Throws GuardError. */
  static async open(options: LedgerSearchOptions): Promise<LedgerSearch> {
    const tags = new Tags(join(options.state, TAGS));
    // After a crash between an erasure and this.
    await tags.drop([...options.book.gate.state.rows.left]);
    if (options.settings.number === undefined) return new LedgerSearch(options, tags);
    const oprf = new Oprf(await loadGroup());
    const seed = loadSecret(options.state, OPRF_KEY);
    const key = oprf.deriveKey(seed, Buffer.from('bartizan number search v1'));
    seed.fill(0);
    return new LedgerSearch(options, tags, { oprf, key });
  }

  get #gate() {
    return this.#options.book.gate;
  }

  get #state() {
    return this.#gate.state;
  }

  /** Two people open a search. */
  async hydrate(document: Hydrate, assertions: readonly Assertion[]): Promise<object> {
    const { id: approval, field, hours, requester, purpose } = document;
    let opened: ReturnType<typeof openSearch>;
    try {
      opened = openSearch(this.#gate, document, assertions, this.#options.settings);
    } catch (error) {
      return this.#options.book.refuse('approval.refused', error, { approval, op: 'hydrate', claimed: requester });
    }
    if (opened.repeated) await this.#options.book.log.flush();
    else {
      this.#credit = 0;
      this.#opened.clear();
      const detail = { approval, field, hours, signers: opened.signers, purpose };
      await this.#options.book.record('search.hydrated', requester, detail, opened.effects);
    }
    return {};
  }

  /** An administrator closes it; of numbers the tags are deleted. */
  async dehydrate(document: Dehydrate, assertion: Assertion): Promise<object> {
    let effects: readonly Effect[];
    try {
      effects = closeSearch(this.#gate, document, assertion);
    } catch (error) {
      return this.#options.book.refuse('approval.refused', error, { op: 'dehydrate', claimed: document.admin });
    }
    const { admin, field } = document;
    await this.#options.book.record('search.dehydrated', admin, { field }, effects);
    if (field === 'number') await this.#tags.clear();
    return {};
  }

  /** Whose values changed, for the sealer to go on from; numbers only as far as they have no tag yet. */
  feed(field: Searched, after: number) {
    const now = this.#gate.time.now();
    const { changes, ...rest } = this.#state.searches.feed(this.#state.rows, field, after, FEED);
    const news = changes.filter(([subject, version]) => field === 'name' || this.#tags.version(subject) !== version);
    return { changes: news, ...rest, open: this.#state.searches.open(field, now) !== undefined };
  }

  /** Deletes all tags: numbers are not to be found any more, not even by both guards together. */
  clear(): Promise<void> {
    return this.#tags.clear();
  }

  /** Deletes the tags of people who left. Erasure calls it once their locks are destroyed. */
  forget(subjects: readonly string[]): Promise<void> {
    return this.#tags.drop(subjects);
  }

  /** Opens rows for the sealer's memory or for the index: writes down how many and which, and only then opens. */
  async open(field: Searched, rows: readonly SealedRow[]) {
    const session = this.#state.searches.open(field, this.#gate.time.now());
    if (session === undefined || rows.some((row) => row.field !== field)) {
      const refusal = new Refusal('not-open', 'This search is not open. Two people open it.');
      return this.#options.book.refuse('directory.refused', refusal, { field, asked: rows.length, op: 'hydrate' });
    }
    const names = rows.map(({ subject, version }) => `${subject}:${version}`);
    const detail = {
      ...{ session: session.session, field, asked: rows.length },
      ...{
        digest: toBase64url(sha256(names.join('\n'))),
        first: rows[0]?.subject ?? '',
        last: rows.at(-1)?.subject ?? '',
      },
    };
    await this.#options.book.record('search.opened', null, detail);
    const opened = await Promise.all(
      rows.map(async (row) => {
        // A lock that was put back opens nothing; the others are not held up.
        const inner = await this.#options.persons.open(row).catch(() => undefined);
        return inner === undefined ? [] : [{ subject: row.subject, version: row.version, inner: toBase64url(inner) }];
      }),
    );
    const inner = opened.flat();
    if (this.#state.searches.open(field, this.#gate.time.now())?.session !== session.session) {
      throw new Refusal('not-open', 'This search was closed meanwhile.');
    }
    if (field === 'number') {
      for (const { subject, version } of inner) {
        const place = `${subject}:${version}`;
        if (this.#opened.has(place) || this.#tags.version(subject) === version) continue;
        this.#opened.add(place);
        this.#credit++;
      }
    }
    return { inner };
  }

  /** Evaluates for the index: no more elements than numbers were opened for it. */
  async evaluateMany(blinded: readonly string[]): Promise<{ evaluated: string[] }> {
    const numbers = this.#mustHaveNumbers();
    if (this.#state.searches.open('number', this.#gate.time.now()) === undefined || blinded.length > this.#credit) {
      const refusal = new Refusal('not-open', 'More was to be evaluated than was opened for the index.');
      return this.#options.book.refuse('directory.refused', refusal, { field: 'number', asked: 0, op: 'index' });
    }
    this.#credit -= blinded.length;
    const evaluated: string[] = [];
    for (const one of blinded) {
      evaluated.push(toBase64url(numbers.oprf.evaluate(numbers.key, fromBase64url(one))));
      await breathe();
    }
    return { evaluated };
  }

  /** Keeps tags of numbers that were opened for the index in this session, at the version that counts. */
  async tag(tags: readonly Tag[]): Promise<object> {
    const open = this.#state.searches.open('number', this.#gate.time.now()) !== undefined;
    const known = tags.filter(
      ({ subject, version }) =>
        this.#opened.has(`${subject}:${version}`) && this.#state.rows.version(subject, 'number') === version,
    );
    if (open) await this.#tags.add(known);
    return { kept: open ? known.length : 0 };
  }

  /**
   * Who of these may be shown as hits: counts and writes them down first. A typed full name finds no decoys; any other list
   * with one in it is a decoy hit.
   */
  async names(
    question: Question,
    found: { readonly full: boolean; readonly hits: readonly { readonly subject: string; readonly version: number }[] },
  ) {
    const { rows, decoys } = this.#state;
    const present = found.hits.filter(({ subject, version }) => rows.version(subject, 'name') === version);
    const gone = found.hits.filter((hit) => !present.includes(hit)).map(({ subject }) => subject);
    const people = present.map(({ subject }) => subject).sort();
    const shown = found.full ? people.filter((subject) => !decoys.has(subject)) : people;
    const asked = this.#ask(question, shown.length);
    if ('refused' in asked) return asked.refused;
    return { gone, ...(await this.#answer(question, shown, asked.effects)) };
  }

  /** One number's evaluation: counts and writes it down first. */
  async evaluate(question: Question, blinded: string): Promise<{ evaluated: string }> {
    const numbers = this.#mustHaveNumbers();
    const asked = this.#ask(question, 1);
    if ('refused' in asked) return asked.refused;
    const { search, seq } = question;
    this.#pending.set(search.id, question);
    const detail = { grant: search.id, seq, purpose: search.purpose };
    await this.#options.book.record('search.evaluated', search.admin, detail, asked.effects);
    return { evaluated: toBase64url(numbers.oprf.evaluate(numbers.key, fromBase64url(blinded))) };
  }

  /** Whose number has this tag: the other half of the question that was evaluated last under this grant. */
  async find(grant: string, seq: number, tag: string) {
    const question = this.#pending.get(grant);
    this.#pending.delete(grant);
    const { state } = this.#gate;
    if (question?.seq !== seq || state.locked('directory') || state.locked('admin', question.search.admin)) {
      throw new Refusal('refused', REFUSED);
    }
    const found = this.#tags
      .find(tag)
      .filter(({ subject, version }) => state.rows.version(subject, 'number') === version);
    const shown = found.map(({ subject }) => subject).sort();
    return this.#answer(question, shown, []);
  }

  #ask(
    { search, assertion, seq }: Question,
    hits: number,
  ): { effects: readonly Effect[] } | { refused: Promise<never> } {
    try {
      return askSearch(this.#gate, { search, assertion, seq }, Math.max(1, hits));
    } catch (error) {
      const detail = { grant: search.id, field: search.field, hits, seq, claimed: search.admin, op: 'search' };
      return { refused: this.#options.book.refuse('directory.refused', error, detail) };
    }
  }

  async #answer({ search, seq }: Question, shown: readonly string[], effects: readonly Effect[]) {
    const { id: grant, admin, field, purpose } = search;
    if (shown.some((subject) => this.#state.decoys.has(subject))) {
      return this.#options.decoy({ admin, field, id: grant, asked: shown.length }, effects);
    }
    const kind = shown.length > 0 ? 'directory.revealed' : 'directory.searched';
    const detail = { grant, field, purpose, search: seq, subjects: [...shown] };
    const entry = this.#options.book.write(kind, admin, detail, effects, shown.length === 1 ? shown[0] : undefined);
    const left = this.#left(search);
    await entry.written;
    const receipt: Receipt = signReceipt(this.#options.signing, {
      ...{ v: 1, grant, grantSha256: toBase64url(challengeOf(search)), leaf: entry.leaf },
      ...{ opened: shown, time: entry.time },
    });
    return { receipt, left };
  }

  /** What is left under this touch, and today or this hour for this admin. */
  #left({ id, cap, admin, field }: Search): { touch: number; admin: number } {
    const now = this.#gate.time.now();
    const touch = cap - (this.#state.searches.grant(id)?.count ?? 0);
    if (field === 'number') return { touch, admin: this.#state.searches.evaluationsLeft(admin, now) };
    const own = this.#state.meters.counters(now).find((one) => one.admin === admin && one.field === field);
    return { touch, admin: this.#gate.caps.namesPerDay - (own?.count ?? 0) };
  }

  #mustHaveNumbers() {
    if (this.#numbers === undefined) throw new Refusal('off', 'Numbers are not searched here.');
    return this.#numbers;
  }
}
