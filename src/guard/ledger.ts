import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, type Logger, toBase64url } from '#base';
import {
  type Assertion,
  type Caps,
  challengeOf,
  type Grant,
  GuardError,
  keysDigest,
  type LockScope,
  type Receipt,
  type RecoveryKey,
  type Restored,
  type Role,
  type SealedRow,
  signReceipt,
  type Writer,
} from '#seal';
import { Book } from './book.ts';
import { Changes } from './changes.ts';
import { Decisions } from './decisions.ts';
import { Decoys } from './decoys.ts';
import type { Leaf } from './entries.ts';
import { LedgerExport } from './export/ledger-export.ts';
import { Gate, REFUSED, Refusal } from './gate.ts';
import { Imports } from './imports.ts';
import { loadKey } from './keys.ts';
import { Leaving } from './leaving.ts';
import { EvidenceLog, type LogOptions } from './log.ts';
import { Messages } from './messages.ts';
import type { Recent } from './meters.ts';
import { Persons } from './persons.ts';
import { logName, mayPin, RESTORED, recoveryPins, restoredEffects } from './recovery.ts';
import { Rekeying } from './rekeying.ts';
import { Relocking } from './relocking.ts';
import { Disk, watchRoom } from './room.ts';
import { rosterView } from './roster-view.ts';
import type { Placed } from './rows.ts';
import { LedgerSearch } from './search/ledger-search.ts';
import type { SearchSettings } from './search/rules.ts';
import { TAGS, Tags } from './search/tags.ts';
import { type Arrival, type Settled, Settling } from './settling.ts';
import type { Effect } from './state.ts';
import { ThirdLocks } from './third.ts';
import { DAY, dayOf, HOUR } from './time.ts';
import { Transit } from './transit.ts';

/** Name of the log and of the key that signs its checkpoints. */
export const logOrigin = (org: string): string => `bartizan.invalid/${org}`;

export interface Founder {
  readonly admin: string;
  readonly role: Role;
  /** base64url SHA-256 of the token in the founder's join link. */
  readonly tokenSha256: string;
}

/** Whose signature makes a value of the fields that this process may write. */
export interface WriterKey {
  readonly writer: Writer;
  /** Ed25519 SPKI DER, base64url. */
  readonly key: string;
}

const pinOf = ({ writer, key }: WriterKey): Effect => ({ e: 'rows', change: { what: 'writer', writer, key } });

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
  /** A clock that nobody can set (`SteadyTime`). */
  readonly elapsed?: () => number;
  readonly logger: Logger;
  /** Raw X25519 of edge, base64url: the only key that devices' secrets are sealed to. */
  readonly releaseKey?: string;
  /** Ed25519 SPKI of core, base64url: whose rules may send messages. None may if it is left out. */
  readonly coreKey?: string;
  /** How long the log's disk may take; for tests. */
  readonly patience?: LogOptions['patience'];
  /** How long a changed number or address waits before it counts, milliseconds; a day if it is left out. */
  readonly holdMs?: number;
  /** Where systemd put this process's credentials: `outer.key`, `receipts.key`, `log.key` may be there instead of in `state`. */
  readonly credentials?: string;
  /** The organisation's first raw public key, base64url, which changes of the key build on. */
  readonly orgKey?: string;
  /** What can be searched, if anything. */
  readonly search?: SearchSettings;
  /** The log can no longer be written: end with exit status 74. */
  readonly onUnusable: () => void;
}

/** The second guard: holds the persons' locks and the log, meters on its own, never sees plaintext. */
export class Ledger {
  readonly gate: Gate;
  readonly #persons: Persons;
  readonly #signing: KeyObject;
  readonly #disk: Disk;
  #unwatch: () => void = () => {};
  #book!: Book;
  #decisions!: Decisions;
  #rekeying!: Rekeying;
  #settling!: Settling;
  #transit!: Transit;
  #tending: NodeJS.Timeout | undefined;
  #leaving!: Leaving;
  #decoys!: Decoys;
  #messages!: Messages;
  /** Where something can be searched. */
  search: LedgerSearch | undefined;
  exports!: LedgerExport;
  #imports!: Imports;
  readonly #org: string;

  private constructor(options: LedgerOptions) {
    this.gate = new Gate(options);
    this.#disk = new Disk(options.state);
    this.#signing = loadKey(options.state, 'receipts', 'ed25519', options.credentials);
    this.#org = options.org;
    const { rows } = this.gate.state;
    this.#persons = new Persons({ folder: join(options.state, 'locks'), org: options.org, rows });
  }

