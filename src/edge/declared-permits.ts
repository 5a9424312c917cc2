import { type Clock, sha256, toBase64url } from '#base';
import { type DeclarePermit, EVERY_DEVICE, membersDigest, type PublicKeys, verifyDeclarePermit } from '#seal';
import type { Pool } from '#store';
import { bodyDangers, type Item } from '#wire';
import { Batch } from './batch.ts';

/** A declaration that no device may have without a permit: what a permit for it has to name. */
export interface Guarded {
  readonly item: Item;
  /** base64url SHA-256 of the exact bytes. */
  readonly body: string;
}

/** Why a device is not given a dangerous declaration. */
export type Withheld = 'permit-missing' | 'permit-expired' | 'permit-overtaken';

interface Known {
  readonly permit: DeclarePermit;
  /** Null for every device. */
  readonly members: ReadonlySet<string> | null;
  /** When this process learned of it. */
  readonly since: number;
}

/** How long devices may take to move from one permit to the next that was signed for the same declaration. */
const GRACE_MS = 10 * 60_000;
/** How long what is known may stand before the database is asked for something newer. */
const FRESH_MS = 5_000;
const MOST_NAMES = 4_096;

/** What a declaration's bytes say of it: undefined if one person may declare it. */
export function guarded(item: Item, body: Uint8Array): Guarded | undefined {
  return bodyDangers(body).length === 0 ? undefined : { item, body: toBase64url(sha256(body)) };
}

/**
 * The ledger's permits for dangerous declarations. A row is a permit only by the ledger's signature over these bytes and
 * these devices. Whatever was seen once is remembered: an older permit is worth nothing beside a newer one for the same
 * declaration and device, even if the newer row is gone.
 */
export class DeclaredPermits {
  readonly #pool: Pool;
  readonly #keys: PublicKeys;
  readonly #clock: Clock;
  readonly #known = new Map<string, Map<string, Known>>();
  readonly #asked = new Map<string, number>();
  readonly #loading: Batch<readonly string[], void>;

  constructor(pool: Pool, keys: PublicKeys, clock: Clock) {
    this.#pool = pool;
    this.#keys = keys;
    this.#clock = clock;
    this.#loading = new Batch((all) => this.#load(all), { most: 256, lanes: 1 });
  }

  /** Why each of these must not be served to this device; what is not named may be. */
  async withheld(device: string, wanted: readonly Guarded[]): Promise<ReadonlyMap<Item, Withheld>> {
    if (wanted.length === 0) return new Map();
    const now = this.#clock();
    const names = wanted.map(({ item }) => item.identifier);
    let fresh = names.every((name) => now - (this.#asked.get(name) ?? -FRESH_MS) < FRESH_MS);
    for (;;) {
      if (!fresh) await this.#loading.ask(names);
      const found = wanted.flatMap((one): [Item, Withheld][] => {
        const why = this.#judge(device, one, now);
        return why === undefined ? [] : [[one.item, why]];
      });
      // What is missing may just have been permitted.
      if (found.length === 0 || !fresh) return new Map(found);
      fresh = false;
    }
  }

  #judge(device: string, { item, body }: Guarded, now: number): Withheld | undefined {
    const theirs = [...(this.#known.get(item.identifier)?.values() ?? [])].filter(
      ({ members }) => members === null || members.has(device),
    );
    const fits = ({ permit }: Known) =>
      permit.declarations.some(
        (one) => one.identifier === item.identifier && one.token === item.token && one.body === body,
      );
    const fitting = theirs.filter(fits);
    if (fitting.length === 0) return 'permit-missing';
    const lasting = fitting.filter(({ permit }) => permit.until > now);
    if (lasting.length === 0) return 'permit-expired';
    const newest = lasting.reduce((a, b) => (a.permit.notAfter >= b.permit.notAfter ? a : b));
    const overtaken = theirs.some(
      (other) =>
        other.permit.notAfter > newest.permit.notAfter &&
        other.permit.until > now &&
        // Devices that are on their way from the one to the other; whoever learns of both at once takes the newer.
        (other.since <= newest.since || other.since < now - GRACE_MS),
    );
    return overtaken ? 'permit-overtaken' : undefined;
  }

  /** One question for all that asked together. */
  async #load(all: readonly (readonly string[])[]): Promise<undefined[]> {
    const now = this.#clock();
    const names = [...new Set(all.flat())];
    const { rows } = await this.#pool.query<{ permit: DeclarePermit; handles: string[] }>(
      'select * from edge.declared_permits($1)',
      [names],
    );
    for (const row of rows) this.#learn(row.permit, row.handles, now);
    if (this.#asked.size > MOST_NAMES) this.#asked.clear();
    for (const name of names) this.#asked.set(name, now);
    return all.map(() => undefined);
  }

  #learn(permit: DeclarePermit, handles: readonly string[], now: number): void {
    // What stands in the row may be anything; it must not keep others' permits from being learned.
    if (typeof permit !== 'object' || permit === null) return;
    const { signature, declarations } = permit;
    const names = Array.isArray(declarations) ? declarations.map((one) => one?.identifier) : [];
    if (typeof signature !== 'string' || names.every((name) => this.#known.get(name)?.has(signature))) return;
    if (!verifyDeclarePermit(this.#keys.ledger, permit)) return;
    const everyone = permit.devices === EVERY_DEVICE;
    if (!everyone && membersDigest(handles) !== permit.devices) return;
    const known: Known = { permit, members: everyone ? null : new Set(handles), since: now };
    for (const name of names) {
      const others = this.#known.get(name) ?? new Map<string, Known>();
      if (!others.has(signature)) others.set(signature, known);
      this.#known.set(name, others);
    }
  }
}
