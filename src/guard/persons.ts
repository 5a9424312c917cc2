import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromBase64url, sha256, toBase64url } from '#base';
import { type Field, GuardError, lockRow, openOuter, type RowLabel, type SealedRow, unlockRow } from '#seal';
import { makeFolder, syncFolder, writeDurably } from './files.ts';

interface PersonLock {
  readonly lock: Buffer;
  /** The present version of each field: an older row of the same person does not open. */
  readonly versions: { readonly [field in Field]?: number };
}

/** One sealed value on its way under its person's lock: `outerBytes` of its field, HPKE to the ledger. */
export interface Arrival {
  readonly subject: string;
  readonly field: Field;
  readonly version: number;
  readonly outer: string;
}

/**
 * The persons' locks: one small file each, so that destroying a file destroys the person's data in every copy of the
 * database. Never sees plaintext: what a lock covers is still sealed to the sealer.
 */
export class Persons {
  readonly #folder: string;
  readonly #org: string;
  readonly #key: KeyObject;
  readonly #busy = new Map<string, Promise<unknown>>();

  /** `key` is the ledger's X25519 private key, for values in transit. */
  constructor(options: { readonly folder: string; readonly org: string; readonly key: KeyObject }) {
    this.#folder = options.folder;
    this.#org = options.org;
    this.#key = options.key;
  }

  /**
   * Moves a value from transit under its person's lock, made if new. The lock and the version are on disk before the
   * row is handed out. Repeating it gives another, equally good row. Throws SealError `open-failed` for a value that is
   * not sealed to this ledger under these labels.
   */
  settle(arrival: Arrival): Promise<SealedRow> {
    const { subject, field, version } = arrival;
    return this.#alone(subject, async () => {
      const label = this.#label(arrival);
      const inner = openOuter(this.#key, fromBase64url(arrival.outer), label);
      const present = await this.#load(subject);
      const person = present ?? { lock: randomBytes(32), versions: {} };
      if (present === undefined || (person.versions[field] ?? 0) < version) {
        await this.#store(subject, { lock: person.lock, versions: { ...person.versions, [field]: version } });
      }
      const row = toBase64url(lockRow(person.lock, inner, label));
      person.lock.fill(0);
      return { subject, field, version, row };
    });
  }

  /** Opens a row's outer layer; undefined if the person, the version or the row is not right. */
  open(row: SealedRow): Promise<Buffer | undefined> {
    return this.#alone(row.subject, async () => {
      const person = await this.#load(row.subject);
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

  /** Where the lock files are. */
  get folder(): string {
    return this.#folder;
  }

  /** Puts an inner layer that was sealed anew under its person's lock; undefined if the person or the version is not right. */
  relock(label: Omit<RowLabel, 'org'>, inner: Uint8Array): Promise<SealedRow | undefined> {
    const { subject, field, version } = label;
    return this.#alone(subject, async () => {
      const person = await this.#load(subject);
      if (person === undefined || person.versions[field] !== version) return undefined;
      const row = toBase64url(lockRow(person.lock, inner, this.#label(label)));
      person.lock.fill(0);
      return { subject, field, version, row };
    });
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
    const { lock, versions } = JSON.parse(await readFile(path, 'utf8')) as { lock: string; versions: object };
    const bytes = Buffer.from(fromBase64url(lock));
    if (bytes.length !== 32) throw new GuardError('corrupt', 'A lock file is damaged.');
    return { lock: bytes, versions };
  }

  async #store(subject: string, person: PersonLock): Promise<void> {
    const path = this.#path(subject);
    const folder = dirname(path);
    if (!existsSync(folder)) {
      makeFolder(folder, 0o700);
      await syncFolder(this.#folder);
    }
    await writeDurably(path, JSON.stringify({ v: 1, lock: toBase64url(person.lock), versions: person.versions }));
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
