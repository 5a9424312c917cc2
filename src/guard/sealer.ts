import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, canonicalJson, fromBase64url, type Json, type Logger, toBase64url } from '#base';
import {
  type Assertion,
  type Caps,
  CHANNEL_FIELD,
  challengeOf,
  type EnrolKey,
  type Grant,
  type GuardClient,
  GuardError,
  hpkeSeal,
  type Invite,
  type LockScope,
  type Ordered,
  openInner,
  type Receipt,
  SealError,
  type SealedRow,
  type Unlock,
  unpadValue,
  verifyReceipt,
} from '#seal';
import type { Detail, REFUSAL_KINDS } from './entries.ts';
import { makeFolder, writeDurably } from './files.ts';
import { Gate, Refusal } from './gate.ts';
import { loadKey, makeKey, publicText } from './keys.ts';
import type { Founder } from './ledger.ts';
import { judgeMessage, orderedHash } from './message-gate.ts';
import { messageDetail } from './messages.ts';
import type { Effect } from './state.ts';

export interface SealerOptions {
  readonly org: string;
  /** Private folder. */
  readonly state: string;
  /** Glass's origin. */
  readonly origin: string;
  readonly caps: Caps;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ed25519 SPKI of the ledger, base64url: whose receipts count. */
  readonly ledgerKey: string;
  readonly ledger: GuardClient;
  /** Raw X25519 of edge, base64url: the only key that devices' secrets are sealed to. */
  readonly releaseKey: string;
  /** Raw X25519 of courier and Ed25519 SPKI of core, base64url; without the first no message is sent. */
  readonly courierKey?: string;
  readonly coreKey?: string;
}

const REVEAL_INFO = 'bartizan reveal v1';
const MESSAGE_INFO = 'bartizan courier v1';
const unavailable = () => new GuardError('unavailable', 'The ledger cannot be asked. Nothing is opened without it.');

/** Makes the organisation's key and pins the founders. Once only. Returns the public key. */
export async function foundSealer(state: string, founders: readonly Founder[]): Promise<{ inner: string }> {
  const key = await makeKey(state, 'organisation', 'x25519');
  makeFolder(state, 0o700);
  const effects = founders.map((founder): Effect => ({ e: 'founder', ...founder }));
  await writeDurably(join(state, 'pinned.json'), JSON.stringify({ v: 1, effects }));
  return { inner: publicText(key) };
}

/** The first guard: holds the organisation's private key and no data. Verifies and meters on its own. */
export class Sealer {
  readonly gate: Gate;
  readonly #options: SealerOptions;
  readonly #key: KeyObject;
  /** What must outlive this process: founders, invitations, keys, locks, approvals used. Charges are the ledger's to keep. */
  readonly #pinned: Effect[];
  #storing: Promise<void> = Promise.resolve();
  #synced: Promise<void> | undefined;

  /** Opens a founded sealer. Throws GuardError `not-founded` if its key or its pinned roster is missing. */
  constructor(options: SealerOptions) {
    this.#options = options;
    this.#key = loadKey(options.state, 'organisation', 'x25519');
    const path = join(options.state, 'pinned.json');
    if (!existsSync(path)) throw new GuardError('not-founded', 'The pinned roster is missing. Restore it.');
    this.#pinned = (JSON.parse(readFileSync(path, 'utf8')) as { effects: Effect[] }).effects;
    this.gate = new Gate(options);
    this.gate.state.apply(this.#pinned);
  }

  /**
   * One reveal: verify and charge here, let the ledger verify, charge, record and take its layer off, check its
   * receipt, open the inner layer, seal everything to the browser that touched the passkey.
   */
  async reveal(grant: Grant, assertion: Assertion, rows: readonly SealedRow[]) {
    let effects: readonly Effect[];
    await this.#ready();
    try {
      effects = this.gate.reveal(grant, assertion);
    } catch (error) {
      const { id, field, subjects } = grant;
      const detail = { grant: id, field, asked: subjects.length, claimed: grant.admin };
      return this.#refuse('directory.refused', error, detail);
    }
    this.gate.state.apply(effects);
    this.gate.state.prune(this.gate.time.now());
    const answer = await this.#options.ledger.call<{ inner: { subject: string; inner: string }[]; receipt: Receipt }>(
      'open',
      { grant, assertion, rows },
    );
    const { receipt } = answer;
    this.#mustFit(receipt, answer.inner, grant.id, toBase64url(challengeOf(grant)));
    return this.#sealToBrowser(grant, rows, answer.inner, receipt);
  }

