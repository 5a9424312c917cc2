import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fromBase64url, toBase64url } from '#base';
import {
  type Assertion,
  type Field,
  type GuardClient,
  GuardError,
  orgKeyStatement,
  type RotateKey,
  type RowLabel,
  type SealedRow,
  sealInner,
  signBody,
  type ThirdState,
  underThird,
  withThird,
} from '#seal';
import type { Gate } from './gate.ts';
import { Refusal } from './gate.ts';
import { loadKey } from './keys.ts';
import { type OrgKeys, publicBytes } from './org-keys.ts';
import type { Sealer } from './sealer.ts';

interface InnerValue {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly inner: string;
}

type Named = Omit<InnerValue, 'inner'>;

const named = ({ subject, field, version }: Named): Named => ({ subject, field, version });
const sameValue = (a: Named, b: Named): boolean =>
  a.subject === b.subject && a.field === b.field && a.version === b.version;

const LEDGER_MS = 60_000;

/** The sealer's part in changing the organisation's key: stage, put in force, seal anew, destroy. */
export class Resealing {
  readonly #org: string;
  readonly #ledger: GuardClient;
  readonly #sealer: Sealer;
  readonly #keys: OrgKeys;
  readonly #signing: KeyObject | undefined;

  constructor(options: {
    readonly org: string;
    readonly state: string;
    readonly credentials?: string;
    readonly ledger: GuardClient;
    readonly sealer: Sealer;
    readonly keys: OrgKeys;
  }) {
    this.#org = options.org;
    this.#ledger = options.ledger;
    this.#sealer = options.sealer;
    this.#keys = options.keys;
    const { state, credentials } = options;
    const given = credentials !== undefined && existsSync(join(credentials, 'signing.key'));
    this.#signing =
      given || existsSync(join(state, 'signing.key')) ? loadKey(state, 'signing', 'ed25519', credentials) : undefined;
  }

