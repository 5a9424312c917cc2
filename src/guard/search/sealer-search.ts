import type { KeyObject } from 'node:crypto';
import { fromBase64url, type Logger, toBase64url } from '#base';
import {
  type Assertion,
  type Dehydrate,
  type GuardClient,
  GuardError,
  type Hydrate,
  hpkeOpenAuth,
  MOST_HITS,
  QUERY_INFO,
  queryAad,
  queryBox,
  rawPublic,
  SEARCHED,
  type SealedRow,
  type Searched,
  unpadQuery,
} from '#seal';
import type { Detail } from '../entries.ts';
import { type Gate, Refusal } from '../gate.ts';
import { loadKey } from '../keys.ts';
import type { Effect } from '../state.ts';
import { type Answered, sealAnswer } from './answer.ts';
import { loadSecret, QUERY_KEY, TAG_KEY } from './keys.ts';
import { NameMemory } from './name-memory.ts';
import { loadGroup } from './noble.ts';
import { isE164, Numbers } from './numbers.ts';
import { type Opened, type OpenInner, openRows } from './opened.ts';
import { Oprf } from './oprf.ts';
import { askedBy, askSearch, closeSearch, openSearch, type Question, type SearchSettings } from './rules.ts';
import { Wanted } from './wanted.ts';

export interface SealerSearchOptions {
  readonly org: string;
  readonly state: string;
  readonly gate: Gate;
  readonly ledger: GuardClient;
  /** Whose receipts count. */
  readonly ledgerKey: string;
  readonly logger: Logger;
  readonly settings: SearchSettings;
  readonly openInner: OpenInner;
  /** Applies effects at once and answers when they are on disk. */
  readonly keep: (effects: readonly Effect[]) => Promise<void>;
  /** Has a refusal written down, and throws it. */
  readonly refuse: (kind: 'directory.refused' | 'approval.refused', error: unknown, detail: Detail) => Promise<never>;
  /** Resolves once this guard knows what was spent today. */
  readonly synced: () => Promise<void>;
  /** Throws where nothing here can read names and numbers. */
  readonly mayRead: () => void;
}

export interface SealedQuestion extends Question {
  readonly enc: string;
  readonly ct: string;
}

const POLL_MS = 1_000;

/** The sealer's part of search: names in memory while the search is open, and its half of every number's tag. */
export class SealerSearch {
  readonly #options: SealerSearchOptions;
  readonly #key: KeyObject;
  readonly #tagKey: Buffer;
  /** Where numbers are searched. */
  readonly #numbers: Numbers | undefined;
  readonly #names = new NameMemory();
  readonly #wanted: { readonly [field in Searched]: Wanted };
  readonly #poll: NodeJS.Timeout;

  private constructor(options: SealerSearchOptions, oprf: Oprf | undefined) {
    this.#options = options;
    this.#key = loadKey(options.state, QUERY_KEY, 'x25519');
    this.#tagKey = loadSecret(options.state, TAG_KEY);
    if (oprf !== undefined) this.#numbers = new Numbers(options.ledger, oprf, this.#tagKey);
    this.#wanted = { name: new Wanted(options.ledger, 'name'), number: new Wanted(options.ledger, 'number') };
    const { searches } = options.gate.state;
    searches.onClosed = (field) => this.#closed(field);
    this.#poll = setInterval(() => void this.look(), POLL_MS);
    this.#poll.unref();
  }

  /** Loads the group arithmetic only if numbers are searched here. Throws GuardError. */
  static async open(options: SealerSearchOptions): Promise<SealerSearch> {
    const oprf = options.settings.number === undefined ? undefined : new Oprf(await loadGroup());
    return new SealerSearch(options, oprf);
  }

