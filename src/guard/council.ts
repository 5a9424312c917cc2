import { fromBase64url, sha256, toBase64url } from '#base';
import {
  type Assertion,
  BREAK_GLASS_MS,
  type BreakGlass,
  type CancelRaise,
  CUSTODIANS,
  checkBody,
  type EnrolKey,
  type LockNow,
  QUORUM_CAPS,
  type QuorumCap,
  type QuorumCaps,
  type Refound,
  type RosterChange,
  SEALED_KEYS,
  verifyAssertion,
} from '#seal';
import { type Gate, GRANT_LIFE, hashOf, INVITE_LIFE, REFUSED, RESERVED, Refusal } from './gate.ts';
import type { SealedKey, Waiting } from './roster-state.ts';
import { locksOut, standing } from './standing.ts';
import type { Effect } from './state.ts';
import { DAY, HOUR } from './time.ts';

/** How long after the ledger took a change the sealer still takes it. */
const LATE = 30 * DAY;

/** The rules by which the roster itself changes; each guard holds them with its own memory. Nothing here awaits. */
export class Council {
  readonly #gate: Gate;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** A change by as many people as the roster says. `at`: when the ledger took it, for the guard that follows. Throws Refusal. */
  change(
    document: RosterChange,
    assertions: readonly Assertion[],
    at?: number,
  ): { signers: readonly string[]; effects: Effect[] } {
    const { state } = this.#gate;
    this.#notTooLate(at);
    const approved = this.#gate.approve(document, assertions, { at });
    if (document.roster !== state.roster.version) {
      throw new Refusal('outdated', 'The roster was changed since this was asked for. Ask again.');
    }
    approved.effects.push({ e: 'version', version: document.roster + 1 }, ...this.#act(document, at));
    return approved;
  }

  #act({ change }: RosterChange, followed?: number): Effect[] {
    const { state, time } = this.#gate;
    const leave = () => this.#mustLeaveEnough(change, followed);
    const [at, lived] = [time.now(), time.lived()];
    const keys = [...state.keys.values()];
    const whose = (admin: string) => {
      const found = keys.find((key) => key.admin === admin);
      if (found === undefined) throw new Refusal('refused', 'This admin is not on the roster.');
      return found;
    };
    switch (change.act) {
      case 'add-key': {
        const { admin, tokenSha256 } = change;
        if (state.tokens.has(tokenSha256)) throw new Refusal('used', 'This token was used before.');
        const { role } = whose(admin);
        return [{ e: 'invite', admin, role, tokenSha256, until: at + INVITE_LIFE, further: true }];
      }
      case 'remove-key': {
        if (!state.keys.has(change.credential)) throw new Refusal('refused', 'This passkey is not on the roster.');
        leave();
        return [{ e: 'gone', credential: change.credential }];
      }
      case 'remove-admin':
        whose(change.admin);
        leave();
        return [{ e: 'gone-admin', admin: change.admin }];
      case 'role':
        if (whose(change.admin).role === change.role) throw new Refusal('refused', 'This admin has that role already.');
        leave();
        return [{ e: 'role', admin: change.admin, role: change.role, at, lived }];
      case 'threshold':
        leave();
        return [{ e: 'threshold', threshold: change.threshold }];
      case 'caps':
        return [this.#caps(change.caps, at, lived)];
      case 'break-glass': {
        if (new Set(change.tokens).size !== change.tokens.length)
          throw new Refusal('refused', 'A token is named twice.');
        const names = [...SEALED_KEYS, ...CUSTODIANS];
        return [{ e: 'seal', tokens: change.tokens.map((tokenSha256, i) => ({ name: names[i]!, tokenSha256 })) }];
      }
      case 'review':
        if (state.roster.opening?.id !== change.opening || state.roster.reviewed) {
          throw new Refusal('refused', 'No opening of this id waits for a review.');
        }
        return [{ e: 'reviewed' }];
      default:
        return change satisfies never;
    }
  }

  #mustLeaveEnough(change: RosterChange['change'], followed: number | undefined): void {
    const { state, time } = this.#gate;
    // The guard that follows may have stood still meanwhile; its own running time must not part it from the other.
    const lived = followed === undefined ? time.lived() : Number.POSITIVE_INFINITY;
    const [now, threshold] = [time.now(), state.roster.threshold];
    const takes = { before: threshold, after: change.act === 'threshold' ? change.threshold : threshold };
    if (locksOut(standing(state, now, lived), standing(state, now, lived, change), takes)) {
      throw new Refusal(
        'lock-out',
        `After this fewer than ${takes.after + 1} administrators could sign. Invite another first and wait 72 hours.`,
      );
    }
  }

