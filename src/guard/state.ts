import { type Field, type LockScope, type RecoveryKey, type Role, type RosterKey, SEARCHED } from '#seal';
import { DecoyBook, type DecoyChange } from './decoy-book.ts';
import { ExportBook, type ExportCharge } from './export/book.ts';
import { MessageBook, type Opening } from './message-book.ts';
import { Meters } from './meters.ts';
import type { RecoveryEffect } from './recovery.ts';
import { type RosterEffect, RosterState } from './roster-state.ts';
import { Rotation, type RotationEffect } from './rotation.ts';
import { type RowChange, Rows } from './rows.ts';
import { type SearchChange, Searches } from './search/searches.ts';
import { ThirdBook, type ThirdChange } from './third-book.ts';

/**
 * Everything a guard remembers is the fold of such effects, in order. The ledger journals them with the entry they
 * belong to; the sealer keeps its own in a file and asks the ledger for the day's charges.
 */
export type Effect =
  | { readonly e: 'founder'; readonly admin: string; readonly role: Role; readonly tokenSha256: string }
  | {
      readonly e: 'invite';
      readonly admin: string;
      readonly role: Role;
      readonly tokenSha256: string;
      readonly until: number;
      /** A further passkey for somebody who is on the roster. */
      readonly further?: true;
    }
  | { readonly e: 'key'; readonly key: RosterKey; readonly tokenSha256: string; readonly lived?: number }
  | { readonly e: 'gone'; readonly credential: string }
  | { readonly e: 'gone-admin'; readonly admin: string }
  | { readonly e: 'role'; readonly admin: string; readonly role: Role; readonly at: number; readonly lived: number }
  /** Nobody is on the roster any more, and no link works. */
  | { readonly e: 'anew' }
  | { readonly e: 'used'; readonly id: string; readonly notAfter: number; readonly sha256: string }
  | {
      readonly e: 'charge';
      readonly admin: string;
      readonly field: Field;
      readonly count: number;
      readonly at: number;
      readonly lived?: number;
    }
  | { readonly e: 'destroy'; readonly count: number; readonly at: number }
  | { readonly e: 'lock'; readonly scope: LockScope; readonly target: string; readonly reason: string }
  | { readonly e: 'unlock'; readonly scope: LockScope; readonly target: string }
  /** As decoys were told before their times were kept. */
  | { readonly e: 'decoys'; readonly handles: readonly string[] }
  | { readonly e: 'decoy'; readonly change: DecoyChange }
  | { readonly e: 'message'; readonly opening: Opening }
  | { readonly e: 'hit' }
  | { readonly e: 'rows'; readonly change: RowChange }
  | RecoveryEffect
  | { readonly e: 'search'; readonly change: SearchChange }
  | { readonly e: 'export'; readonly charge: ExportCharge }
  | { readonly e: 'third'; readonly change: ThirdChange }
  | RotationEffect
  | RosterEffect;

/** A one-time token that lets one admin pin one passkey; `until` is absent for founders. */
export interface Token {
  readonly admin: string;
  readonly role: Role;
  readonly founding: boolean;
  readonly until?: number;
  readonly further?: true;
  /** The credential that used it. */
  readonly usedBy?: string;
}

export interface Lock {
  readonly scope: LockScope;
  readonly target: string;
  readonly reason: string;
}

/** A guard's memory. Only `apply` changes it. */
export class GuardState {
  readonly tokens = new Map<string, Token>();
  /** By credential. */
  readonly keys = new Map<string, RosterKey>();
  readonly used = new Map<string, { readonly notAfter: number; readonly sha256: string }>();
  readonly locks = new Map<string, Lock>();
  readonly decoyBook = new DecoyBook();
  readonly messages = new MessageBook();
  readonly meters = new Meters();
  readonly roster = new RosterState();
  /** Since when a key counts for its role, by the clock and by the guard's running time, if that was written down. */
  readonly season = new Map<string, { readonly at: number; readonly lived?: number }>();
  readonly rotation = new Rotation();
  readonly rows = new Rows();
  recovery: RecoveryKey | undefined;
  /** When this guard was last restored from backups; 0: never. */
  restoredAt = 0;
  readonly searches = new Searches();
  readonly exports = new ExportBook();
  readonly third = new ThirdBook();
  /** Grants that asked for a decoy since the directory was last unlocked. */
  hits = 0;