  /**
   * One message: judge and charge here, let the ledger judge, charge, record and open, and seal the addresses to courier's
   * key. `silent` are those that courier must not write to.
   */
  async message(message: Ordered, assertions: readonly Assertion[], rows: readonly SealedRow[]) {
    const { courierKey, coreKey } = this.#options;
    if (courierKey === undefined) throw new GuardError('unavailable', 'This installation has no courier.');
    await this.#ready();
    let judged: ReturnType<typeof judgeMessage>;
    try {
      judged = judgeMessage(this.gate, coreKey, message, assertions, rows);
    } catch (error) {
      return this.#refuse('message.refused', error, messageDetail(message, rows.length));
    }
    this.gate.state.apply(judged.effects);
    const { inner, receipt, silent } = await this.#options.ledger.call<{
      inner: { subject: string; inner: string }[];
      receipt: Receipt;
      silent: string[];
    }>('message', { message, assertions, rows });
    this.#mustFit(receipt, inner, message.id, orderedHash(message));
    const to = { field: CHANNEL_FIELD[message.channel], browserKey: courierKey };
    return this.#sealToBrowser(to, rows, inner, receipt, { info: MESSAGE_INFO, more: { silent } });
  }

  /** Nothing is opened before the day's charges are known. */
  async #ready(): Promise<void> {
    try {
      await this.sync();
    } catch {
      throw unavailable();
    }
  }

  #mustFit(receipt: Receipt, inner: readonly { subject: string }[], id: string, sha256: string): void {
    const fits =
      verifyReceipt(this.#options.ledgerKey, receipt) &&
      receipt.grant === id &&
      receipt.grantSha256 === sha256 &&
      receipt.opened.join() === inner.map((one) => one.subject).join();
    if (!fits) throw new GuardError('refused', 'The ledger gave no valid receipt. Nothing is opened without one.');
  }

  #sealToBrowser(
    grant: Pick<Grant, 'field' | 'browserKey'>,
    rows: readonly SealedRow[],
    inner: readonly { subject: string; inner: string }[],
    receipt: Receipt,
    { info, more }: { info: string; more: object } = { info: REVEAL_INFO, more: {} },
  ) {
    const versions = new Map(rows.map((row) => [row.subject, row.version]));
    const values: { [subject: string]: string } = {};
    for (const one of inner) {
      const version = versions.get(one.subject);
      if (version === undefined) continue;
      const label = { org: this.#options.org, subject: one.subject, field: grant.field, version };
      try {
        const padded = openInner(this.#key, fromBase64url(one.inner), label);
        values[one.subject] = unpadValue(padded, grant.field);
        padded.fill(0);
      } catch (error) {
        // A row that somebody else sealed badly must not hide the others.
        if (!(error instanceof SealError)) throw error;
      }
    }
    const plaintext = Buffer.from(canonicalJson({ values, ...more }));
    const aad = Buffer.from(canonicalJson(receipt as unknown as Json));
    const sealed = hpkeSeal(fromBase64url(grant.browserKey), plaintext, { info, aad });
    plaintext.fill(0);
    return { enc: toBase64url(sealed.subarray(0, 32)), ct: toBase64url(sealed.subarray(32)), receipt };
  }

  async enrol(document: EnrolKey, assertion: Assertion) {
    let enrolled: ReturnType<Gate['enrol']>;
    try {
      enrolled = this.gate.enrol(document, assertion);
    } catch (error) {
      return this.#refuse('account.refused', error, { op: 'enrol-key' });
    }
    await this.#keep(enrolled.effects);
    return { admin: enrolled.key.admin, role: enrolled.key.role };
  }

  async decide(document: Unlock | Invite, assertions: readonly Assertion[]): Promise<object> {
    let decided: ReturnType<Gate['decide']>;
    try {
      decided = this.gate.decide(document, assertions);
    } catch (error) {
      const kind = document.op === 'unlock' ? 'approval.refused' : 'account.refused';
      return this.#refuse(kind, error, { approval: document.id, op: document.op, claimed: document.requester });
    }
    await this.#keep(decided.effects);
    return {};
  }

  async lock(scope: LockScope, target: string, reason: string): Promise<object> {
    if (this.gate.state.locked(scope, target)) await this.#storing;
    else await this.#keep([{ e: 'lock', scope, target, reason }]);
    return {};
  }

  async status() {
    const locked = [...this.gate.state.locks.values()].map(({ scope, target }) => ({ scope, target }));
    const ledger = await this.#options.ledger.call('spent', {}, { timeoutMs: 1_000 }).then(
      () => true,
      () => false,
    );
    return { locked, ledger };
  }

  /** Asks the ledger for what was spent today; until that has worked once, nothing is opened. */
  async sync(): Promise<void> {
    this.#synced ??= this.#sync();
    try {
      await this.#synced;
    } catch (error) {
      this.#synced = undefined;
      throw error;
    }
  }

  async #sync(): Promise<void> {
    const { time, effects } = await this.#options.ledger.call<{ time: number; effects: readonly Effect[] }>(
      'spent',
      {},
    );
    this.gate.time.see(time);
    // Roster changes reach this guard through signatures only, never through the other guard.
    const taken = effects.filter(({ e }) => e === 'charge' || e === 'used' || e === 'lock' || e === 'message');
    this.gate.state.apply(taken);
  }

  /** Applies effects at once and answers when they are on disk. */
  #keep(effects: readonly Effect[]): Promise<void> {
    if (effects.length === 0) return this.#storing;
    this.gate.state.apply(effects);
    this.#pinned.push(...effects);
    const stored = this.#storing.then(() => {
      const now = this.gate.time.now();
      const kept = compact(this.#pinned, now);
      this.#pinned.splice(0, this.#pinned.length, ...kept);
      return writeDurably(join(this.#options.state, 'pinned.json'), JSON.stringify({ v: 1, effects: kept }));
    });
    // A failed write is told to its caller; the next one writes everything again.
    this.#storing = stored.catch(() => {});
    return stored;
  }

  async #refuse(kind: (typeof REFUSAL_KINDS)[number], error: unknown, detail: Detail): Promise<never> {
    if (!(error instanceof Refusal)) throw error;
    const cap = error.cap === undefined ? {} : { cap: error.cap };
    try {
      await this.#options.ledger.call('note', {
        kind,
        admin: error.admin ?? null,
        detail: { ...detail, code: error.code, ...cap },
      });
    } catch {
      this.#options.logger.warn('a refusal could not be recorded', { code: error.code });
    }
    throw error;
  }
}

/** Drops what no longer matters: expired document ids, locks that were lifted. Order is kept. */
function compact(effects: readonly Effect[], now: number): Effect[] {
  return effects.filter((effect, i) => {
    if (effect.e === 'used') return effect.notAfter >= now;
    if (effect.e === 'unlock') return false;
    if (effect.e !== 'lock') return true;
    const { scope, target } = effect;
    return !effects.slice(i).some((one) => one.e === 'unlock' && one.scope === scope && one.target === target);
  });
}
