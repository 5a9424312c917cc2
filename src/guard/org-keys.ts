import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, fromBase64url, toBase64url } from '#base';
import { GuardError, type OrgKeyStatement, x25519Private, x25519Raw } from '#seal';
import { writeDurably } from './files.ts';
import {
  canBeHad,
  destroyKey,
  fetchKey,
  GRADES,
  type HeldKey,
  type InnerRow,
  type KeyDoors,
  type KeySource,
  type KeyVersion,
  keyFile,
  makeOrgKey,
  readSecret,
} from './org-key.ts';
import { HOUR } from './time.ts';

/** The sealer's record of its keys: `organisation.json`. Absent with the founding key alone. */
interface KeyRecord {
  readonly v: 1;
  readonly current: KeyVersion;
  /** The one version before, until no row is left under it. */
  readonly old?: KeyVersion;
  /** Made, and worth nothing until two people put it in force. */
  readonly staged?: KeyVersion;
  /** What put `current` in force; absent for the founding key. */
  readonly statement?: OrgKeyStatement;
}

/** How long a staged key waits for two people; then it is destroyed. */
const STAGED_LIFE = 24 * HOUR;

export type KeysState = 'open' | 'locked-at-boot' | 'locked';

/** A padded value and the number of the key that it was under; undefined if no key opened it. */
type Opened = { padded: Buffer; readonly under: number } | undefined;

const notLoaded = (state: KeysState) =>
  state === 'locked'
    ? new GuardError('locked', 'The directory is locked.')
    : new GuardError(
        'locked-at-boot',
        'The organisation’s key has not been given to the sealer yet. Nothing is opened.',
      );

/**
 * The organisation's key in its versions: one in force, at most one before it, at most one staged. A staged key opens
 * nothing; `wipe` forgets all that is in memory at once.
 *
 * Crash points. The record is replaced as a whole before anybody is told. A key that was made but is in no record is
 * overwritten by the next staging. A retired key is destroyed before the record says so: a crash in between leaves a record of a
 * key that cannot be had any more, and retiring it again ends that.
 */
export class OrgKeys {
  readonly #doors: KeyDoors;
  readonly #clock: Clock;
  readonly #next: KeySource;
  readonly #wrap: () => Promise<void>;
  #record: KeyRecord;
  #held = new Map<number, HeldKey>();
  #locked = false;
  #loading: Promise<void> | undefined;
  /** Raised by every wipe: what was fetched before counts no more. */
  #epoch = 0;
  #changing: Promise<unknown> = Promise.resolve();

  /** `next`: where staged keys are made. Throws GuardError `not-founded` if the record and the founding key are missing. */
  constructor(
    options: KeyDoors & {
      readonly clock: Clock;
      readonly next?: KeySource;
      /** Encrypts new key files to the recovery key, before a new key is in any record. */
      readonly wrap?: () => Promise<void>;
    },
  ) {
    this.#wrap = options.wrap ?? (async () => {});
    this.#doors = options;
    this.#clock = options.clock;
    this.#next = options.next ?? 'file';
    this.#record = readRecord(options);
  }

  get current(): KeyVersion {
    return this.#record.current;
  }

  get old(): KeyVersion | undefined {
    return this.#record.old;
  }

  get staged(): KeyVersion | undefined {
    return this.#record.staged;
  }

  /** What put the present key in force; undefined for the founding key. */
  get statement(): OrgKeyStatement | undefined {
    return this.#record.statement;
  }

  /** The third lock that is in force, raw X25519, base64url. */
  get third(): string | undefined {
    return this.statement?.third;
  }

  /** What opens values to something else than a page cannot work under the third lock. Throws GuardError `third-lock`. */
  mustHaveNoThird(): void {
    if (this.third === undefined) return;
    throw new GuardError(
      'third-lock',
      'The third lock is in force: nothing here can read names, numbers or addresses. Search, messages and exports are off.',
    );
  }