  apply(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if ('lived' in effect && effect.lived !== undefined)
        this.roster.lived = Math.max(this.roster.lived, effect.lived);
      this.#apply(effect);
    }
  }

  /** Handles of all decoys there ever were. */
  get decoys(): ReadonlySet<string> {
    return this.decoyBook.known;
  }

  locked(scope: LockScope, target = ''): boolean {
    return this.locks.has(`${scope}|${target}`);
  }

  /** Forgets documents that have expired anyway; keeps the memory bounded. */
  prune(now: number): void {
    for (const [id, { notAfter }] of this.used) if (notAfter < now) this.used.delete(id);
    this.messages.prune(now);
    this.searches.prune(now);
  }

  #apply(effect: Effect): void {
    switch (effect.e) {
      case 'founder':
        this.tokens.set(effect.tokenSha256, { admin: effect.admin, role: effect.role, founding: true });
        break;
      case 'invite': {
        const { admin, role, until, further } = effect;
        this.tokens.set(effect.tokenSha256, { admin, role, founding: false, until, ...(further ? { further } : {}) });
        break;
      }
      case 'key': {
        const token = this.tokens.get(effect.tokenSha256);
        if (token !== undefined) this.tokens.set(effect.tokenSha256, { ...token, usedBy: effect.key.credential });
        this.keys.set(effect.key.credential, effect.key);
        const since = { at: effect.key.since, ...(effect.lived === undefined ? {} : { lived: effect.lived }) };
        this.season.set(effect.key.credential, since);
        break;
      }
      case 'gone':
        this.keys.delete(effect.credential);
        break;
      case 'gone-admin':
        for (const [credential, { admin }] of this.keys) if (admin === effect.admin) this.keys.delete(credential);
        for (const [token, { admin }] of this.tokens) if (admin === effect.admin) this.tokens.delete(token);
        break;
      case 'role':
        for (const [credential, key] of this.keys) {
          if (key.admin !== effect.admin) continue;
          // A role is earned anew: no founder's rights are carried into it.
          this.keys.set(credential, { ...key, role: effect.role, founding: false });
          this.season.set(credential, { at: effect.at, lived: effect.lived });
        }
        for (const [token, one] of this.tokens) {
          if (one.admin === effect.admin) this.tokens.set(token, { ...one, role: effect.role, founding: false });
        }
        break;
      case 'anew':
        this.keys.clear();
        this.tokens.clear();
        this.season.clear();
        break;

      case 'used':
        this.used.set(effect.id, { notAfter: effect.notAfter, sha256: effect.sha256 });
        break;
      case 'charge':
        this.meters.charge(effect);
        if (this.#isOpened(effect.admin)) this.roster.left -= effect.count;
        break;
      case 'destroy':
        this.meters.destroy(effect);
        break;
      case 'lock': {
        const { scope, target, reason } = effect;
        this.locks.set(`${scope}|${target}`, { scope, target, reason });
        if (scope === 'directory') this.closeSearches();
        break;
      }
      case 'unlock':
        this.locks.delete(`${effect.scope}|${effect.target}`);
        if (effect.scope === 'directory') this.hits = 0;
        break;
      case 'decoys':
        this.decoyBook.apply({ what: 'joined', handles: effect.handles, at: 0 });
        break;
      case 'decoy':
        this.decoyBook.apply(effect.change);
        break;
      case 'message':
        this.messages.apply(effect.opening);
        break;
      case 'hit':
        this.hits++;
        break;
      case 'org-key':
      case 'rotate':
      case 'resealed':
      case 'retired':
        this.rotation.apply(effect);
        if (effect.e === 'org-key' && effect.statement.third !== undefined) this.closeSearches();
        break;
      case 'rows':
        this.rows.apply(effect.change);
        this.searches.see(effect.change);
        if (effect.change.what === 'left') {
          this.decoyBook.apply({ what: 'left', handles: effect.change.subjects, at: effect.change.at });
        }
        break;
      case 'export':
        this.exports.apply(effect.charge);
        break;
      case 'third':
        this.third.apply(effect.change);
        break;
      case 'search':
        this.searches.apply(effect.change);
        break;
      case 'recovery-key':
        this.recovery = effect.key;
        return;
      case 'restored':
        this.restoredAt = effect.at;
        break;
      default:
        this.roster.apply(effect);
    }
  }

  closeSearches(): void {
    for (const field of SEARCHED) this.searches.close(field);
  }

  #isOpened(admin: string): boolean {
    const { opening, sealed } = this.roster;
    return opening?.credentials.some((credential) => sealed.get(credential)?.name === admin) ?? false;
  }
}