  /** Down at once, up a day later; what was asked for earlier and is not asked for higher keeps its time. */
  #caps(wanted: QuorumCaps, at: number, lived: number): Effect {
    const present = this.#gate.caps;
    const before = this.#gate.state.roster.raises;
    const set = {} as Record<QuorumCap, number>;
    const raises: { [cap in QuorumCap]?: Waiting } = {};
    for (const cap of QUORUM_CAPS) {
      set[cap] = Math.min(wanted[cap], present[cap]);
      if (wanted[cap] <= present[cap]) continue;
      const earlier = before[cap];
      raises[cap] =
        earlier !== undefined && wanted[cap] <= earlier.to
          ? { ...earlier, to: wanted[cap] }
          : { to: wanted[cap], at, lived };
    }
    return { e: 'caps', set, raises };
  }

  /** One administrator stops what waits to be raised. Limits that were raised already stay. Throws Refusal. */
  cancelRaise(document: CancelRaise, assertion: Assertion): { admin: string; effects: Effect[] } {
    const { state } = this.#gate;
    const key = this.#one(document, assertion);
    if (key.role !== 'administrator') throw new Refusal('refused', 'This takes an administrator.', key.admin);
    if (document.roster !== state.roster.version)
      throw new Refusal('outdated', 'The roster was changed since.', key.admin);
    const present = this.#gate.caps;
    if (Object.keys(state.roster.raises).length === 0)
      throw new Refusal('refused', 'No limit waits to be raised.', key.admin);
    const set = Object.fromEntries(QUORUM_CAPS.map((cap) => [cap, present[cap]])) as unknown as QuorumCaps;
    return {
      admin: key.admin,
      effects: [this.#used(document), { e: 'caps', set, raises: {} }, ...this.#gate.touched([assertion])],
    };
  }

  /** One touch of anybody on the roster locks. Asking again for a lock that is on changes nothing. Throws Refusal. */
  lock(document: LockNow, assertion: Assertion): { admin: string; effects: Effect[] } {
    const key = this.#one(document, assertion);
    const { scope, target, purpose: reason } = document;
    if (this.#gate.state.locked(scope, target)) return { admin: key.admin, effects: [] };
    return {
      admin: key.admin,
      effects: [this.#used(document), { e: 'lock', scope, target, reason }, ...this.#gate.touched([assertion])],
    };
  }

  #one(document: LockNow | CancelRaise, assertion: Assertion) {
    const { state, time } = this.#gate;
    const key = this.#gate.signer(document, assertion);
    if (key.admin !== document.requester) throw new Refusal('refused', REFUSED, key.admin);
    this.#gate.mustBeOpen(key, document.id);
    this.#gate.fresh(document, GRANT_LIFE, time.now(), key.admin);
    if (state.used.has(document.id)) throw new Refusal('used', 'This document was used before.', key.admin);
    return key;
  }

  /** A sealed key or a custodian's passkey registers itself. Undefined if the link is none of theirs. Throws Refusal. */
  enrolSealed(document: EnrolKey, assertion: Assertion, at?: number): { name: string; effects: Effect[] } | undefined {
    const { state, time } = this.#gate;
    const tokenSha256 = toBase64url(sha256(fromBase64url(document.token)));
    const name = state.roster.sealTokens.get(tokenSha256);
    if (name === undefined) return undefined;
    this.#gate.fresh(document, GRANT_LIFE, at ?? time.now());
    this.#gate.proves(document, assertion);
    const { credential, publicKey } = document;
    const usedBy = state.roster.sealedTokensUsed.get(tokenSha256);
    if (usedBy !== undefined) {
      if (usedBy === credential) return { name, effects: [] };
      throw new Refusal('used', 'This link was used before.');
    }
    if (state.keys.has(credential) || state.roster.sealed.has(credential)) {
      throw new Refusal('refused', 'This passkey is registered already.');
    }
    const key: SealedKey = { name, credential, publicKey, since: time.now() };
    return { name, effects: [{ e: 'sealed-key', key, tokenSha256 }] };
  }

  /** Two custodians and at least one sealed key: open for an hour, once. A drill proves the same and opens nothing. Throws Refusal. */
  breakGlass(document: BreakGlass, assertions: readonly Assertion[]): { names: readonly string[]; effects: Effect[] } {
    const { state, time, origin } = this.#gate;
    const { roster } = state;
    const [now, lived] = [time.now(), time.lived()];
    this.#gate.fresh(document, GRANT_LIFE, now);
    const touched = new Map<string, SealedKey>();
    for (const assertion of assertions) {
      const key = roster.sealed.get(assertion.credential);
      if (key === undefined) throw new Refusal('refused', REFUSED);
      try {
        verifyAssertion({ assertion, document, publicKey: key.publicKey, origin });
      } catch {
        throw new Refusal('refused', REFUSED);
      }
      touched.set(key.name, key);
    }
    const names = [...touched.keys()].sort();
    const sealed = [...touched.values()].filter(({ name }) => (SEALED_KEYS as readonly string[]).includes(name));
    const custodians = names.length - sealed.length;
    if (sealed.length === 0) throw new Refusal('refused', 'No sealed key was touched.');
    if (custodians < 2) throw new Refusal('two-people', 'This needs two of the three custodians.');
    if (state.used.has(document.id)) throw new Refusal('used', 'This opening was used before.');
    if (roster.opening !== undefined && !roster.registered) {
      throw new Refusal('used', 'These keys were opened before. Register a new pair.');
    }
    const used = this.#used(document);
    if (document.drill) return { names, effects: [used, { e: 'drill', at: now }] };
    if (!roster.reviewed) throw new Refusal('refused', 'The last opening was not reviewed yet.');
    const credentials = sealed.map((key) => key.credential);
    return { names, effects: [used, { e: 'open', id: document.id, credentials, until: now + BREAK_GLASS_MS, lived }] };
  }

  /** The recovery key makes the roster anew; only where one was pinned at founding. Throws Refusal. */
  refound(document: Refound, signature: string, at?: number): { effects: Effect[] } {
    const { state, org, time } = this.#gate;
    const { recovery, version } = state.roster;
    this.#notTooLate(at);
    if (recovery === undefined) throw new Refusal('refused', 'This installation was founded without a recovery key.');
    if (!checkBody(recovery, document, signature)) throw new Refusal('refused', REFUSED);
    if (document.org !== org) throw new Refusal('refused', 'This document is for another organisation.');
    this.#gate.fresh(document, 24 * HOUR, at ?? time.now());
    if (document.roster !== version) throw new Refusal('outdated', 'The roster was changed since this was made.');
    if (document.founders.some(({ admin }) => RESERVED.test(admin))) {
      throw new Refusal('refused', 'This name is kept for sealed keys.');
    }
    const personal = [...state.locks.values()].filter(({ scope }) => scope !== 'directory' && scope !== 'commands');
    return {
      effects: [
        this.#used(document),
        { e: 'version', version: version + 1 },
        { e: 'anew' },
        { e: 'threshold', threshold: 2 },
        { e: 'calm' },
        { e: 'seal', tokens: [] },
        ...personal.map(({ scope, target }): Effect => ({ e: 'unlock', scope, target })),
        ...document.founders.map(
          ({ admin, tokenSha256 }): Effect => ({ e: 'founder', admin, role: 'administrator', tokenSha256 }),
        ),
      ],
    };
  }

  #used(document: LockNow | CancelRaise | BreakGlass | Refound): Effect {
    return { e: 'used', id: document.id, notAfter: document.notAfter, sha256: hashOf(document) };
  }

  #notTooLate(at: number | undefined): void {
    const now = this.#gate.time.now();
    if (at !== undefined && (at < now - LATE || at > now + HOUR)) {
      throw new Refusal('expired', 'The ledger’s record of this change is too old, or of the future.');
    }
  }
}
