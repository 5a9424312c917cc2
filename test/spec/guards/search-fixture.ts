import assert from 'node:assert/strict';
import { canonicalJson, fromBase64url, type Json, uuidv7 } from '#base';
import type { SearchSettings } from '#guard';
import {
  ANSWER_INFO,
  type Assertion,
  type Caps,
  type Dehydrate,
  type Found,
  type GuardClient,
  type Hydrate,
  hpkeOpen,
  hpkeSealAuth,
  padQuery,
  QUERY_INFO,
  queryAad,
  type Receipt,
  type SealedRow,
  type Search,
  type Searched,
  verifyReceipt,
} from '#seal';
import { ADMINS, type Browser, Guards, newBrowser, touch } from './fixture.ts';

export interface Status {
  readonly key: string;
  readonly searches: readonly {
    readonly field: Searched;
    readonly until?: number;
    readonly known?: number;
    readonly bytes?: number;
    readonly complete?: boolean;
    readonly wants?: readonly string[];
  }[];
}

/** What one touch gives: as a page would hold it. */
export interface Touched {
  readonly browser: Browser;
  readonly search: Search;
  readonly assertion: Assertion;
}

export interface Sent extends Pick<Touched, 'search' | 'assertion'> {
  readonly seq: number;
  readonly enc: string;
  readonly ct: string;
}

/** Guards with search, glass's place between them and the database, and pages that ask. */
export class SearchGuards {
  readonly guards: Guards;
  readonly glass: GuardClient;
  /** The database: ciphertext by field and subject. */
  readonly rows = new Map<string, SealedRow>();
  readonly #key: string;

  private constructor(guards: Guards, glass: GuardClient, key: string) {
    this.guards = guards;
    this.glass = glass;
    this.#key = key;
  }

  static async start(
    caps: Partial<Caps> = {},
    settings: SearchSettings = { name: { hours: 12 }, number: { hours: 12 } },
  ): Promise<SearchGuards> {
    const guards = await Guards.start(caps, 0, undefined, settings);
    const glass = guards.client('sealer', 'glass');
    const { key } = await glass.call<Status>('search-status', {});
    return new SearchGuards(guards, glass, key);
  }

  close = () => this.guards.close();

  async people(values: Readonly<Record<string, string>>, field: Searched = 'name', version = 1): Promise<void> {
    for (const row of await this.guards.settle(values, field, version)) this.rows.set(`${field}|${row.subject}`, row);
  }

  decoys(handles: readonly string[]): Promise<object> {
    return this.guards.client('ledger', 'intake').call('decoys', { handles });
  }

  hydrate(field: Searched = 'name', more: Partial<Hydrate> = {}): Hydrate {
    return {
      ...{ v: 1, op: 'hydrate', id: uuidv7(), field, hours: 8, requester: ADMINS[0] },
      ...{ purpose: 'a test of the search', notAfter: this.guards.clock() + 3_600_000 },
      ...more,
    };
  }

  /** Two people open a search at both guards, as glass hands it on. */
  async open(document = this.hydrate(), signers: readonly number[] = [0, 1], withinMs = 20_000): Promise<void> {
    const body = { document, assertions: signers.map((n) => touch(this.guards.passkey(n), document)) };
    await this.glass.call('hydrate', body);
    await this.guards.client('ledger', 'glass').call('hydrate', body);
    await this.fill(document.field, this.glass, withinMs);
  }

  async shut(field: Searched = 'name', n = 0): Promise<void> {
    const document: Dehydrate = {
      ...{ v: 1, op: 'dehydrate', id: uuidv7(), admin: ADMINS[n]!, field, notAfter: this.guards.clock() + 300_000 },
    };
    const body = { document, assertion: touch(this.guards.passkey(n), document) };
    await this.glass.call('dehydrate', body);
    await this.guards.client('ledger', 'glass').call('dehydrate', body);
  }

  async status(field: Searched = 'name') {
    const { searches } = await this.glass.call<Status>('search-status', {});
    return searches.find((one) => one.field === field)!;
  }

  /** Brings what the sealer wants until it wants nothing, as glass does. */
  async fill(field: Searched = 'name', glass = this.glass, withinMs = 20_000): Promise<void> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const { wants = [], complete } = await this.status(field);
      if (complete === true && wants.length === 0) return;
      if (wants.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
      else {
        const rows = wants.flatMap((subject) => this.rows.get(`${field}|${subject}`) ?? []);
        await glass.call('hydrate-rows', { field, subjects: wants, rows }, { timeoutMs: 30_000 });
      }
      assert.ok(Date.now() < deadline, 'the search was filled in time');
    }
  }

  /** One touch. */
  touch(field: Searched = 'name', more: Partial<Search> = {}, n = 0): Touched {
    const browser = newBrowser();
    const search: Search = {
      ...{ v: 1, op: 'search', id: uuidv7(), admin: ADMINS[n]!, field, cap: this.guards.caps.perTouch },
      ...{ purpose: 'a test of the search', notAfter: this.guards.clock() + 300_000, browserKey: browser.publicKey },
      ...more,
    };
    return { browser, search, assertion: touch(this.guards.passkey(n), search) };
  }

  /** A question as the page seals it. */
  seal({ browser, search, assertion }: Touched, query: string, seq: number): Sent {
    const context = { info: QUERY_INFO, aad: queryAad(search, seq) };
    const box = hpkeSealAuth(fromBase64url(this.#key), browser.key, padQuery(Buffer.from(query)), context);
    const [enc, ct] = [box.subarray(0, 32), box.subarray(32)].map((part) => part.toString('base64url'));
    return { search, assertion, seq, enc: enc!, ct: ct! };
  }

  async send(touched: Touched, sent: Sent, glass = this.glass): Promise<Found & { receipt: Receipt; size: number }> {
    const answer = await glass.call<{ enc: string; ct: string; receipt: Receipt }>('search', sent);
    return { ...this.read(touched, answer), receipt: answer.receipt, size: answer.ct.length };
  }

  read({ browser }: Touched, answer: { enc: string; ct: string; receipt: Receipt }): Found {
    assert.ok(verifyReceipt(this.guards.keys.ledger, answer.receipt));
    const sealed = Buffer.concat([fromBase64url(answer.enc), fromBase64url(answer.ct)]);
    const aad = Buffer.from(canonicalJson(answer.receipt as unknown as Json));
    return JSON.parse(hpkeOpen(browser.key, sealed, { info: ANSWER_INFO, aad }).toString()) as Found;
  }

  /** One touch, one question. */
  async ask(query: string, field: Searched = 'name', n = 0): Promise<Found & { receipt: Receipt; size: number }> {
    const touched = this.touch(field, {}, n);
    return this.send(touched, this.seal(touched, query, 1));
  }

  /** The guards' own entries. */
  async entries() {
    const core = this.guards.client('ledger', 'core');
    const all: { kind: string; actor: string | null; subject?: string; detail: Record<string, unknown> }[] = [];
    for (let after = 0; ; ) {
      const { entries, next } = await core.call<{ entries: typeof all; next: number }>('tail', { after, waitMs: 0 });
      if (entries.length === 0) return all;
      all.push(...entries);
      after = next;
    }
  }
}
