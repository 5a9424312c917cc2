import {
  type Assertion,
  type BreakGlass,
  type CancelRaise,
  credentialDigest,
  type EnrolKey,
  type LockNow,
  QUORUM_CAPS,
  type Refound,
  type RosterChange,
} from '#seal';
import type { Book } from './book.ts';
import { Council } from './council.ts';
import type { Detail, Kind } from './entries.ts';
import { hashOf } from './gate.ts';
import type { Decree } from './roster-state.ts';

const KIND: { readonly [A in RosterChange['change']['act']]: Kind } = {
  'add-key': 'roster.changed',
  'remove-key': 'roster.changed',
  'remove-admin': 'roster.changed',
  role: 'roster.changed',
  threshold: 'roster.changed',
  caps: 'caps.changed',
  'break-glass': 'breakglass.registered',
  review: 'breakglass.reviewed',
};

/** Most changes that one answer tells the sealer. */
const PAGE = 100;

/** The ledger's side of what changes the roster: judged, written down, then in effect; kept for the sealer to follow. */
export class RosterActs {
  readonly #book: Book;
  readonly #council: Council;

  constructor(book: Book) {
    this.#book = book;
    this.#council = new Council(book.gate);
  }

  /** Asking again for a change that was made answers its version again. Throws Refusal. */
  async change(document: RosterChange, assertions: readonly Assertion[]): Promise<{ version: number }> {
    const { gate } = this.#book;
    const { id: approval, change, requester, purpose } = document;
    if (gate.seen(document)) {
      await this.#book.log.flush();
      return { version: document.roster + 1 };
    }
    const about = this.#about(change);
    let changed: ReturnType<Council['change']>;
    try {
      changed = this.#council.change(document, assertions);
    } catch (error) {
      return this.#book.refuse('account.refused', error, { approval, op: 'roster', ...about, claimed: requester });
    }
    const { signers, effects } = changed;
    const detail = { approval, ...about, version: document.roster + 1, signers, purpose };
    const decree: Decree = { document, assertions, time: gate.time.now() };
    await this.#book.record(KIND[change.act], requester, detail, [...effects, { e: 'decree', decree }]);
    return { version: document.roster + 1 };
  }

  /** Handles, counts and digests of what is changed, as the log keeps them for ever. */
  #about(change: RosterChange['change']): Detail {
    const { act } = change;
    switch (act) {
      case 'add-key':
      case 'remove-admin':
        return { act, admin: change.admin };
      case 'role':
        return { act, admin: change.admin, role: change.role };
      case 'remove-key': {
        const admin = this.#book.gate.state.keys.get(change.credential)?.admin ?? null;
        return { act, admin, credential: credentialDigest(change.credential) };
      }
      case 'threshold':
        return { act, threshold: change.threshold };
      case 'caps': {
        const present = this.#book.gate.caps;
        const raised = QUORUM_CAPS.filter((cap) => change.caps[cap] > present[cap]);
        const lowered = QUORUM_CAPS.filter((cap) => change.caps[cap] < present[cap]);
        return { act, caps: { ...change.caps }, raised, lowered };
      }
      case 'break-glass':
        return { act };
      case 'review':
        return { act, opening: change.opening, verdict: change.verdict };
      default:
        return change satisfies never;
    }
  }

  async lock(document: LockNow, assertion: Assertion): Promise<object> {
    const { scope, target, purpose: reason } = document;
    try {
      const { admin, effects } = this.#council.lock(document, assertion);
      if (effects.length === 0) await this.#book.log.flush();
      else await this.#book.record('lock.on', admin, { scope, target, reason, touched: 'yes' }, effects);
      return {};
    } catch (error) {
      return this.#book.refuse('account.refused', error, { op: 'lock', scope, target, claimed: document.requester });
    }
  }

  async cancelRaise(document: CancelRaise, assertion: Assertion): Promise<object> {
    try {
      const { admin, effects } = this.#council.cancelRaise(document, assertion);
      const stopped = Object.keys(this.#book.gate.state.roster.raises);
      await this.#book.record('caps.raise_stopped', admin, { stopped, purpose: document.purpose }, effects);
      return {};
    } catch (error) {
      return this.#book.refuse('account.refused', error, { op: 'cancel-raise', claimed: document.requester });
    }
  }

  async breakGlass(document: BreakGlass, assertions: readonly Assertion[]): Promise<object> {
    const { id: opening, purpose, drill } = document;
    if (this.#book.gate.state.used.get(opening)?.sha256 === hashOf(document)) {
      await this.#book.log.flush();
      return {};
    }
    try {
      const { names, effects } = this.#council.breakGlass(document, assertions);
      const kind = drill ? 'breakglass.drilled' : 'breakglass.opened';
      await this.#book.record(kind, names[0]!, { opening, names, purpose }, effects);
      return { names };
    } catch (error) {
      return this.#book.refuse('account.refused', error, { op: 'break-glass', opening });
    }
  }

  async refound(document: Refound, signature: string): Promise<object> {
    const { gate } = this.#book;
    const { id: approval, roster, founders, purpose } = document;
    if (gate.state.used.has(approval)) {
      await this.#book.log.flush();
      return {};
    }
    try {
      const { effects } = this.#council.refound(document, signature);
      const detail = { approval, version: roster + 1, founders: founders.map(({ admin }) => admin), purpose };
      const decree: Decree = { document, signature, time: gate.time.now() };
      await this.#book.record('roster.refounded', null, detail, [...effects, { e: 'decree', decree }]);
      return {};
    } catch (error) {
      return this.#book.refuse('account.refused', error, { op: 'refound', approval });
    }
  }

  /** A sealed key's registration; undefined if the link is none of theirs. */
  async enrolSealed(document: EnrolKey, assertion: Assertion): Promise<{ admin: string; role: string } | undefined> {
    let enrolled: ReturnType<Council['enrolSealed']>;
    try {
      enrolled = this.#council.enrolSealed(document, assertion);
    } catch (error) {
      return this.#book.refuse('account.refused', error, { op: 'enrol-key' });
    }
    if (enrolled === undefined) return undefined;
    const { name, effects } = enrolled;
    const { credential } = document;
    const decree: Decree = { document, assertions: [assertion], time: this.#book.gate.time.now() };
    if (effects.length === 0) await this.#book.log.flush();
    else {
      const all = [...effects, { e: 'decree', decree } as const];
      await this.#book.record('account.key_enrolled', name, { role: 'sealed', credential, founding: false }, all);
    }
    return { admin: name, role: 'sealed' };
  }

  /** What changed the roster from the `after`th change on, for the sealer, which judges each by itself. */
  async decrees(after: number): Promise<{ decrees: readonly Decree[] }> {
    // What is not on disk yet has not happened.
    await this.#book.log.flush();
    return { decrees: this.#book.gate.state.roster.decrees.slice(after, after + PAGE) };
  }
}