  /** Opens a founded ledger; replays its memory from the journal. Throws GuardError if anything is missing or forked. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options);
    const { log, cut } = await EvidenceLog.open(
      {
        state: options.state,
        folder: options.logDir,
        origin: logName(options.state, logOrigin(options.org)),
        key: loadKey(options.state, 'log', 'ed25519', options.credentials),
        time: ledger.gate.time,
        disk: ledger.#disk,
        ...(options.patience === undefined ? {} : { patience: options.patience }),
        onUnusable: (cause) => {
          options.logger.error('the log is unusable', cause);
          options.onUnusable();
        },
      },
      (effects) => ledger.gate.replay(effects),
    );
    ledger.#book = new Book(ledger.gate, log);
    ledger.#decisions = new Decisions(ledger.#book, ledger.#signing);
    ledger.#imports = new Imports(ledger.#book, ledger.#signing, () => {
      const { key: inner = options.orgKey, third } = ledger.gate.state.rotation.statement ?? {};
      if (inner === undefined) return undefined;
      const keys = { org: options.org, inner, outer: ledger.#transit.publicKey };
      return keysDigest(third === undefined ? keys : { ...keys, third });
    });
    ledger.#decoys = new Decoys({
      book: ledger.#book,
      transit: () => ledger.#transit,
      now: () => ledger.gate.time.now(),
    });
    ledger.#messages = new Messages({
      ...{ book: ledger.#book, persons: ledger.#persons, signing: ledger.#signing, coreKey: options.coreKey },
    });
    ledger.#rekeying = new Rekeying({
      ...{ book: ledger.#book, signing: ledger.#signing, persons: ledger.#persons, org: options.org },
      ...(options.orgKey === undefined ? {} : { founding: options.orgKey }),
      onThird: () => ledger.#dropTags(options.state),
    });
    ledger.#transit = new Transit({
      ...{ book: ledger.#book, state: options.state, org: ledger.#org },
      ...{ signing: ledger.#signing, founding: () => loadKey(options.state, 'outer', 'x25519', options.credentials) },
    });
    await ledger.#transit.finish();
    ledger.#tending = setInterval(() => {
      ledger.#transit.tend().catch((error: unknown) => options.logger.error('transit keys could not be tended', error));
    }, HOUR);
    ledger.#tending.unref();
    ledger.#settling = new Settling({
      ...{ book: ledger.#book, persons: ledger.#persons, org: ledger.#org, transit: ledger.#transit },
      holdMs: options.holdMs ?? DAY,
    });
    if (options.search !== undefined) {
      ledger.search = await LedgerSearch.open({
        ...{ state: options.state, settings: options.search, book: ledger.#book, persons: ledger.#persons },
        ...{ signing: ledger.#signing, decoy: (read, effects) => ledger.#decoy(read, effects) },
      });
    }
    if (ledger.gate.state.rotation.statement?.third !== undefined) await ledger.#dropTags(options.state);
    ledger.exports = new LedgerExport(ledger.#book, ledger.#persons, ledger.#decoys);
    ledger.#leaving = new Leaving(ledger.#book, ledger.#persons, ledger.search);
    await ledger.#leaving.finish();
    if (cut > 0) await ledger.#book.record('log.trouble', null, { cut });
    ledger.#unwatch = await watchRoom(ledger.#disk, ({ freeMb }) => {
      ledger.#book.record('log.trouble', null, { code: 'disk-low', free: freeMb }).catch(() => {});
    });
    return ledger;
  }

  /** Also where numbers were searched once and are not any more. */
  async #dropTags(state: string): Promise<void> {
    if (this.search !== undefined) await this.search.clear();
    else if (existsSync(join(state, TAGS))) await new Tags(join(state, TAGS)).clear();
  }

  get log(): EvidenceLog {
    return this.#book.log;
  }

  /** New locks for everybody. */
  get relocking(): Relocking {
    return new Relocking(this.#book, this.#persons, this.#transit);
  }

  /** The keys of values in transit. */
  get transit(): Transit {
    return this.#transit;
  }

  /** Changed numbers and addresses that wait. */
  get changes(): Changes {
    return new Changes(this.#book);
  }

  /** Who has left, and how their locks go. */
  get leaving(): Leaving {
    return this.#leaving;
  }

  get book(): Book {
    return this.#book;
  }

  /** What people decide with their passkeys. */
  get decisions(): Decisions {
    return this.#decisions;
  }

  /** Touches over people who are sent sealed. */
  get imports(): Imports {
    return this.#imports;
  }

  /** What is known of decoys here and nowhere else. */
  get decoys(): Decoys {
    return this.#decoys;
  }

  /** Whose passkeys open the third lock, and the boxes for them. */
  get third(): ThirdLocks {
    return new ThirdLocks(this.#book);
  }

  /** What courier sends. */
  get messages(): Messages {
    return this.#messages;
  }

  /** Changes of the organisation's key. */
  get rekeying(): Rekeying {
    return this.#rekeying;
  }

  async found(
    founders: readonly Founder[],
    writers: readonly WriterKey[],
    recovery?: RecoveryKey | string,
  ): Promise<void> {
    const pins = founders.map((founder): Effect => ({ e: 'founder', ...founder }));
    const effects = [...recoveryPins(recovery), ...pins, ...writers.map(pinOf)];
    const names = founders.map(({ admin, role }) => ({ admin, role }));
    const pinned = writers.map(({ writer }) => writer);
    const back = typeof recovery === 'object' ? { recovery: recovery.id } : {};
    await this.#book.record(
      'system.started',
      null,
      { founded: true, founders: names, writers: pinned, ...back },
      effects,
    );
  }

  /** Takes up after a restore: what the recovery key signed, as an entry that everybody sees. Throws GuardError. */
  async restored(statement: Restored): Promise<void> {
    const effects = restoredEffects(this.gate.state, this.#org, statement);
    const { at, known } = statement;
    const detail = { at, size: this.log.tree.size, known, recovery: this.gate.state.recovery!.id };
    await this.#book.record('log.restored', null, detail, effects);
    await this.#book.lockOn('directory', '', RESTORED, undefined, 'recovery');
  }

  /** Pins the recovery key of a ledger that was founded without one. Throws GuardError `founded` if another is pinned. */
  async pinRecovery(key: RecoveryKey): Promise<void> {
    if (mayPin(this.gate.state, key)) {
      await this.#book.record('recovery.pinned', null, { recovery: key.id }, recoveryPins(key));
    }
  }

  /**
   * Pins the writers of a ledger that was founded before writers signed, once, with the versions that its lock files hold.
   * Repeating it with the same keys does nothing. `renew` names one whose key the operator has made anew: it takes the place of
   * the pinned one, with an entry. Throws GuardError `founded` if others are pinned.
   */
  async pinWriters(writers: readonly WriterKey[], renew?: Writer): Promise<void> {
    const { rows } = this.gate.state;
    if (rows.writers.size > 0) {
      const fresh = writers.filter(({ writer, key }) => rows.writers.get(writer) !== key);
      if (fresh.length === 0) return;
      if (fresh.every(({ writer }) => writer === renew)) {
        const detail = { writers: fresh.map(({ writer }) => writer), renewed: true };
        return this.#book.record('writers.pinned', null, detail, fresh.map(pinOf));
      }
      throw new GuardError('founded', 'This ledger has pinned its writers already.');
    }
    const present: Placed[] = [];
    for await (const placed of this.#persons.all()) present.push(placed);
    // A record of the journal has at most 1 MiB.
    for (let at = 0; at < present.length; at += 5_000) {
      const part = present.slice(at, at + 5_000);
      const change: Effect = { e: 'rows', change: { what: 'settled', rows: part } };
      await this.#book.record('directory.settled', null, { rows: part.length, refused: 0, founding: true }, [change]);
    }
    const pinned = writers.map(({ writer }) => writer);
    await this.#book.record('writers.pinned', null, { writers: pinned }, writers.map(pinOf));
  }

  /** Writes down how long this guard has been running; called every few minutes. */
  async rememberTime(): Promise<void> {
    await this.#book.log.remember([{ e: 'lived', lived: this.gate.time.lived() }]);
  }

  async close(): Promise<void> {
    clearInterval(this.#tending);
    this.#unwatch();
    if (this.#book.log.usable) await this.rememberTime();
    await this.#book.log.close();
  }

  /**
   * Opens the outer layers of a grant's rows: verify, charge, write, and only then open. The answer holds what is still
   * sealed to the sealer, and the signed receipt.
   */
  async open(grant: Grant, assertion: Assertion, rows: readonly SealedRow[], others: readonly Assertion[] = []) {
    const { state } = this.gate;
    const detail = { grant: grant.id, field: grant.field, asked: grant.subjects.length };
    let effects: readonly Effect[];
    try {
      const subjects = new Set(grant.subjects);
      const fits = rows.every((row) => row.field === grant.field && subjects.delete(row.subject));
      effects = this.gate.reveal(grant, assertion, others);
      if (!fits) throw new Refusal('refused', REFUSED, grant.admin);
    } catch (error) {
      return this.#book.refuse('directory.refused', error, { ...detail, claimed: grant.admin });
    }
    if (grant.subjects.some((subject) => state.decoys.has(subject))) {
      return this.#decoy({ ...grant, asked: grant.subjects.length }, effects);
    }
    const subject = grant.subjects.length === 1 ? grant.subjects[0] : undefined;
    const subjects = [...grant.subjects];
    const entry = this.#book.write(
      'directory.revealed',
      grant.admin,
      { ...detail, ...this.#cosigners(others), purpose: grant.purpose, subjects },
      effects,
      subject,
    );
    await entry.written;
    const inner: { subject: string; inner: string }[] = [];
    for (const row of rows) {
      const opened = await this.#persons.open(row).catch((error) => this.#trouble(row.subject, error));
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

  /** Who signed the grant besides its reader. */
  #cosigners(others: readonly Assertion[]): { signers?: string[] } {
    const names = others.map((one) => this.gate.state.keys.get(one.credential)?.admin ?? '');
    return names.length === 0 ? {} : { signers: [...new Set(names)].sort() };
  }

  /** A lock that was put back opens nothing, and the log says so; the other rows of a grant are not held up. */
  async #trouble(subject: string, error: unknown): Promise<undefined> {
    if (!(error instanceof GuardError && error.code === 'rolled-back')) throw error;
    await this.#book.write('log.trouble', null, { code: error.code }, [], subject).written;
  }

  /** The first decoy freezes whoever asked, the second locks the directory. The caller learns only that it was refused. */
  async #decoy(
    read: Pick<Grant, 'admin' | 'field' | 'id'> & { readonly asked: number },
    effects: readonly Effect[],
  ): Promise<never> {
    const { admin, field, id, asked } = read;
    const charged = [...effects, { e: 'hit' } as const];
    const writes = [this.#book.write('directory.decoy', admin, { grant: id, field, asked }, charged).written];
    const second = this.gate.state.hits > 1;
    writes.push(this.#book.lockOn('admin', admin, 'decoy', undefined, null));
    if (second) writes.push(this.#book.lockOn('directory', '', 'decoy', undefined, null));
    await Promise.all(writes);
    throw new GuardError('refused', REFUSED);
  }

  /** Counters, locks and document ids of today, from which the sealer rebuilds its own memory after a restart. */
  spent(): { time: number; effects: readonly Effect[]; recent: readonly Recent[] } {
    const { state, time } = this.gate;
    const now = time.now();
    state.prune(now);
    const charges = state.meters.counters(time.metered()).map((one): Effect => ({ e: 'charge', ...one, at: now }));
    const used = [...state.used].map(([id, one]): Effect => ({ e: 'used', id, ...one }));
    const locks = [...state.locks.values()].map((lock): Effect => ({ e: 'lock', ...lock }));
    const asked = state.searches.spent(now).map((change): Effect => ({ e: 'search', change }));
    const messages = state.messages.recent(now).map((opening): Effect => ({ e: 'message', opening }));
    const effects = [...charges, ...used, ...locks, ...asked, ...messages];
    return { time: now, effects, recent: state.meters.recent(time.lived()) };
  }

  async append(from: number, leaves: readonly Omit<Leaf, 'v' | 'src'>[]) {
    if (leaves.some((leaf, i) => leaf.n !== from + i)) throw new GuardError('gap', 'Leaves are missing in between.');
    const indexes = await this.#book.log.takeCore(leaves);
    return { leaves: indexes, size: this.#book.log.tree.size };
  }

  /** Rows under their persons' locks. What is not taken is named in `refused`, so that it can be put aside. */
  settle(arrivals: readonly Arrival[]): Promise<Settled> {
    return this.#settling.settle(arrivals);
  }

  async lock(scope: LockScope, target: string, reason: string, alert: string | undefined): Promise<object> {
    await this.#book.lockOn(scope, target, reason, alert, 'core');
    return {};
  }

  roster() {
    return { keys: [...this.gate.state.keys.values()], caps: this.gate.caps, ...rosterView(this.gate) };
  }

  status() {
    const { state, time } = this.gate;
    const now = time.now();
    const { size, at } = this.#book.log.checkpoint;
    const transit = this.#transit.notice;
    return {
      locked: [...state.locks.values()],
      size: this.#book.log.tree.size,
      root: this.#book.log.tree.root().toString('base64'),
      checkpointSize: size,
      checkpointAt: at,
      coreSize: this.#book.log.coreSize,
      // How many, so that counts of people can leave them out; never which.
      decoys: state.decoyBook.presentCount,
      room: this.#disk.room,
      spent: { day: dayOf(now), counters: state.meters.counters(time.metered()) },
      orgKey: this.#rekeying.status(),
      ...(transit === undefined ? {} : { transit }),
    };
  }
}
