import type { LockScope } from '#seal';
import type { Detail, Kind } from './entries.ts';
import { type Gate, Refusal } from './gate.ts';
import type { EvidenceLog } from './log.ts';
import { RefusalBook } from './refusals.ts';
import type { Effect } from './state.ts';

/** What an act of the ledger leaves behind: its entry in the log, and its effects in memory in the same turn. */
export class Book {
  readonly gate: Gate;
  readonly log: EvidenceLog;
  readonly #refusals = new RefusalBook();

  constructor(gate: Gate, log: EvidenceLog) {
    this.gate = gate;
    this.log = log;
  }

  /**
   * Applies the effects and writes the entry, in this turn. `written` resolves when it is on disk: nothing may be done for the
   * caller before.
   */
  write(kind: Kind, actor: string | null, detail: Detail, effects: readonly Effect[] = [], subject?: string) {
    this.gate.state.apply(effects);
    return this.log.write({ kind, actor, detail, ...(subject === undefined ? {} : { subject }) }, effects);
  }

  /** `write`, and waits for the disk. */
  async record(kind: Kind, actor: string | null, detail: Detail, effects: readonly Effect[] = []): Promise<void> {
    await this.write(kind, actor, detail, effects).written;
  }

  /** Nothing new is written for a lock that is on already; its entry may still be on its way to the disk. */
  lockOn(
    scope: LockScope,
    target: string,
    reason: string,
    alert: string | undefined,
    actor: string | null,
  ): Promise<void> {
    if (this.gate.state.locked(scope, target)) return this.log.flush();
    const detail = { scope, target, reason, ...(alert === undefined ? {} : { alert }) };
    return this.record('lock.on', actor, detail, [{ e: 'lock', scope, target, reason }]);
  }

  /** Writes a refusal down, unless there are too many; then it throws what it was given. */
  async refuse(kind: Kind, error: unknown, detail: Detail): Promise<never> {
    if (!(error instanceof Refusal)) throw error;
    const more = this.#refusals.admit(this.gate.time.now());
    if (more !== undefined) {
      const cap = error.cap === undefined ? {} : { cap: error.cap };
      await this.record(kind, error.admin ?? null, {
        ...detail,
        code: error.code,
        ...cap,
        ...(more > 0 ? { more } : {}),
      });
    }
    throw error;
  }

  /** The sealer's own refusals enter the log. */
  async note(kind: Kind, admin: string | null, detail: Detail): Promise<object> {
    const more = this.#refusals.admit(this.gate.time.now());
    if (more === undefined) return {};
    await this.record(kind, admin, { ...detail, guard: 'sealer', ...(more > 0 ? { more } : {}) });
    return {};
  }
}
