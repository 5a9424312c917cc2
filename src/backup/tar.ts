import { BackupError } from './error.ts';

// POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"): plain files with short names, so that any tar reads it.
const BLOCK = 512;
const ENTRY_NAME = /^[A-Za-z0-9][A-Za-z0-9._@+/-]*$/;

const octal = (value: number, width: number): string => value.toString(8).padStart(width - 1, '0');

/** The header of one file. Names of more than 100 bytes are refused: we have none. */
export function tarHeader(name: string, size: number, mtime: number): Buffer {
  if (Buffer.byteLength(name) > 100 || !ENTRY_NAME.test(name) || size > 0o77777777777) {
    throw new BackupError('archive', 'A file cannot be put into a backup: its name or size does not fit.');
  }
  const head = Buffer.alloc(BLOCK);
  head.write(name, 0);
  head.write(octal(0o600, 8), 100);
  head.write(octal(0, 8), 108);
  head.write(octal(0, 8), 116);
  head.write(octal(size, 12), 124);
  head.write(octal(Math.floor(mtime / 1000), 12), 136);
  head.write('        0', 148);
  head.write('ustar\u000000', 257);
  let sum = 0;
  for (const byte of head) sum += byte;
  head.write(`${octal(sum, 7)}\u0000 `, 148);
  return head;
}

/** What fills the last block of a file of this size. */
export const tarPadding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

/** Where the files of an archive go, one after the other. */
export interface TarSink {
  begin(name: string, size: number): void | Promise<void>;
  write(bytes: Buffer): void | Promise<void>;
  end(): void | Promise<void>;
}

/** Takes an archive apart as it streams in. Refuses everything but plain files with names below the top. */
export class TarReader {
  readonly #sink: TarSink;
  #held: Buffer = Buffer.alloc(0);
  #left = 0;
  #padding = 0;
  #ended = false;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  async push(bytes: Buffer): Promise<void> {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    while (this.#held.length > 0) {
      if (this.#left > 0) {
        const part = this.#held.subarray(0, this.#left);
        await this.#sink.write(part);
        this.#left -= part.length;
        this.#held = this.#held.subarray(part.length);
        if (this.#left === 0) await this.#sink.end();
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, this.#held.length);
        this.#padding -= skipped;
        this.#held = this.#held.subarray(skipped);
      } else if (this.#held.length < BLOCK) return;
      else {
        await this.#header(this.#held.subarray(0, BLOCK));
        this.#held = this.#held.subarray(BLOCK);
      }
    }
  }

  end(): void {
    if (!this.#ended || this.#left > 0) throw new BackupError('archive', 'The backup ends in the middle of a file.');
  }

  async #header(head: Buffer): Promise<void> {
    if (head.every((byte) => byte === 0)) {
      this.#ended = true;
      return;
    }
    const name = head.toString('utf8', 0, 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(head.toString('latin1', 124, 135), 8);
    const plain = head[156] === 0x30 && ENTRY_NAME.test(name) && !name.split('/').includes('..');
    if (this.#ended || !plain || !Number.isSafeInteger(size)) {
      throw new BackupError('archive', 'The backup holds something else than plain files. It is not one of ours.');
    }
    await this.#sink.begin(name, size);
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (size === 0) await this.#sink.end();
  }
}
