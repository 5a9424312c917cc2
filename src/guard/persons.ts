import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
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
      const person = present ?? { lock: randomBytes(32), versions: {}, outers: {} };
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
      if (taken.length > 0) await this.#store(subject, { lock: person.lock, versions, outers });
      const rows = incoming.map((one) => {
        if (!taken.includes(one)) return undefined;
        const { field, version, inner } = one;
        const row = toBase64url(lockRow(person.lock, inner, this.#label({ subject, field, version })));
        return { subject, field, version, row };
      });
      person.lock.fill(0);
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
      try {
        return unlockRow(person.lock, fromBase64url(row.row), this.#label(row));
      } catch {
        return undefined;
      } finally {
        person.lock.fill(0);
      }
    });
  }

  /** Puts an inner layer that was sealed anew under its person's lock; undefined if the person or the version is not right. */
  relock(label: Omit<RowLabel, 'org'>, inner: Uint8Array): Promise<SealedRow | undefined> {
    const { subject, field, version } = label;
    return this.#alone(subject, async () => {
      const person = await this.#load(subject);
      this.#mustNotBeBehind(subject, person);
      if (person === undefined || person.versions[field] !== version) return undefined;
      const row = toBase64url(lockRow(person.lock, inner, this.#label(label)));
      person.lock.fill(0);
      return { subject, field, version, row };
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
      for (const file of [path, `${path}.tmp`]) {
        if (!existsSync(file)) continue;
        await overwrite(file);
        await rm(file);
        gone = true;
      }
      if (gone) await syncFolder(dirname(path));
    });
  }

  /** Every version that lock files hold: for the founding of writers on a ledger from before versions were journalled. */
  async *all(): AsyncGenerator<Placed> {
    for (const part of await readdir(this.#folder)) {
      for (const subject of await readdir(join(this.#folder, part))) {
        if (subject.endsWith('.tmp')) continue;
        const person = await this.#load(subject);
        person?.lock.fill(0);
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
    const read = JSON.parse(await readFile(path, 'utf8')) as { lock: string; versions: object; outers?: object };
    const bytes = Buffer.from(fromBase64url(read.lock));
    if (bytes.length !== 32) throw new GuardError('corrupt', 'A lock file is damaged.');
    return { lock: bytes, versions: read.versions, outers: read.outers ?? {} };
  }

  async #store(subject: string, { lock, versions, outers }: PersonLock): Promise<void> {
    const path = this.#path(subject);
    const folder = dirname(path);
    if (!existsSync(folder)) {
      makeFolder(folder, 0o700);
      await syncFolder(this.#folder);
    }
    await writeDurably(path, JSON.stringify({ v: 2, lock: toBase64url(lock), versions, outers }));
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
