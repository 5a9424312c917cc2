import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, type Logger, toBase64url } from '#base';
import {
  type Assertion,
  type Caps,
  type CommandSet,
  challengeOf,
  type Declare,
  type DeclarePermit,
  type EnrolKey,
  EVERY_DEVICE,
  type Grant,
  GuardError,
  type Invite,
  type LockScope,
  membersDigest,
  type Permit,
  type Receipt,
  type Role,
  type SealedRow,
  signDeclarePermit,
  signPermit,
  signReceipt,
  type Unlock,
} from '#seal';
import type { Detail, Kind, Leaf } from './entries.ts';
import { Gate, REFUSED, Refusal } from './gate.ts';
import { loadKey } from './keys.ts';
import { EvidenceLog } from './log.ts';
import { type Arrival, Persons } from './persons.ts';
import { RefusalBook } from './refusals.ts';
import type { Effect } from './state.ts';
import { dayOf } from './time.ts';

/** Name of the log and of the key that signs its checkpoints. */
export const logOrigin = (org: string): string => `bartizan.invalid/${org}`;

export interface Founder {
  readonly admin: string;
  readonly role: Role;
  /** base64url SHA-256 of the token in the founder's join link. */
  readonly tokenSha256: string;
}

export interface LedgerOptions {
  readonly org: string;
  /** Private folder. */
  readonly state: string;
  /** Public log. On the same file system as `state`. */
  readonly logDir: string;
  /** Glass's origin. */
  readonly origin: string;
  readonly caps: Caps;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Raw X25519 of edge, base64url: the only key that devices' secrets are sealed to. */
  readonly releaseKey?: string;
  /** The log can no longer be written: end with exit status 74. */
  readonly onUnusable: () => void;
}

/** The second guard: holds the persons' locks and the log, meters on its own, never sees plaintext. */
export class Ledger {
  readonly gate: Gate;
  readonly #persons: Persons;
  readonly #signing: KeyObject;
  readonly #refusals = new RefusalBook();
  #log!: EvidenceLog;

  private constructor(options: LedgerOptions) {
    this.gate = new Gate(options);
    this.#signing = loadKey(options.state, 'receipts', 'ed25519');
    const key = loadKey(options.state, 'outer', 'x25519');
    this.#persons = new Persons({ folder: join(options.state, 'locks'), org: options.org, key });
  }

