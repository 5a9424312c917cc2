import { createECDH, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes, fromBase64url, type Logger, sha256, toBase64url } from '#base';
import { hpkeSeal, publicOf } from '#seal';
import { KeeperError } from './error.ts';
import { Collection, type QuorumKey, splitBox } from './quorum.ts';
import { KeyService } from './service.ts';
import type { KeySettings } from './settings.ts';
import { Token } from './token.ts';

type Kept =
  | { readonly source: 'pkcs11'; readonly key: string; readonly id: string }
  | { readonly source: 'kms'; readonly key: string; readonly wrapped: string }
  /** `fetched`: the operator has had the shares; until then they are in memory alone. */
  | ({ readonly source: 'quorum'; readonly fetched: boolean } & QuorumKey);

const KEEPER_INFO = 'bartizan keeper v1';
/** A box: nonce 12, secret 32, tag 16. Only the sealer opens it. */
export const BOX_BYTES = 60;

/**
 * Speaks to what the sealer must not speak to: tokens' foreign libraries, key services over the network, people with shares.
 * It never has a key: tokens keep theirs, and what services and people bring is a box that only the sealer opens.
 *
 * Crash points. The record is replaced as a whole before the sealer is answered; a token's key that is in no record is
 * worthless. Shares and boxes are in memory only: after a restart people bring their shares again, and shares of a new key that were
 * not fetched are lost with it, so that key is made anew.
 */
export class Keeper {
  readonly #file: string;
  readonly #settings: KeySettings;
  readonly #log: Logger;
  readonly #token: Token | undefined;
  readonly #service: KeyService | undefined;
  readonly #collections = new Map<string, Collection>();
  /** Shares of a new key, until the operator has fetched them. */
  readonly #fresh = new Map<string, readonly string[]>();
  #kept: readonly Kept[];

  /** `state`: the keeper's private folder. */
  constructor(options: {
    readonly state: string;
    readonly settings: KeySettings;
    readonly log: Logger;
    readonly timeoutMs?: number;
  }) {
    const { state, settings, timeoutMs } = options;
    mkdirSync(state, { recursive: true, mode: 0o700 });
    this.#file = join(state, 'kept.json');
    this.#settings = settings;
    this.#log = options.log;
    this.#token = settings.pkcs11 === undefined ? undefined : new Token(settings.pkcs11);
    this.#service =
      settings.kms === undefined
        ? undefined
        : new KeyService(settings.kms, timeoutMs === undefined ? {} : { timeoutMs });
    this.#kept = existsSync(this.#file) ? (JSON.parse(readFileSync(this.#file, 'utf8')) as { keys: Kept[] }).keys : [];
  }

  /** Makes a P-256 key in the token. */
  async make(number: number): Promise<{ key: string }> {
    const made = await this.#tokenOrFail().make(`bartizan organisation ${number}`);
    const key = toBase64url(made.key);
    await this.#write([...this.#kept, { source: 'pkcs11', key, id: made.id }]);
    this.#log.info('a key was made in the token', { number });
    return { key };
  }