  /** The key in force as this guard vouches for it; undefined while it is the founding one. */
  get notice() {
    const { statement } = this.#keys;
    if (statement === undefined || this.#signing === undefined) return undefined;
    return { statement, signature: signBody(this.#signing, statement) };
  }

  /** The next key, worth nothing yet: what two people are asked to put in force. Throws GuardError `busy`, `no-source`. */
  async stage(): Promise<{ number: number; key: string; previous: string; source: string; third?: string }> {
    this.#mustSign();
    const { number, key, source } = await this.#keys.stage();
    const { third } = this.#keys;
    return { number, key, previous: this.#keys.current.key, source, ...(third === undefined ? {} : { third }) };
  }

  /**
   * Two people put the staged key in force. A source that does not give the key now leaves everything as it was; asking again
   * with the same document then goes on. Throws Refusal, GuardError `waiting`, `wrong-key`.
   */
  async promote(document: RotateKey, assertions: readonly Assertion[]): Promise<object> {
    this.#mustSign();
    const { gate } = this.#sealer;
    const { id, number, key, previous, requester } = document;
    const inForce = this.#keys.statement?.approval === id;
    if (!(gate.seen(document) && (inForce || document.notAfter > gate.time.now()))) {
      await this.#mustBeMade(document.third);
      let approved: ReturnType<Gate['approve']>;
      try {
        if (!this.#keys.isStaged(number, key, previous)) {
          throw new Refusal('refused', 'This document is not about the key that is staged here.');
        }
        const { third } = this.#keys;
        if (third !== undefined && document.third !== third) {
          throw new Refusal('refused', 'This document would take the third lock off.');
        }
        approved = gate.approve(document, assertions);
      } catch (error) {
        return this.#sealer.refuse('approval.refused', error, { approval: id, op: 'rotate-key', claimed: requester });
      }
      await this.#sealer.keep(approved.effects);
    }
    if (!inForce && !this.#keys.isStaged(number, key, previous)) {
      throw new GuardError('refused', 'This document is not about the key that is staged here.');
    }
    await this.#keys.promote(orgKeyStatement(this.#org, document));
    if (document.third !== undefined) gate.state.closeSearches();
    return { notice: this.notice };
  }

  /**
   * Seals rows anew to the key in force. The plain values stay in here. `current` names rows that were under it already, which
   * the ledger writes down; `broken` those that open with no key. With no rows it asks whether the old key can go.
   */
  async reseal(rows: readonly SealedRow[]) {
    const { current, old } = this.#keys;
    if (old === undefined) return { number: current.number, rows: [], current: [], broken: [], long: 0, retired: true };
    this.#keys.mustHaveBoth();
    if (rows.length === 0) return this.#retire();
    const { number } = current;
    const { inner, found: seen } = await this.#ledger.call<{ inner: InnerValue[]; found: Named[] }>(
      'rotate',
      { number, rows },
      { timeoutMs: LEDGER_MS },
    );
    // Rows of past versions and of people without a lock open for nobody: they are not asked for again.
    const closed = rows.filter((row) => ![...inner, ...seen].some((one) => sameValue(one, row))).map(named);
    const opened = await this.#keys.open(
      inner.map((value) => ({ inner: fromBase64url(value.inner), label: { org: this.#org, ...named(value) } })),
      { oldFirst: true },
    );
    const values: InnerValue[] = [];
    const found: Named[] = [];
    const broken: Named[] = [];
    const long: Named[] = [];
    for (const [i, value] of inner.entries()) {
      const one = opened[i];
      if (one === undefined) broken.push(named(value));
      else if (one.under === number) found.push(named(value));
      else {
        const label = { org: this.#org, ...named(value) };
        one.padded = this.#underThird(one.padded, label, long);
        values.push({ ...named(value), inner: toBase64url(sealInner(publicBytes(current), one.padded, label)) });
      }
      one?.padded.fill(0);
    }
    if (inner.length === 0) return { number, rows: [], current: seen, broken: closed, long: 0, retired: false };
    // What opens with no key is nobody's any more: it must not keep the old key alive for ever.
    const answer = await this.#ledger.call<{ rows: SealedRow[] }>(
      'rotated',
      { number, values, found: [...found, ...broken] },
      { timeoutMs: LEDGER_MS },
    );
    const [now, shut] = [
      [...seen, ...found],
      [...broken, ...closed],
    ];
    return { number, rows: answer.rows, current: now, broken: shut, long: long.length, retired: false };
  }

  /**
   * The ledger would not follow to a third lock that nobody proposed there, and one guard alone in front could not go on: so it is
   * asked first. Throws GuardError.
   */
  async #mustBeMade(third: string | undefined): Promise<void> {
    if (third === undefined || third === this.#keys.third) return;
    const { made } = await this.#ledger.call<Pick<ThirdState, 'made'>>('third', {});
    if (!made.includes(third))
      throw new GuardError('refused', 'Nobody proposed this third lock. Make one on glass first.');
  }

  /** A value that is too long for the third lock stays as it was, and is counted: nothing is lost. */
  #underThird(padded: Buffer, label: RowLabel, long: Named[]): Buffer {
    const { third } = this.#keys;
    if (third === undefined || !underThird(label.field)) return padded;
    const locked = withThird(third, label, padded);
    if (locked === undefined) long.push(named(label));
    return locked ?? padded;
  }

  async #retire() {
    const { number } = this.#keys.current;
    const answer = await this.#ledger.call<{ retired: boolean; left: number; waitMs: number }>(
      'retire',
      { number },
      { timeoutMs: LEDGER_MS },
    );
    if (answer.retired) {
      await this.#keys.retire(number - 1);
      if (this.#sealer.gate.state.locked('directory')) this.#keys.wipe();
    }
    return { number, rows: [], current: [], broken: [], long: 0, ...answer };
  }

  #mustSign(): void {
    if (this.#signing !== undefined) return;
    throw new GuardError(
      'not-founded',
      'This installation was founded without a signing key of the sealer: its key is not changed.',
    );
  }
}
