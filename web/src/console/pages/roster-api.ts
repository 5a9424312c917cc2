import type { QuorumCap, QuorumCaps, SealedState } from '../../../../src/seal/roster.ts';
import { call, send } from '../client.ts';

export interface RosterKeyRow {
  readonly key: string;
  readonly since: string;
  readonly founding: boolean;
  readonly sessions: number;
  readonly usedAt: string | null;
  readonly unused: boolean;
  readonly newUntil: string | null;
  readonly locked: boolean;
}

export interface RosterAdmin {
  readonly admin: string;
  readonly role: string;
  readonly able: boolean;
  readonly locked: boolean;
  readonly keys: readonly RosterKeyRow[];
}

export interface Roster {
  readonly version: number;
  readonly threshold: number;
  readonly able: readonly string[];
  readonly admins: readonly RosterAdmin[];
  /** Whether both guards say the same; null if one cannot be asked. */
  readonly agree: boolean | null;
  readonly recovery: boolean;
  readonly breakGlass: {
    readonly state: SealedState;
    readonly enrolled: readonly string[];
    readonly opening: string | null;
    readonly until: string | null;
    readonly left: number;
    readonly reviewed: boolean;
    readonly drilledAt: string | null;
  };
  readonly caps: QuorumCaps;
  readonly raises: readonly {
    readonly cap: QuorumCap;
    readonly to: number;
    readonly at: string;
    readonly from: string;
  }[];
  readonly findings: readonly { readonly title: string; readonly fix: string }[];
}

export interface Asked {
  readonly approval: string;
  readonly links: readonly { readonly admin: string; readonly link: string }[];
}

export const rosterApi = {
  roster: (signal?: AbortSignal) => call<Roster>('/roster', { signal: signal ?? null }),
  change: (change: object, purpose: string) => send<Asked>('POST', '/roster/changes', { change, purpose }),
} as const;