  /** Keeps the sealer's box: wrapped by the key service, or split into shares that the operator fetches once. */
  async keep(source: 'kms' | 'quorum', key: string, box: Buffer): Promise<object> {
    if (source === 'kms') {
      if (this.#service === undefined) throw new KeeperError('unknown-key', 'No key service is set up.');
      const wrapped = await this.#service.wrap(box, key);
      await this.#write([...this.#kept, { source, key, wrapped }]);
    } else {
      const { quorum } = this.#settings;
      if (quorum === undefined) throw new KeeperError('unknown-key', 'No quorum is set up.');
      const texts = await splitBox(box, key, quorum.shares, quorum.of);
      const check = toBase64url(sha256(box));
      await this.#write([...this.#kept, { source, key, ...quorum, check, fetched: false }]);
      this.#fresh.set(key, texts);
    }
    box.fill(0);
    return {};
  }

  /** The box of a key, sealed to the sealer's key of the moment. Throws KeeperError `waiting`, `unreachable`, `refused`. */
  async take(key: string, to: string): Promise<{ sealed: string }> {
    const kept = this.#find(key);
    let box: Buffer | undefined;
    if (kept.source === 'kms' && this.#service !== undefined) box = await this.#service.unwrap(kept.wrapped, key);
    if (kept.source === 'quorum') {
      if (this.#fresh.has(key)) throw new KeeperError('waiting', 'The new shares have not been fetched yet.');
      box = this.#collections.get(key)?.hand();
      if (box === undefined) throw new KeeperError('waiting', 'Shares are missing.');
    }
    if (box === undefined) throw new KeeperError('unknown-key', 'The source of this key is not set up here.');
    const sealed = hpkeSeal(fromBase64url(to), box, { info: KEEPER_INFO, aad: fromBase64url(key) });
    box.fill(0);
    return { sealed: toBase64url(sealed) };
  }

  /** Whether the token has this very key: it derives what only the key's holder can. Throws KeeperError `wrong-key`. */
  async prove(key: string): Promise<object> {
    const probe = createECDH('prime256v1');
    probe.generateKeys();
    const [secret] = await this.#derive(key, [probe.getPublicKey()]);
    if (!equalBytes(secret!, probe.computeSecret(fromBase64url(key)))) {
      throw new KeeperError('wrong-key', 'The token has another key than the one that was made in it.');
    }
    return {};
  }

  async derive(key: string, points: readonly string[]): Promise<{ secrets: string[] }> {
    const secrets = await this.#derive(
      key,
      points.map((point) => fromBase64url(point)),
    );
    return { secrets: secrets.map((secret) => toBase64url(secret)) };
  }

  async #derive(key: string, points: readonly Uint8Array[]): Promise<Buffer[]> {
    const kept = this.#find(key);
    if (kept.source !== 'pkcs11') throw new KeeperError('unknown-key', 'This key is in no token.');
    // A point that is not on the curve must not reach a token: it could tell of the key.
    for (const point of points) publicOf(point);
    const secrets: Buffer[] = [];
    for (const point of points) secrets.push(await this.#tokenOrFail().derive(kept.id, point));
    return secrets;
  }

  /** Whether the key can still be had: shares of a new key that were lost before anybody fetched them cannot. */
  has(key: string): { has: boolean } {
    const kept = this.#kept.find((one) => one.key === key);
    return { has: kept !== undefined && (kept.source !== 'quorum' || kept.fetched || this.#fresh.has(key)) };
  }

  /** Removes what is kept of a key: from the token, or the wrapped box. Shares that people hold are theirs to destroy. */
  async destroy(key: string): Promise<object> {
    const kept = this.#kept.find((one) => one.key === key);
    if (kept === undefined) return {};
    if (kept.source === 'pkcs11') await this.#tokenOrFail().destroy(kept.id);
    this.#collections.get(key)?.wipe();
    this.#collections.delete(key);
    this.#fresh.delete(key);
    await this.#write(this.#kept.filter((one) => one.key !== key));
    return {};
  }

  /** One person's share. Throws KeeperError `share`. */
  async share(text: string): Promise<{ have: number; need: number; complete: boolean }> {
    const keys = this.#kept.filter((one) => one.source === 'quorum');
    const key = keys.find((one) => Collection.fits(text, one));
    if (key === undefined) throw new KeeperError('share', 'This share is of no key that is waited for.');
    const collection = this.#collections.get(key.key) ?? new Collection(key);
    this.#collections.set(key.key, collection);
    await collection.take(text);
    return { have: collection.have, need: key.shares, complete: collection.complete };
  }

  /** The shares of a new key, once. */
  async fetch(): Promise<{ shares: readonly string[]; need: number }> {
    const [first] = this.#fresh;
    if (first === undefined) throw new KeeperError('share', 'There are no new shares to fetch.');
    const [key, shares] = first;
    const kept = this.#find(key);
    await this.#write(
      this.#kept.map((one) => (one === kept && one.source === 'quorum' ? { ...one, fetched: true } : one)),
    );
    this.#fresh.delete(key);
    this.#log.info('the shares of a new key were fetched', { shares: shares.length });
    return { shares, need: kept.source === 'quorum' ? kept.shares : shares.length };
  }

  /** How many shares are here and needed, for the key that is the farthest from being there; no key is named. */
  waiting(): { none: true } | { have: number; need: number; complete: boolean } {
    const open = this.#kept.flatMap((kept) => {
      if (kept.source !== 'quorum' || !kept.fetched) return [];
      const collection = this.#collections.get(kept.key);
      return [{ have: collection?.have ?? 0, need: kept.shares, complete: collection?.complete ?? false }];
    });
    return open.sort((a, b) => a.have - a.need - (b.have - b.need))[0] ?? { none: true };
  }

  status() {
    const keys = this.#kept.map((kept) => {
      if (kept.source !== 'quorum') return { key: kept.key, source: kept.source };
      const { key, shares, of } = kept;
      const have = this.#collections.get(key)?.have ?? 0;
      return { key, source: 'quorum', need: shares, of, have, fresh: this.#fresh.has(key) };
    });
    return { keys };
  }

  #find(key: string): Kept {
    const kept = this.#kept.find((one) => one.key === key);
    if (kept === undefined) throw new KeeperError('unknown-key', 'Nothing is kept for this key.');
    return kept;
  }

  #tokenOrFail(): Token {
    if (this.#token === undefined) throw new KeeperError('token', 'No token is set up.');
    return this.#token;
  }

  async #write(kept: readonly Kept[]): Promise<void> {
    const temporary = `${this.#file}.${randomBytes(4).toString('hex')}`;
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify({ v: 1, keys: kept }));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#file);
    this.#kept = kept;
  }
}
