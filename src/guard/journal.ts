import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { canonicalJson, type Json } from '#base';
import { GuardError } from '#seal';
import { withinMs } from './patience.ts';

/** Longest record, bytes of payload. */
const RECORD_BYTES = 1024 * 1024;
/** Most bytes that one group commit writes: no more than this can be torn by a crash. */
const BATCH_BYTES = 4 * 1024 * 1024;
const HEAD = 8;

/** A write or fsync that takes longer than this hangs, milliseconds: the journal is then dead for good. */
const HUNG_MS = 10_000;

/** Where a record's payload lies in the file. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

export interface JournalOptions {
  /** Files that must exist at every commit: a log whose public part was deleted is not written on. */
  readonly present: readonly string[];
  /** Called once, after the first failed write. */
  readonly onFailure: (cause: unknown) => void;
  /** A record for the end of a journal whose disk is full, made once there is room for it again. */
  readonly lastWords?: () => Promise<Json | undefined>;
  readonly hungMs?: number;
}

interface Waiting {
  readonly bytes: Buffer;
  readonly place: Place;
  resolve(): void;
  reject(error: Error): void;
}

const unusable = (cause?: unknown) =>
  new GuardError('unavailable', 'The log cannot be written. Nothing is opened until it can.', { cause });

/**
 * An append-only file of records: 4-byte length, 4-byte CRC-32, canonical JSON. `append` resolves only when the record
 * is on disk (fdatasync) and the path still leads to the very file that was written; concurrent appends share one
 * write. After any failure the journal is dead for good: the process must end (exit 74).
 *
 * Crash points. Within a write: the last batch may be torn; the next open cuts the file at the first bad record, as
 * nothing of that batch was ever answered. After the write: the records are there and count.
 */
export class Journal {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #options: JournalOptions;
  #end: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #dead = false;

  private constructor(path: string, handle: FileHandle, end: number, options: JournalOptions) {
    this.#path = path;
    this.#handle = handle;
    this.#end = end;
    this.#options = options;
  }

  /** Creates an empty journal; fails if there is one. */
  static async create(path: string): Promise<void> {
    const handle = await open(path, 'wx', 0o600);
    await handle.sync();
    await handle.close();
  }

