import type { Assertion, BreakGlass, CancelRaise, EnrolKey, LockNow, Refound, RosterChange } from '#seal';
import { GuardError } from '#seal';
import { Council } from './council.ts';
import type { Detail, REFUSAL_KINDS } from './entries.ts';
import type { Follower } from './follower.ts';
import { type Gate, hashOf } from './gate.ts';
import type { RosterRoom } from './roster-doors.ts';
import { rosterView } from './roster-view.ts';
import type { Effect } from './state.ts';

interface Ways {
  readonly follower: Follower;
  /** Applies effects at once and resolves when they are on disk. */
  readonly keep: (effects: readonly Effect[]) => Promise<void>;
  /** Forgets the organisation's key, at once. */
  readonly wipe: () => void;
  readonly refuse: (kind: (typeof REFUSAL_KINDS)[number], error: unknown, detail: Detail) => Promise<never>;
}

/**
 * The sealer's side of what changes the roster. Changes are taken in the ledger's order (`Follower`); what cuts off, locks and
 * stopped raises, takes effect here at once, whatever the ledger does.
 */
export class SealerRoster implements RosterRoom {
  readonly #gate: Gate;
  readonly #council: Council;
  readonly #ways: Ways;

  constructor(gate: Gate, ways: Ways) {
    this.#gate = gate;
    this.#council = new Council(gate);
    this.#ways = ways;
  }

  view() {
    const { version, digest, breakGlass } = rosterView(this.#gate);
    return { version, digest, breakGlass: breakGlass.state };
  }

  /** Takes the ledger's changes up to this one. Throws GuardError `outdated` if the ledger has not taken it. */
  async change(document: RosterChange): Promise<object> {
    await this.#ways.follower.catchUp();
    return this.#taken(document);
  }

  async refound(document: Refound): Promise<object> {
    await this.#ways.follower.catchUp();
    return this.#taken(document);
  }

  #taken({ roster }: { readonly roster: number }): object {
    const { version } = this.#gate.state.roster;
    if (version <= roster) throw new GuardError('outdated', 'The ledger has not taken this change.');
    return { version };
  }

  async lock(document: LockNow, assertion: Assertion): Promise<object> {
    const { scope, target, requester } = document;
    return this.#cut({ op: 'lock', scope, target, claimed: requester }, () => {
      const judged = this.#council.lock(document, assertion);
      if (scope === 'directory') this.#ways.wipe();
      return judged;
    });
  }

  async cancelRaise(document: CancelRaise, assertion: Assertion): Promise<object> {
    await this.#ways.follower.catchUp().catch(() => {});
    const detail = { op: 'cancel-raise', claimed: document.requester };
    return this.#cut(detail, () => this.#council.cancelRaise(document, assertion));
  }

  async breakGlass(document: BreakGlass, assertions: readonly Assertion[]): Promise<object> {
    await this.#ways.follower.catchUp();
    if (this.#gate.state.used.get(document.id)?.sha256 === hashOf(document)) return {};
    const detail = { op: 'break-glass', opening: document.id };
    return this.#cut(detail, () => this.#council.breakGlass(document, assertions));
  }

  /** A sealed key's registration; undefined if the link is none of theirs. Throws Refusal. */
  async enrolSealed(document: EnrolKey, assertion: Assertion): Promise<{ admin: string; role: string } | undefined> {
    const enrolled = this.#council.enrolSealed(document, assertion);
    if (enrolled === undefined) return undefined;
    await this.#ways.keep(enrolled.effects);
    return { admin: enrolled.name, role: 'sealed' };
  }

  async #cut(detail: Detail, judge: () => { effects: readonly Effect[] }): Promise<object> {
    let effects: readonly Effect[];
    try {
      ({ effects } = judge());
    } catch (error) {
      return this.#ways.refuse('account.refused', error, detail);
    }
    await this.#ways.keep(effects);
    return {};
  }
}
