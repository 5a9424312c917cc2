import { type Clock, type Json, sha256, toBase64url } from '#base';
import { dataAddress, itemsDigest, type PublicKeys, verifyDeclared } from '#seal';
import type { Pool } from '#store';
import { consistent, declarationsToken, type Item, type Manifest } from '#wire';
import { Batch, ofOneRow } from './batch.ts';
import { DeclaredPermits, type Guarded, guarded, type Withheld } from './declared-permits.ts';

/** What the database says about a device that asks for its declarations. */
export interface Holding {
  /** `own`, or a refusal: `unknown`, `foreign`. */
  readonly verdict: string;
  readonly handle: string | null;
  /** Null if nothing was ever declared for the device. */
  readonly list: number | null;
  readonly token: string | null;
  readonly signature: Buffer | null;
}

/** What of a list a device is given, and what is kept from it. */
export interface Served {
  readonly manifest: Manifest;
  readonly withheld: ReadonlyMap<Item, Withheld>;
}

interface Asking {
  readonly certificate: Buffer;
  readonly udid: string;
}

interface Reporting extends Asking {
  readonly report: object;
}

/** Lists and declarations kept ready; those that were read first go first. */
const KEPT_LISTS = 256;
const KEPT_DECLARATIONS = 2_048;
const KEPT_MEMBERS = 200_000;
/** Refusals that were told; beyond this many it begins anew. */
const KEPT_TOLD = 10_000;

/**
 * Edge's side of declarative management. Nothing of the database is believed: which list a device has, what is in the list
 * and each declaration's bytes are checked against core's signatures, once for as many devices as share them. Nor is core
 * believed where a declaration is dangerous: that takes the ledger's permit, whatever core signed.
 */
export class Declared {
  readonly #pool: Pool;
  readonly #keys: PublicKeys;
  readonly #asking: Batch<Asking, Holding>;
  readonly #fetched: Batch<{ handle: string; token: string }, void>;
  readonly #reporting: Batch<Reporting, string>;
  readonly #lists = new Map<string, Manifest>();
  readonly #bodies = new Map<string, Buffer>();
  readonly #guarded = new Map<Manifest, Promise<readonly Guarded[]>>();
  readonly #members = new Set<string>();
  readonly #permits: DeclaredPermits;
  readonly #told = new Set<string>();
  /** The newest state of each list that was seen: an older one that is signed as well is not taken any more. */
  readonly #newest = new Map<number, number>();

  constructor(pool: Pool, keys: PublicKeys, clock: Clock) {
    this.#pool = pool;
    this.#keys = keys;
    this.#permits = new DeclaredPermits(pool, keys, clock);
    this.#asking = new Batch((asked) => this.#ask(asked), { most: 64, lanes: 2 });
    this.#fetched = new Batch((given) => this.#note(given), { most: 64, lanes: 1 });
    this.#reporting = new Batch((reports) => this.#take(reports), { most: 32, lanes: 1, alone: ofOneRow });
  }

  /** Who asks, and which list is his. */
  holding(certificate: Buffer, udid: string): Promise<Holding> {
    return this.#asking.ask({ certificate, udid });
  }