  /**
   * Opens an existing journal, hands every whole record to `replay` and cuts a torn tail off. Throws GuardError
   * `corrupt` if more is damaged than one batch can be, and the system's error if the file is missing.
   */
  static async open(
    path: string,
    replay: (record: unknown, place: Place) => void,
    options: JournalOptions,
  ): Promise<{ journal: Journal; cut: number }> {
    const handle = await open(path, constants.O_RDWR);
    const size = (await handle.stat()).size;
    let at = 0;
    let buffer = Buffer.alloc(0);
    let start = 0;
    const take = async (length: number): Promise<Buffer | undefined> => {
      while (at + length > start + buffer.length) {
        const chunk = Buffer.alloc(Math.max(1 << 20, length));
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, start + buffer.length);
        if (bytesRead === 0) return undefined;
        buffer = Buffer.concat([buffer.subarray(at - start), chunk.subarray(0, bytesRead)]);
        start = at;
      }
      return buffer.subarray(at - start, at - start + length);
    };
    for (;;) {
      const head = await take(HEAD);
      if (head === undefined) break;
      const length = head.readUInt32BE(0);
      const crc = head.readUInt32BE(4);
      if (length === 0 || length > RECORD_BYTES) break;
      const record = await take(HEAD + length);
      if (record === undefined || crc32(record.subarray(HEAD)) !== crc) break;
      replay(JSON.parse(record.toString('utf8', HEAD)), { offset: at + HEAD, length });
      at += HEAD + length;
    }
    const cut = size - at;
    if (cut > BATCH_BYTES) {
      await handle.close();
      throw new GuardError('corrupt', 'The journal is damaged in its middle. Restore it; it is not continued.');
    }
    if (cut > 0) {
      await handle.truncate(at);
      await handle.sync();
    }
    return { journal: new Journal(path, handle, at, options), cut };
  }

  /** True until a write failed. */
  get usable(): boolean {
    return !this.#dead;
  }

  /** Queues a record and returns its place; `written` resolves when it is durable, rejects with GuardError `unavailable`. */
  append(record: Json): { readonly place: Place; readonly written: Promise<void> } {
    const bytes = encoded(record);
    const place = { offset: this.#end + HEAD, length: bytes.length - HEAD };
    if (this.#dead) return { place, written: Promise.reject(unusable()) };
    this.#end += bytes.length;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes, place, resolve, reject });
    this.#writing ??= this.#write();
    return { place, written: promise };
  }

  /** Reads a record back. */
  async read(place: Place): Promise<unknown> {
    const bytes = Buffer.alloc(place.length);
    const { bytesRead } = await this.#handle.read(bytes, 0, place.length, place.offset);
    if (bytesRead !== place.length) throw unusable();
    return JSON.parse(bytes.toString('utf8'));
  }

  /** Waits for what is queued and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    this.#dead = true;
    await this.#handle.close();
  }

  async #write(): Promise<void> {
    // One turn later, so that everything that arrived in the same turn shares the write.
    await Promise.resolve();
    while (this.#waiting.length > 0 && !this.#dead) {
      const batch = this.#takeBatch();
      try {
        await withinMs(this.#commit(batch), this.#options.hungMs ?? HUNG_MS, 'the disk hangs');
      } catch (cause) {
        this.#dead = true;
        if (isFull(cause)) await this.#lastWords(batch[0]!.place.offset - HEAD).catch(() => {});
        this.#fail(cause, batch);
        return;
      }
      for (const one of batch) one.resolve();
    }
    this.#writing = undefined;
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const one of this.#waiting) {
      if (count > 0 && bytes + one.bytes.length > BATCH_BYTES) break;
      bytes += one.bytes.length;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #commit(batch: Waiting[]): Promise<void> {
    const bytes = Buffer.concat(batch.map((one) => one.bytes));
    const offset = batch[0]!.place.offset - HEAD;
    if ((await this.#handle.stat()).size !== offset) throw new Error('the journal was cut');
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done);
      done += bytesWritten;
    }
    await this.#handle.datasync();
    const [byPath, byHandle]: readonly [Stats, Stats, ...Stats[]] = await Promise.all([
      stat(this.#path),
      this.#handle.stat(),
      ...this.#options.present.map((path) => stat(path)),
    ]);
    const same = byPath.ino === byHandle.ino && byPath.dev === byHandle.dev;
    if (!same || byHandle.size !== offset + bytes.length) throw new Error('the journal was replaced or cut');
  }

  #fail(cause: unknown, batch: Waiting[]): void {
    const error = unusable(cause);
    for (const one of [...batch, ...this.#waiting]) one.reject(error);
    this.#waiting = [];
    this.#options.onFailure(cause);
  }

  /** The torn batch gives way to one record that says why this is the end. Nothing of the batch was answered. */
  async #lastWords(offset: number): Promise<void> {
    const record = await this.#options.lastWords?.();
    if (record === undefined) return;
    await this.#handle.truncate(offset);
    const bytes = encoded(record);
    const { bytesWritten } = await this.#handle.write(bytes, 0, bytes.length, offset);
    if (bytesWritten !== bytes.length) await this.#handle.truncate(offset);
    await this.#handle.datasync();
  }
}

function encoded(record: Json): Buffer {
  const payload = Buffer.from(canonicalJson(record));
  if (payload.length > RECORD_BYTES) throw new GuardError('too-long', 'The request is too long to be recorded.');
  const bytes = Buffer.alloc(HEAD + payload.length);
  bytes.writeUInt32BE(payload.length, 0);
  bytes.writeUInt32BE(crc32(payload), 4);
  payload.copy(bytes, HEAD);
  return bytes;
}

/** ENOSPC, EDQUOT, or EFBIG where a limit stands for them. */
export const isFull = (cause: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String((cause as { code?: unknown } | undefined)?.code));
