import type { Caps, LockScope, Role, RosterKey } from './messages.ts';

/**
 * What people sign to change who may sign: documents over the guards' own roster. Pages import this file, so it holds types
 * and constants only.
 */

/** The limits that a quorum sets; how many devices one admin may change an hour is core's own brake. */
export const QUORUM_CAPS = [
  ...(['perTouch', 'perDay', 'namesPerDay', 'emailsPerDay', 'secretsPerDay'] as const),
  ...(['orgPerDay', 'people', 'destroyPerHour', 'destroyPerDay'] as const),
] as const;
export type QuorumCap = (typeof QUORUM_CAPS)[number];
export type QuorumCaps = Pick<Caps, QuorumCap>;

/** How long a raised limit waits, while any administrator may stop it. */
export const RAISE_DELAY_MS = 24 * 3_600_000;
/** Break-glass: how many values, and for how long. */
export const BREAK_GLASS_BUDGET = 25;
export const BREAK_GLASS_MS = 3_600_000;
export const SEALED_KEYS = ['break-glass-1', 'break-glass-2'] as const;
export const CUSTODIANS = ['custodian-1', 'custodian-2', 'custodian-3'] as const;

/** One change of the roster. */
export type RosterAct =
  /** A further passkey for an admin who is on the roster; its one-time link holds the token. */
  | { readonly act: 'add-key'; readonly admin: string; readonly tokenSha256: string }
  | { readonly act: 'remove-key'; readonly credential: string }
  | { readonly act: 'remove-admin'; readonly admin: string }
  | { readonly act: 'role'; readonly admin: string; readonly role: Role }
  /** How many people it takes from then on. */
  | { readonly act: 'threshold'; readonly threshold: number }
  | { readonly act: 'caps'; readonly caps: QuorumCaps }
  /** A new pair of sealed keys and three custodians, in the order of `SEALED_KEYS` and `CUSTODIANS`; earlier ones end. */
  | { readonly act: 'break-glass'; readonly tokens: readonly string[] }
  /** What came of an opening; `opening` is the id of the BreakGlass document. */
  | { readonly act: 'review'; readonly opening: string; readonly verdict: 'proper' | 'improper' };

/** A change of the roster; signatures of as many people as its threshold says. */
export interface RosterChange {
  readonly v: 1;
  readonly op: 'roster';
  readonly id: string;
  /** The version of the roster that this changes. Every change makes the next one, so an old document fits no more. */
  readonly roster: number;
  readonly change: RosterAct;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Puts a lock on; one touch of any admin. */
export interface LockNow {
  readonly v: 1;
  readonly op: 'lock';
  readonly id: string;
  readonly scope: LockScope;
  readonly target: string;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Stops every limit that waits to be raised; one touch of any administrator. */
export interface CancelRaise {
  readonly v: 1;
  readonly op: 'cancel-raise';
  readonly id: string;
  /** The version of the roster with that raise. */
  readonly roster: number;
  readonly requester: string;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Opens the sealed keys whose touches come with it; two custodians besides. A drill opens nothing. */
export interface BreakGlass {
  readonly v: 1;
  readonly op: 'break-glass';
  readonly id: string;
  readonly drill: boolean;
  readonly purpose: string;
  readonly notAfter: number;
}

/** Makes the roster anew; signed by the offline recovery key (Ed25519 over the canonical document), not by passkeys. */
export interface Refound {
  readonly v: 1;
  readonly op: 'refound';
  readonly id: string;
  readonly org: string;
  readonly roster: number;
  readonly founders: readonly { readonly admin: string; readonly tokenSha256: string }[];
  readonly purpose: string;
  readonly notAfter: number;
}

/** A limit on its way up. */
export interface Raise {
  readonly cap: QuorumCap;
  readonly to: number;
  /** When it was accepted, and when it counts at the earliest. */
  readonly at: number;
  readonly from: number;
}

export type SealedState = 'none' | 'registering' | 'sealed' | 'open' | 'spent';

/** What a guard says of its roster beside keys and caps. */
export interface RosterView {
  readonly version: number;
  readonly threshold: number;
  /** base64url SHA-256 over keys, roles and threshold: both guards must say the same. */
  readonly digest: string;
  /** Administrators who can sign now: not locked, with a founding key or one pinned 72 h ago. */
  readonly able: readonly string[];
  readonly raises: readonly Raise[];
  /** When each passkey was last touched for a guard; absent: never since it was counted. */
  readonly seen: Readonly<Record<string, number>>;
  /** People with a lock at this ledger. */
  readonly people?: number;
  readonly breakGlass: {
    readonly state: SealedState;
    readonly enrolled: readonly string[];
    readonly opening: string | null;
    readonly until: number | null;
    readonly left: number;
    readonly reviewed: boolean;
    readonly drilledAt: number | null;
  };
  /** Sealed keys that are open now: they sign unlocks and commands as administrators do. */
  readonly opened: readonly RosterKey[];
  /** Whether a recovery key was pinned at founding. */
  readonly recovery: boolean;
}