  /** The device's list, or why it must not be used. */
  async manifest(holding: Holding): Promise<Manifest | 'device-not-signed' | 'list-not-signed'> {
    const list = holding.list!;
    if (!this.#isMember(holding.handle!, list, holding.signature!)) return 'device-not-signed';
    const key = `${list} ${holding.token}`;
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const { rows } = await this.#pool.query<{ token: string; items: Item[]; at: number; signature: Buffer }>(
      'select * from edge.declared_list($1)',
      [list],
    );
    const row = rows[0];
    if (row === undefined) return 'list-not-signed';
    const { token, items, at, signature } = row;
    const statement = { op: 'declared-list', list, token, at, items: itemsDigest(items as unknown as Json) } as const;
    const manifest = { token, items, at };
    if (!verifyDeclared(this.#keys.core, statement, signature) || !consistent(manifest)) return 'list-not-signed';
    if (at < (this.#newest.get(list) ?? 0)) return 'list-not-signed';
    this.#newest.set(list, at);
    keep(this.#lists, `${list} ${token}`, manifest, KEPT_LISTS);
    return manifest;
  }

  /**
   * The device's list without what is dangerous and not permitted for it. The rest is served as if that had never been
   * there, with a token of its own.
   */
  async served(device: string, manifest: Manifest): Promise<Served> {
    const withheld = await this.#permits.withheld(device, await this.#guardedOf(manifest));
    if (withheld.size === 0) return { manifest, withheld };
    const items = manifest.items.filter((item) => !withheld.has(item));
    return { manifest: { ...manifest, items, token: declarationsToken(items) }, withheld };
  }

  /** Tells once of a declaration that was kept from devices, and names the first of them. */
  async tellWithheld(device: string, { identifier, token }: Item, why: Withheld): Promise<boolean> {
    const key = `${identifier} ${token} ${why}`;
    if (this.#told.has(key)) return false;
    if (this.#told.size >= KEPT_TOLD) this.#told.clear();
    this.#told.add(key);
    await this.#pool.query('select edge.declared_withheld($1, $2, $3, $4)', [device, identifier, token, why]);
    return true;
  }

  /** A declaration's bytes; undefined if there is none with this token; null if it is not signed by core. */
  async body({ identifier, token }: Item): Promise<Buffer | undefined | null> {
    const key = `${identifier} ${token}`;
    const known = this.#bodies.get(key);
    if (known !== undefined) return known;
    const { rows } = await this.#pool.query<{ body: Buffer; signature: Buffer }>(
      'select * from edge.declaration($1, $2)',
      [identifier, token],
    );
    const row = rows[0];
    if (row === undefined) return undefined;
    const statement = { op: 'declaration', identifier, token, body: toBase64url(sha256(row.body)) } as const;
    if (!verifyDeclared(this.#keys.core, statement, row.signature)) return null;
    keep(this.#bodies, key, row.body, KEPT_DECLARATIONS);
    return row.body;
  }

  /** Notes that a device was given its list. */
  given(handle: string, token: string): Promise<void> {
    return this.#fetched.ask({ handle, token });
  }

  /** Takes a status report; answers the verdict on its sender. */
  report(certificate: Buffer, udid: string, report: object): Promise<string> {
    return this.#reporting.ask({ certificate, udid, report });
  }

  async unsigned(handle: string, what: string): Promise<void> {
    await this.#pool.query('select edge.declared_unsigned($1, $2)', [handle, what]);
  }

  /** Data that a declaration points to, or undefined if it is not what the address is the hash of. */
  async data(id: string): Promise<{ type: string; content: Buffer } | undefined> {
    const { rows } = await this.#pool.query<{ content_type: string; content: Buffer; salt: Buffer }>(
      'select * from edge.declared_data($1)',
      [id],
    );
    const row = rows[0];
    if (row === undefined) return undefined;
    if (dataAddress({ type: row.content_type, content: row.content, salt: row.salt }) !== id) return undefined;
    return { type: row.content_type, content: row.content };
  }

  /** What of a list needs a permit; judged once by the bytes, for as many devices as share the list and ask together. */
  #guardedOf(manifest: Manifest): Promise<readonly Guarded[]> {
    const known = this.#guarded.get(manifest);
    if (known !== undefined) return known;
    const forget = () => void this.#guarded.delete(manifest);
    const judged = this.#judge(manifest).then(({ found, whole }) => {
      // Without signed bytes there is nothing to serve either; asked again, for they may come.
      if (!whole) forget();
      return found;
    });
    judged.catch(forget);
    keep(this.#guarded, manifest, judged, KEPT_LISTS);
    return judged;
  }

  async #judge({ items }: Manifest): Promise<{ found: readonly Guarded[]; whole: boolean }> {
    const found: Guarded[] = [];
    let whole = true;
    for (const item of items) {
      const body = await this.body(item);
      if (!body) whole = false;
      else {
        const one = guarded(item, body);
        if (one !== undefined) found.push(one);
      }
    }
    return { found, whole };
  }

  #isMember(device: string, list: number, signature: Buffer): boolean {
    const key = `${device} ${list} ${signature.toString('latin1')}`;
    if (this.#members.has(key)) return true;
    if (!verifyDeclared(this.#keys.core, { op: 'declared-device', device, list }, signature)) return false;
    if (this.#members.size >= KEPT_MEMBERS) this.#members.clear();
    this.#members.add(key);
    return true;
  }

  async #ask(asked: readonly Asking[]): Promise<Holding[]> {
    const { rows } = await this.#pool.query<Holding>('select * from edge.declared($1, $2) order by ord', [
      asked.map(({ certificate }) => certificate),
      asked.map(({ udid }) => udid),
    ]);
    return rows;
  }

  async #note(given: readonly { handle: string; token: string }[]): Promise<undefined[]> {
    // The same device twice in a batch: the last word counts, and one statement may touch a row once only.
    const last = new Map(given.map(({ handle, token }) => [handle, token]));
    await this.#pool.query('select edge.declared_fetched($1, $2)', [[...last.keys()], [...last.values()]]);
    return given.map(() => undefined);
  }

  async #take(reports: readonly Reporting[]): Promise<string[]> {
    const { rows } = await this.#pool.query<{ verdict: string }>(
      'select ord, verdict from edge.take_statuses($1) order by ord',
      [
        JSON.stringify(
          reports.map(({ certificate, udid, report }) => ({ certificate: certificate.toString('hex'), udid, report })),
        ),
      ],
    );
    return rows.map(({ verdict }) => verdict);
  }
}

function keep<K, T>(map: Map<K, T>, key: K, value: T, most: number): void {
  if (map.size >= most) map.delete(map.keys().next().value!);
  map.set(key, value);
}
