import { credentialDigest, type RosterAct, type RosterKey } from '#seal';
import type { GuardState } from './state.ts';
import { HOUR } from './time.ts';

/** How long a key must have been pinned before its signature approves somebody else's request. */
export const SEASONED = 72 * HOUR;

/** Administrators who could sign: now, and if every lock were lifted. */
export interface Standing {
  readonly able: ReadonlySet<string>;
  readonly all: ReadonlySet<string>;
}

/** A founding key, or one pinned 72 h ago by the clock and by the guard's running time. */
export function isSeasoned(state: GuardState, key: RosterKey, now: number, lived: number): boolean {
  if (key.founding) return true;
  const since = state.season.get(key.credential) ?? { at: key.since };
  return now - since.at >= SEASONED && (since.lived === undefined || lived - since.lived >= SEASONED);
}

/** What locks this key: its admin, its role or itself. */
export function lockOn(state: GuardState, key: RosterKey): 'admin' | 'role' | 'credential' | undefined {
  if (state.locked('admin', key.admin)) return 'admin';
  // An opened sealed key has no role of its own.
  if (!state.roster.sealed.has(key.credential) && state.locked('role', key.role)) return 'role';
  return state.locked('credential', credentialDigest(key.credential)) ? 'credential' : undefined;
}

/** The roster's standing as it is, or as it would be after a change. */
export function standing(state: GuardState, now: number, lived: number, change?: RosterAct): Standing {
  const able = new Set<string>();
  const all = new Set<string>();
  for (const present of state.keys.values()) {
    if (change?.act === 'remove-key' && change.credential === present.credential) continue;
    if (change?.act === 'remove-admin' && change.admin === present.admin) continue;
    const changed = change?.act === 'role' && change.admin === present.admin;
    // Who becomes an administrator is new as one.
    if (changed || present.role !== 'administrator' || !isSeasoned(state, present, now, lived)) continue;
    all.add(present.admin);
    if (lockOn(state, present) === undefined) able.add(present.admin);
  }
  return { able, all };
}

/**
 * Whether a change could leave nobody able to act: after it, administrators who can sign are to be one more than it takes. A
 * change that makes nothing worse passes, as a roster may begin small; but who counts once locks are lifted never falls to
 * what it takes, because then all of them together are the way back (`Gate.approve`).
 */
export function locksOut(before: Standing, after: Standing, takes: { before: number; after: number }): boolean {
  if (after.able.size > takes.after) return false;
  const worse = after.able.size - takes.after < before.able.size - takes.before;
  const spare = Math.min(1, before.all.size - takes.before);
  return worse || after.all.size - takes.after < spare;
}