  /** Opens a founded ledger; replays its memory from the journal. Throws GuardError if anything is missing or forked. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options);
    const { log, cut } = await EvidenceLog.open(
      {
        state: options.state,
        folder: options.logDir,
        origin: logOrigin(options.org),
        key: loadKey(options.state, 'log', 'ed25519'),
        time: ledger.gate.time,
        onUnusable: (cause) => {
          options.logger.error('the log is unusable', cause);
          options.onUnusable();
        },
      },
      (effects) => ledger.gate.state.apply(effects),
    );
    ledger.#log = log;
    if (cut > 0) await ledger.#record('log.trouble', null, { cut });
    return ledger;
  }

  get log(): EvidenceLog {
    return this.#log;
  }

  async found(founders: readonly Founder[]): Promise<void> {
    const effects = founders.map((founder): Effect => ({ e: 'founder', ...founder }));
    const names = founders.map(({ admin, role }) => ({ admin, role }));
    await this.#record('system.started', null, { founded: true, founders: names }, effects);
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /**
   * Opens the outer layers of a grant's rows: verify, charge, write, and only then open. The answer holds what is still
   * sealed to the sealer, and the signed receipt.
   */
  async open(grant: Grant, assertion: Assertion, rows: readonly SealedRow[]) {
    const { state } = this.gate;
    const detail = { grant: grant.id, field: grant.field, asked: grant.subjects.length };
    let effects: readonly Effect[];
    try {
      const subjects = new Set(grant.subjects);
      const fits = rows.every((row) => row.field === grant.field && subjects.delete(row.subject));
      effects = this.gate.reveal(grant, assertion);
      if (!fits) throw new Refusal('refused', REFUSED, grant.admin);
    } catch (error) {
      return this.#refuse('directory.refused', error, { ...detail, claimed: grant.admin });
    }
    if (grant.subjects.some((subject) => state.decoys.has(subject))) return this.#decoy(grant, effects);
    const subject = grant.subjects.length === 1 ? grant.subjects[0] : undefined;
    const subjects = [...grant.subjects];
    const entry = this.#write(
      'directory.revealed',
      grant.admin,
      { ...detail, purpose: grant.purpose, subjects },
      effects,
      subject,
    );
    await entry.written;
    const inner: { subject: string; inner: string }[] = [];
    for (const row of rows) {
      const opened = await this.#persons.open(row);
      if (opened !== undefined) inner.push({ subject: row.subject, inner: toBase64url(opened) });
    }
    const receipt: Receipt = signReceipt(this.#signing, {
      v: 1,
      grant: grant.id,
      grantSha256: toBase64url(challengeOf(grant)),
      leaf: entry.leaf,
      opened: inner.map((one) => one.subject),
      time: entry.time,
    });
    return { inner, receipt };
  }

  /** The first decoy freezes whoever asked, the second locks the directory. The caller learns only that it was refused. */
  async #decoy(grant: Grant, effects: readonly Effect[]): Promise<never> {
    const { admin, field, id } = grant;
    const charged = [...effects, { e: 'hit' } as const];
    const writes = [
      this.#write('directory.decoy', admin, { grant: id, field, asked: grant.subjects.length }, charged).written,
    ];
    const second = this.gate.state.hits > 1;
    writes.push(this.#lockOn('admin', admin, 'decoy', undefined, null));
    if (second) writes.push(this.#lockOn('directory', '', 'decoy', undefined, null));
    await Promise.all(writes);
    throw new GuardError('refused', REFUSED);
  }

  /** Counters, locks and document ids of today, from which the sealer rebuilds its own memory after a restart. */
  spent(): { time: number; effects: readonly Effect[] } {
    const { state, time } = this.gate;
    const now = time.now();
    state.prune(now);
    const charges = state.meters.counters(now).map((one): Effect => ({ e: 'charge', ...one, at: now }));
    const used = [...state.used].map(([id, one]): Effect => ({ e: 'used', id, ...one }));
    const locks = [...state.locks.values()].map((lock): Effect => ({ e: 'lock', ...lock }));
    return { time: now, effects: [...charges, ...used, ...locks] };
  }

  /** The sealer's own refusals enter the log. */
  async note(kind: Kind, admin: string | null, detail: Detail): Promise<object> {
    const more = this.#refusals.admit(this.gate.time.now());
    if (more === undefined) return {};
    await this.#record(kind, admin, { ...detail, guard: 'sealer', ...(more > 0 ? { more } : {}) });
    return {};
  }

  async append(from: number, leaves: readonly Omit<Leaf, 'v' | 'src'>[]) {
    if (leaves.some((leaf, i) => leaf.n !== from + i)) throw new GuardError('gap', 'Leaves are missing in between.');
    const indexes = await this.#log.takeCore(leaves);
    return { leaves: indexes, size: this.#log.tree.size };
  }

  /** Rows under their persons' locks. What does not open is named in `refused`, so that it can be put aside. */
  async settle(arrivals: readonly Arrival[]) {
    const rows: SealedRow[] = [];
    const refused: { subject: string; field: string; version: number }[] = [];
    for (const arrival of arrivals) {
      try {
        rows.push(await this.#persons.settle(arrival));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'open-failed')) throw error;
        refused.push({ subject: arrival.subject, field: arrival.field, version: arrival.version });
      }
    }
    return refused.length === 0 ? { rows } : { rows, refused };
  }

  /** One permit per command of an approved set. The same approved document gets the same permits again, at no charge. */
  async authorise(document: CommandSet, assertions: readonly Assertion[]): Promise<{ permits: Permit[] }> {
    const detail = { approval: document.id, verb: document.verb, asked: document.commands.length };
    const known = this.gate.seen(document) && document.notAfter > this.gate.time.now();
    if (!known || this.gate.state.locked('commands')) {
      let approved: ReturnType<Gate['command']>;
      try {
        approved = this.gate.command(document, assertions);
      } catch (error) {
        return this.#refuse('approval.refused', error, { ...detail, claimed: document.requester });
      }
      const devices = document.commands.map((command) => command.device);
      const { signers, effects } = approved;
      await this.#record(
        'command.permitted',
        document.requester,
        { ...detail, signers, devices, purpose: document.purpose },
        effects,
      );
    } else {
      await this.#log.flush();
    }
    const permits = document.commands.map(({ device, uuid, body }) =>
      signPermit(this.#signing, {
        v: 1,
        device,
        uuid,
        body,
        verb: document.verb,
        approval: document.id,
        notAfter: document.notAfter,
      }),
    );
    return { permits };
  }

  /** The permit for approved declarations. The same approved document gets the same permit again. */
  async declare(document: Declare, assertions: readonly Assertion[]): Promise<{ permit: DeclarePermit }> {
    const { id: approval, declarations, devices: named, until, notAfter, requester, purpose } = document;
    const devices = named === EVERY_DEVICE ? EVERY_DEVICE : membersDigest(named);
    const count = named === EVERY_DEVICE ? {} : { count: named.length };
    const detail = { approval, declarations: declarations.map(({ identifier }) => identifier), devices, ...count };
    const known = this.gate.seen(document) && notAfter > this.gate.time.now();
    if (!known || this.gate.state.locked('commands')) {
      let approved: ReturnType<Gate['declare']>;
      try {
        approved = this.gate.declare(document, assertions);
      } catch (error) {
        return this.#refuse('approval.refused', error, { approval, op: 'declare', claimed: requester });
      }
      const { signers, effects } = approved;
      await this.#record('declaration.permitted', requester, { ...detail, signers, purpose, until }, effects);
    } else {
      await this.#log.flush();
    }
    return { permit: signDeclarePermit(this.#signing, { approval, declarations, devices, until, notAfter }) };
  }

  async lock(scope: LockScope, target: string, reason: string, alert: string | undefined): Promise<object> {
    await this.#lockOn(scope, target, reason, alert, 'core');
    return {};
  }

  async decide(document: Unlock | Invite, assertions: readonly Assertion[]): Promise<object> {
    const kind = document.op === 'unlock' ? 'approval.refused' : 'account.refused';
    let decided: ReturnType<Gate['decide']>;
    try {
      decided = this.gate.decide(document, assertions);
    } catch (error) {
      return this.#refuse(kind, error, { approval: document.id, op: document.op, claimed: document.requester });
    }
    const { signers, effects, repeated } = decided;
    if (repeated) await this.#log.flush();
    else if (document.op === 'unlock') {
      const { id, scope, target, purpose } = document;
      await this.#record('lock.off', document.requester, { approval: id, scope, target, signers, purpose }, effects);
    } else {
      const { id, admin, role, purpose } = document;
      await this.#record(
        'account.invited',
        document.requester,
        { approval: id, admin, role, signers, purpose },
        effects,
      );
    }
    return {};
  }

  async enrol(document: EnrolKey, assertion: Assertion) {
    let enrolled: ReturnType<Gate['enrol']>;
    try {
      enrolled = this.gate.enrol(document, assertion);
    } catch (error) {
      return this.#refuse('account.refused', error, { op: 'enrol-key' });
    }
    const { key, effects } = enrolled;
    const { admin, role, credential, founding } = key;
    if (effects.length === 0) await this.#log.flush();
    else await this.#record('account.key_enrolled', admin, { role, credential, founding }, effects);
    return { admin, role };
  }

  async decoys(handles: readonly string[]): Promise<object> {
    const effects: Effect[] = [{ e: 'decoys', handles }];
    this.gate.state.apply(effects);
    await this.#log.remember(effects);
    return {};
  }

  roster() {
    return { keys: [...this.gate.state.keys.values()], caps: this.gate.caps };
  }

  status() {
    const { state, time } = this.gate;
    const now = time.now();
    const { size, at } = this.#log.checkpoint;
    return {
      locked: [...state.locks.values()],
      size: this.#log.tree.size,
      root: this.#log.tree.root().toString('base64'),
      checkpointSize: size,
      checkpointAt: at,
      coreSize: this.#log.coreSize,
      spent: { day: dayOf(now), counters: state.meters.counters(now) },
    };
  }

  #write(kind: Kind, actor: string | null, detail: Detail, effects: readonly Effect[] = [], subject?: string) {
    this.gate.state.apply(effects);
    return this.#log.write({ kind, actor, detail, ...(subject === undefined ? {} : { subject }) }, effects);
  }

  async #record(kind: Kind, actor: string | null, detail: Detail, effects: readonly Effect[] = []): Promise<void> {
    await this.#write(kind, actor, detail, effects).written;
  }

  /** Nothing new is written for a lock that is on already; its entry may still be on its way to the disk. */
  #lockOn(
    scope: LockScope,
    target: string,
    reason: string,
    alert: string | undefined,
    actor: string | null,
  ): Promise<void> {
    if (this.gate.state.locked(scope, target)) return this.#log.flush();
    const detail = { scope, target, reason, ...(alert === undefined ? {} : { alert }) };
    return this.#record('lock.on', actor, detail, [{ e: 'lock', scope, target, reason }]);
  }

  async #refuse(kind: Kind, error: unknown, detail: Detail): Promise<never> {
    if (!(error instanceof Refusal)) throw error;
    const more = this.#refusals.admit(this.gate.time.now());
    if (more !== undefined) {
      const cap = error.cap === undefined ? {} : { cap: error.cap };
      await this.#record(kind, error.admin ?? null, {
        ...detail,
        code: error.code,
        ...cap,
        ...(more > 0 ? { more } : {}),
      });
    }
    throw error;
  }
}