  get #searches() {
    return this.#options.gate.state.searches;
  }

  /** What glass and the console show, and whose rows glass is to bring. */
  status() {
    const now = this.#options.gate.time.now();
    const fields = SEARCHED.filter((field) => this.#options.settings[field] !== undefined);
    return {
      key: toBase64url(rawPublic(this.#key)),
      searches: fields.map((field) => {
        const session = this.#searches.open(field, now);
        const known = field === 'name' ? { known: this.#names.size, bytes: this.#names.bytes } : {};
        const hours = this.#options.settings[field]!.hours;
        if (session === undefined) return { field, hours };
        return { field, hours, until: session.until, ...known, ...this.#wanted[field].status(field) };
      }),
    };
  }

  async hydrate(document: Hydrate, assertions: readonly Assertion[]): Promise<object> {
    this.#options.mayRead();
    let opened: ReturnType<typeof openSearch>;
    try {
      opened = openSearch(this.#options.gate, document, assertions, this.#options.settings);
    } catch (error) {
      const { id: approval, op, requester: claimed } = document;
      return this.#options.refuse('approval.refused', error, { approval, op, claimed });
    }
    await this.#options.keep(opened.effects);
    return {};
  }

  async dehydrate(document: Dehydrate, assertion: Assertion): Promise<object> {
    let effects: readonly Effect[];
    try {
      effects = closeSearch(this.#options.gate, document, assertion);
    } catch (error) {
      return this.#options.refuse('approval.refused', error, { op: document.op, claimed: document.admin });
    }
    await this.#options.keep(effects);
    return {};
  }

  /** Takes rows that were asked for: the ledger opens its layer, ours is opened here. `subjects`: whose rows were looked for. */
  async take(field: Searched, subjects: readonly string[], rows: readonly SealedRow[]): Promise<{ taken: number }> {
    const session = this.#session(field);
    this.#wanted[field].done(subjects);
    const opened: Opened[] = [];
    try {
      await openRows({ ...this.#options, field, rows }, opened);
      // Closed meanwhile: what was opened is forgotten.
      if (this.#session(field).session !== session.session) return { taken: 0 };
      if (field === 'number') await this.#numbers?.index(opened);
      else for (const { subject, version, value } of opened) this.#names.put(subject, version, value);
    } finally {
      for (const one of opened) one.wipe();
    }
    return { taken: opened.length };
  }

  /** Answers one question under a touch, sealed to the browser that asked. */
  async search(question: SealedQuestion) {
    try {
      await this.#options.synced();
    } catch {
      throw new GuardError('unavailable', 'The ledger cannot be asked. Nothing is searched without it.');
    }
    const { search, seq } = question;
    let effects: readonly Effect[];
    let names: ReturnType<NameMemory['find']> | undefined;
    let query: Buffer | undefined;
    try {
      // The touch first: nothing of what a stranger sends is opened.
      const { admin } = askedBy(this.#options.gate, search, question.assertion);
      this.#mustBeOn(search.field, admin);
      query = this.#openQuery(question, admin);
      if (search.field === 'name') names = this.#names.find(query, Math.min(MOST_HITS, search.cap));
      effects = askSearch(this.#options.gate, question, Math.max(1, names?.hits.length ?? 1)).effects;
      this.#options.gate.state.apply(effects);
    } catch (error) {
      query?.fill(0);
      for (const { name } of names?.hits ?? []) name.fill(0);
      const detail = { grant: search.id, field: search.field, seq, claimed: search.admin, op: 'search' };
      return this.#options.refuse('directory.refused', error, detail);
    }
    try {
      return names === undefined ? await this.#byNumber(question, query) : await this.#byName(question, names);
    } finally {
      query.fill(0);
      for (const { name } of names?.hits ?? []) name.fill(0);
    }
  }

  /** Ends with the process. */
  close(): void {
    clearInterval(this.#poll);
    this.#names.wipe();
    this.#tagKey.fill(0);
  }

  async #byName({ search, assertion, seq }: SealedQuestion, names: ReturnType<NameMemory['find']>) {
    const hits = names.hits.map(({ subject, version }) => ({ subject, version }));
    const answer = await this.#options.ledger.call<Answered & { gone: readonly string[] }>('search-names', {
      ...{ search, assertion, seq, full: names.full, hits },
    });
    for (const subject of answer.gone) this.#names.forget(subject);
    const named = new Map(names.hits.map(({ subject, name }) => [subject, name]));
    return sealAnswer({ ledgerKey: this.#options.ledgerKey, search, seq, answer, more: names.more, names: named });
  }

  async #byNumber(question: SealedQuestion, query: Buffer) {
    const { search, seq } = question;
    const answer = await this.#numbers!.find(question, query);
    return sealAnswer({ ledgerKey: this.#options.ledgerKey, search, seq, answer, more: false, names: undefined });
  }

  #openQuery({ search, seq, enc, ct }: SealedQuestion, admin: string): Buffer {
    let query: Buffer;
    try {
      const context = { info: QUERY_INFO, aad: queryAad(search, seq) };
      query = unpadQuery(hpkeOpenAuth(this.#key, fromBase64url(search.browserKey), queryBox({ enc, ct }), context));
    } catch {
      throw new Refusal('refused', 'This question was not sealed by the browser that was touched.', admin);
    }
    if (search.field === 'number' && !isE164(query)) {
      throw new Refusal('query', 'Type the whole number as +, country and number.', admin);
    }
    if (search.field === 'name' && query.length < 2) throw new Refusal('query', 'Type at least two letters.', admin);
    return query;
  }

  #mustBeOn(field: Searched, admin: string): void {
    const on = this.#options.settings[field] !== undefined;
    // Tags stay when the index is closed; names do not.
    const open = field === 'number' || this.#searches.open(field, this.#options.gate.time.now()) !== undefined;
    if (!on || !open) throw new Refusal('not-open', 'This search is not open. Two people open it.', admin);
  }

  #session(field: Searched) {
    const session = this.#searches.open(field, this.#options.gate.time.now());
    if (session === undefined) throw new Refusal('not-open', 'This search is not open. Two people open it.');
    return session;
  }

  #closed(field: Searched): void {
    this.#wanted[field].reset();
    if (field === 'name') this.#names.wipe();
  }

  /** Asks the ledger who is new and who has gone, while something is open; what its time is over closes. */
  async look(): Promise<void> {
    for (const field of SEARCHED) {
      if (this.#searches.open(field, this.#options.gate.time.now()) === undefined) continue;
      try {
        // Of numbers the ledger tells those only that have no tag yet.
        const { open, gone } = await this.#wanted[field].look((subject) =>
          field === 'name' ? this.#names.version(subject) : undefined,
        );
        if (field === 'name') for (const subject of gone) this.#names.forget(subject);
        // The ledger closed it: by a lock that has not reached this guard yet.
        if (!open) await this.#options.keep([{ e: 'search', change: { what: 'closed', field } }]);
      } catch {
        this.#options.logger.warn('the ledger could not be asked who is new', { field });
      }
    }
  }
}
