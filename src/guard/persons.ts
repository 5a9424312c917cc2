import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromBase64url, sha256, toBase64url } from '#base';
import { type Field, GuardError, lockRow, type RowLabel, type SealedRow, unlockRow } from '#seal';
import { makeFolder, overwrite, syncFolder, writeDurably } from './files.ts';
import type { Placed, Rows } from './rows.ts';

interface PersonLock {
  readonly lock: Buffer;
  /** The present version of each field: an older row of the same person does not open. */
  readonly versions: { readonly [field in Field]?: number };
  /** base64url SHA-256 of the value in transit that each version was made of: one version is one value. */
  readonly outers: { readonly [field in Field]?: string };
  /** Which change of all locks this lock is of. */
  readonly generation: number;
  /** While the lock is changed: the one to come. Both open rows; what is new goes under this one. */
  readonly next?: Buffer;
}

/** As it is in the file; what came later may be missing. */
interface Stored {
  readonly lock: string;
  readonly next?: string;
  readonly versions: PersonLock['versions'];
  readonly outers?: PersonLock['outers'];
  readonly generation?: number;
}

function lockOf(text: string): Buffer {
  const bytes = Buffer.from(fromBase64url(text));
  if (bytes.length !== 32) throw new GuardError('corrupt', 'A lock file is damaged.');
  return bytes;
}

function forget({ lock, next }: PersonLock): void {
  lock.fill(0);
  next?.fill(0);
}

/** A value without its transit layer, about to be put under its person's lock. */
export interface Incoming {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  /** `innerBytes` of the field: still sealed to the sealer. */
  readonly inner: Uint8Array;
  /** base64url SHA-256 of the value in transit. */
  readonly outer: string;
}

/**
 * The persons' locks: one small file each, so that destroying a file destroys the person's data in every copy of the
 * database. Never sees plaintext: what a lock covers is still sealed to the sealer.
 *
 * Crash points of `put`. The file is written before the journal: a crash in between leaves a file that is ahead of the
 * journal, and the value, which still waits in the database, is put again. So a file that is behind the journal was put back.
 */
export class Persons {
  readonly #folder: string;
  readonly #org: string;
  readonly #rows: Rows;
  readonly #busy = new Map<string, Promise<unknown>>();

  /** `rows` is what the journal knows of present versions. */
  constructor(options: { readonly folder: string; readonly org: string; readonly rows: Rows }) {
    this.#folder = options.folder;
    this.#org = options.org;
    this.#rows = options.rows;
  }