  get state(): KeysState {
    if (this.#held.has(this.current.number)) return 'open';
    return this.#locked ? 'locked' : 'locked-at-boot';
  }

  status() {
    const shown = (version: KeyVersion) => ({ ...version, grade: GRADES[version.source] });
    const { current, old, staged } = this.#record;
    return {
      state: this.state,
      current: shown(current),
      ...(old === undefined ? {} : { old: shown(old) }),
      ...(staged === undefined ? {} : { staged: shown(staged) }),
      next: this.#next,
    };
  }

  /** Fetches the key in force, and the one before it, from their sources. At once for files. Throws GuardError. */
  load(): Promise<void> {
    this.#locked = false;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** What is in force stays so, whether or not every key can be had at the moment: it is asked for again. */
  async #loadIfCan(): Promise<void> {
    await this.load().catch((error: unknown) => {
      if (!(error instanceof GuardError)) throw error;
    });
  }

  async #load(): Promise<void> {
    const epoch = this.#epoch;
    for (const version of [this.#record.current, this.#record.old]) {
      if (version === undefined || this.#held.has(version.number)) continue;
      const fetched = fetchKey(this.#doors, version);
      this.#hold(version.number, await fetched, epoch);
    }
  }

  #hold(number: number, held: HeldKey, epoch: number): void {
    if (epoch === this.#epoch) this.#held.set(number, held);
    else {
      held.wipe();
      throw notLoaded('locked');
    }
  }

  /** Forgets every key in memory, now. */
  wipe(): void {
    this.#locked = true;
    this.#epoch++;
    for (const held of this.#held.values()) held.wipe();
    this.#held = new Map();
    // Key objects of past openings are wiped by OpenSSL when they are collected; the sealer runs with --expose-gc.
    (globalThis as { gc?: () => void }).gc?.();
  }

  /** Throws GuardError `locked` or `locked-at-boot` unless the key in force is at hand. */
  mustBeOpen(): void {
    if (this.state !== 'open') throw notLoaded(this.state);
  }

  /**
   * For sealing anew: what opens with neither key is taken for lost, so neither may be missing. Throws GuardError `locked`,
   * `locked-at-boot`.
   */
  mustHaveBoth(): void {
    this.mustBeOpen();
    if (this.missing) throw notLoaded('locked-at-boot');
  }

  /** Whether a key that should be at hand is not: its source must be asked again. */
  get missing(): boolean {
    const { current, old } = this.#record;
    return !this.#locked && [current, old].some((one) => one !== undefined && !this.#held.has(one.number));
  }

  /**
   * Opens inner layers with the key in force, and what that does not open with the one before, or the other way round. `under`
   * says which key it was. Throws GuardError `locked`, `locked-at-boot`.
   */
  async open(rows: readonly InnerRow[], options: { readonly oldFirst?: boolean } = {}): Promise<readonly Opened[]> {
    this.mustBeOpen();
    const epoch = this.#epoch;
    const { current, old } = this.#record;
    const order = options.oldFirst === true ? [old, current] : [current, old];
    const found: Opened[] = rows.map(() => undefined);
    for (const version of order) {
      const held = version === undefined ? undefined : this.#held.get(version.number);
      const rest = rows.flatMap((row, i) => (found[i] === undefined ? [{ row, i }] : []));
      if (version === undefined || held === undefined || rest.length === 0) continue;
      const opened = await held.open(rest.map(({ row }) => row));
      for (const [n, { i }] of rest.entries()) {
        const padded = opened[n];
        if (padded !== undefined) found[i] = { padded, under: version.number };
      }
    }
    if (epoch !== this.#epoch) {
      for (const one of found) one?.padded.fill(0);
      throw notLoaded('locked');
    }
    return found;
  }

  /**
   * The staged key, made if there is none; one that nobody put in force within a day is destroyed first. Throws GuardError
   * `busy` while an older version is still being replaced: exactly one is kept.
   */
  stage(): Promise<KeyVersion> {
    return this.#alone(async () => {
      const { current, old, staged } = this.#record;
      if (old !== undefined)
        throw new GuardError('busy', 'Rows are still being sealed anew. Wait until that has ended.');
      const now = this.#clock();
      const good = staged !== undefined && !this.#stale(staged) && staged.source === this.#next;
      if (good && (await canBeHad(this.#doors, staged))) return staged;
      if (staged !== undefined) await this.#discard();
      const number = current.number + 1;
      const key = await makeOrgKey(this.#doors, number, this.#next);
      await this.#wrap();
      const made: KeyVersion = { number, key, source: this.#next, since: now };
      await this.#write({ ...this.#record, staged: made });
      return made;
    });
  }

  async #discard(): Promise<void> {
    const { staged, ...rest } = this.#record;
    if (staged === undefined) return;
    await destroyKey(this.#doors, staged);
    await this.#write(rest);
  }

  /** Destroys a staged key that nobody put in force in time. */
  expire(): Promise<void> {
    return this.#alone(async () => {
      const { staged } = this.#record;
      if (staged !== undefined && this.#clock() - staged.since >= STAGED_LIFE) await this.#discard();
    });
  }

  /** Whether this is the staged key, and that the one that it is to follow. */
  isStaged(number: number, key: string, previous: string): boolean {
    const { staged, current } = this.#record;
    return staged?.number === number && staged.key === key && current.key === previous && !this.#stale(staged);
  }

  #stale = (staged: KeyVersion): boolean => this.#clock() - staged.since >= STAGED_LIFE;

  /**
   * Puts the staged key in force. Its source must give it now: a key that nobody can load is never written under. Loads the
   * key before it too, for sealing anew. Throws GuardError.
   */
  promote(statement: OrgKeyStatement): Promise<void> {
    return this.#alone(async () => {
      const { staged, current, old } = this.#record;
      if (this.#record.statement?.approval === statement.approval) return this.#loadIfCan();
      if (staged === undefined || old !== undefined)
        throw new GuardError('busy', 'There is no staged key to put in force.');
      const epoch = this.#epoch;
      const held = await fetchKey(this.#doors, staged);
      const now = this.#clock();
      await this.#write({ v: 1, current: { ...staged, since: now }, old: { ...current, since: now }, statement });
      // A lock that came meanwhile counts: the key is in force, and nothing is opened.
      if (epoch !== this.#epoch) return held.wipe();
      this.#held.set(staged.number, held);
      await this.#loadIfCan();
    });
  }

  /** Destroys the version before the one in force: no row is left under it. */
  retire(number: number): Promise<void> {
    return this.#alone(async () => {
      const { old, ...rest } = this.#record;
      if (old?.number !== number) return;
      this.#held.get(number)?.wipe();
      this.#held.delete(number);
      await destroyKey(this.#doors, old);
      await this.#write(rest);
    });
  }

  async #write(record: KeyRecord): Promise<void> {
    await writeDurably(join(this.#doors.state, 'organisation.json'), JSON.stringify(record));
    this.#record = record;
  }

  /** One change at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#changing.then(work, work);
    this.#changing = run.catch(() => {});
    return run;
  }
}

function readRecord({ state, clock }: { readonly state: string; readonly clock: Clock }): KeyRecord {
  const path = join(state, 'organisation.json');
  if (existsSync(path)) {
    const record = JSON.parse(readFileSync(path, 'utf8')) as KeyRecord;
    if (record.v !== 1) throw new GuardError('corrupt', 'The record of keys is of another version.');
    return record;
  }
  const secret = readSecret(keyFile(state, 1));
  const key = toBase64url(x25519Raw(x25519Private(secret)));
  secret.fill(0);
  return { v: 1, current: { number: 1, key, source: 'file', since: clock() } };
}

/** Raw bytes of a version's public key. */
export const publicBytes = (version: KeyVersion): Uint8Array => fromBase64url(version.key);