  /**
   * Puts values of one person under the lock, made if new; lock and versions are on disk before the rows are handed out.
   * Repeating it gives another, equally good row; a version that holds another value already gives none. Answers in order.
   */
  put(subject: string, incoming: readonly Incoming[]): Promise<(SealedRow | undefined)[]> {
    return this.#alone(subject, async () => {
      // Somebody may have been erased since the values were judged.
      if (this.#rows.left.has(subject)) return incoming.map(() => undefined);
      const present = await this.#load(subject);
      this.#mustNotBeBehind(subject, present);
      const person = present ?? { lock: randomBytes(32), versions: {}, outers: {}, generation: this.#rows.generation };
      const versions = { ...person.versions };
      const outers = { ...person.outers };
      const taken = incoming.filter(({ field, version, outer }) => {
        const before = versions[field] ?? 0;
        if (version < before || (version === before && outers[field] !== undefined && outers[field] !== outer))
          return false;
        versions[field] = version;
        outers[field] = outer;
        return true;
      });
      if (taken.length > 0) await this.#store(subject, { ...person, versions, outers });
      const rows = incoming.map((one) => {
        if (!taken.includes(one)) return undefined;
        const { field, version, inner } = one;
        const lock = person.next ?? person.lock;
        const row = toBase64url(lockRow(lock, inner, this.#label({ subject, field, version })));
        return { subject, field, version, row };
      });
      forget(person);
      return rows;
    });
  }

  /** Opens a row's outer layer; undefined if the person, the version or the row is not right. Throws GuardError `rolled-back`. */
  open(row: SealedRow): Promise<Buffer | undefined> {
    return this.#alone(row.subject, async () => {
      if (this.#rows.left.has(row.subject)) return undefined;
      const person = await this.#load(row.subject);
      this.#mustNotBeBehind(row.subject, person);
      if (person === undefined || person.versions[row.field] !== row.version) return undefined;
      const opened = this.#under(person.next, row) ?? this.#under(person.lock, row);
      forget(person);
      return opened;
    });
  }

  /** Puts an inner layer that was sealed anew under its person's lock; undefined if the person or the version is not right. */
  relock(label: Omit<RowLabel, 'org'>, inner: Uint8Array): Promise<SealedRow | undefined> {
    const { subject, field, version } = label;
    return this.#alone(subject, async () => {
      const person = await this.#load(subject);
      this.#mustNotBeBehind(subject, person);
      if (person === undefined || person.versions[field] !== version) return undefined;
      const row = toBase64url(lockRow(person.next ?? person.lock, inner, this.#label(label)));
      forget(person);
      return { subject, field, version, row };
    });
  }

  /**
   * Takes one person's rows from under the present lock and puts them under a new one; `withdrawn` says which versions have no
   * row any more. Answers what to store in the rows' place. `done`: every present value was shown under the new lock, and the
   * old one is destroyed.
   */
  relockAll(
    subject: string,
    generation: number,
    rows: readonly SealedRow[],
    withdrawn: ReadonlyMap<Field, number>,
  ): Promise<{ rows: readonly SealedRow[]; done: boolean }> {
    return this.#alone(subject, async () => {
      const loaded = this.#rows.left.has(subject) ? undefined : await this.#load(subject);
      this.#mustNotBeBehind(subject, loaded);
      if (loaded === undefined || loaded.generation >= generation) return { rows: [], done: loaded !== undefined };
      const person = { ...loaded, next: loaded.next ?? randomBytes(32) };
      if (loaded.next === undefined) await this.#store(subject, person);
      const fresh: SealedRow[] = [];
      const under = new Set<string>([...withdrawn].flatMap(([f, v]) => (person.versions[f] === v ? [f] : [])));
      for (const row of rows) {
        if (person.versions[row.field] !== row.version) continue;
        if (this.#under(person.next, row) !== undefined) under.add(row.field);
        else {
          const inner = this.#under(person.lock, row);
          if (inner === undefined) continue;
          fresh.push({ ...row, row: toBase64url(lockRow(person.next, inner, this.#label(row))) });
        }
      }
      const done = Object.keys(person.versions).every((field) => under.has(field));
      if (done) {
        const { next, ...rest } = person;
        await this.#store(subject, { ...rest, lock: next, generation }, { destroyOld: true });
      }
      forget(person);
      return { rows: fresh, done };
    });
  }

  /**
   * Destroys a person's lock: overwritten, removed, and the folder synced. What a crash left of an unfinished write goes too.
   * Repeating it does nothing. On storage that copies on write the old block may live on: see docs/leavers.md.
   */
  destroy(subject: string): Promise<void> {
    return this.#alone(subject, async () => {
      const path = this.#path(subject);
      let gone = false;
      for (const file of [path, `${path}.tmp`, `${path}.old`]) {
        if (!existsSync(file)) continue;
        await overwrite(file);
        await rm(file);
        gone = true;
      }
      if (gone) await syncFolder(dirname(path));
    });
  }

  /** Destroys what a crash left of locks that were being replaced. */
  async sweep(): Promise<void> {
    for (const part of await readdir(this.#folder)) {
      for (const name of await readdir(join(this.#folder, part))) {
        if (!name.endsWith('.old') && !name.endsWith('.tmp')) continue;
        const file = join(this.#folder, part, name);
        // A crash between the second name and the new file: the lock is still in force under its own.
        const { nlink } = await stat(file);
        if (nlink === 1) await overwrite(file);
        await rm(file);
      }
    }
  }

  /** The inner layer if the row is under this lock. */
  #under(lock: Buffer | undefined, row: SealedRow): Buffer | undefined {
    if (lock === undefined) return undefined;
    try {
      return unlockRow(lock, fromBase64url(row.row), this.#label(row));
    } catch {
      return undefined;
    }
  }

  /** Every version that lock files hold: for the founding of writers on a ledger from before versions were journalled. */
  async *all(): AsyncGenerator<Placed> {
    for (const part of await readdir(this.#folder)) {
      for (const subject of await readdir(join(this.#folder, part))) {
        if (subject.includes('.')) continue;
        const person = await this.#load(subject);
        if (person !== undefined) forget(person);
        for (const [field, version] of Object.entries(person?.versions ?? {})) yield [subject, field as Field, version];
      }
    }
  }

  #mustNotBeBehind(subject: string, person: PersonLock | undefined): void {
    const behind = this.#rows.fields(subject).some(([field, version]) => (person?.versions[field] ?? 0) < version);
    if (behind)
      throw new GuardError('rolled-back', 'A lock is older than the log. It opens nothing; restore the newest.');
  }

  #label({ subject, field, version }: Omit<RowLabel, 'org'>): RowLabel {
    return { org: this.#org, subject, field, version };
  }

  #path(subject: string): string {
    return join(this.#folder, sha256(subject).toString('hex').slice(0, 2), subject);
  }

  async #load(subject: string): Promise<PersonLock | undefined> {
    const path = this.#path(subject);
    if (!existsSync(path)) return undefined;
    const { lock, next, versions, outers = {}, generation = 0 } = JSON.parse(await readFile(path, 'utf8')) as Stored;
    return {
      ...{ lock: lockOf(lock), versions, outers, generation },
      ...(next === undefined ? {} : { next: lockOf(next) }),
    };
  }

  async #store(subject: string, person: PersonLock, { destroyOld = false } = {}): Promise<void> {
    const path = this.#path(subject);
    const folder = dirname(path);
    if (!existsSync(folder)) {
      makeFolder(folder, 0o700);
      await syncFolder(this.#folder);
    }
    const { lock, next, versions, outers, generation } = person;
    const text = JSON.stringify({
      ...{ v: 2, lock: toBase64url(lock), versions, outers, generation },
      ...(next === undefined ? {} : { next: toBase64url(next) }),
    });
    // The old file keeps a name until it is overwritten, so that a crash in between leaves it where `sweep` finds it.
    const old = `${path}.old`;
    if (destroyOld) {
      await rm(old, { force: true });
      await link(path, old);
    }
    await writeDurably(path, text);
    if (!destroyOld) return;
    await overwrite(old);
    await rm(old);
    await syncFolder(folder);
  }

  /** One at a time per person: two settles must not make two locks. */
  #alone<T>(subject: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(subject) ?? Promise.resolve();
    const run = before.then(work, work);
    this.#busy.set(subject, run);
    const done = () => {
      if (this.#busy.get(subject) === run) this.#busy.delete(subject);
    };
    run.then(done, done);
    return run;
  }
}
