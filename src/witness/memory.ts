import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#base';
import { type Checkpoint, EMPTY_ROOT, parseForeignCheckpoint, parseVerifierKey } from '#proof';
import { WitnessError } from './error.ts';

/** A log that is witnessed, with the newest of it that was cosigned. */
export interface Known {
  readonly origin: string;
  /** Its verifier keys: any one of them signs. */
  readonly keys: readonly string[];
  readonly newest: Pick<Checkpoint, 'size' | 'root'>;
}

const MOST_LOGS = 1_000;
/** Of one log; whoever has its key could else fill the disk. */
const MOST_EXHIBITS = 16;

const textOf = (note: string) => note.slice(0, note.lastIndexOf('\n\n') + 1);
const nameOf = (origin: string) => sha256(origin).toString('hex', 0, 16);

/**
 * What a witness remembers, a folder of files per log: `<hash>.log` the origin and its keys, `<hash>.newest` the newest
 * checkpoint that was cosigned, empty if none was.
 *
 * Crash points of `keep`. Before the rename: the old checkpoint counts, and nothing was signed. After it: the new one counts
 * and perhaps was never answered; the client asks again, from the new size. A file that is missing or damaged is never taken
 * for the beginning: that would be a roll-back of ours.
 */
export class Memory {
  readonly #dir: string;
  readonly #logs = new Map<string, Known>();

  private constructor(dir: string) {
    this.#dir = join(dir, 'logs');
  }

  /** Reads everything. Throws WitnessError `state`. */
  static open(dir: string): Memory {
    const memory = new Memory(dir);
    let files: string[];
    try {
      files = readdirSync(memory.#dir).filter((name) => name.endsWith('.log'));
    } catch (cause) {
      throw new WitnessError('state', 'The folder of known logs is missing. Restore it; it is not made anew.', {
        cause,
      });
    }
    for (const file of files) {
      const known = memory.#read(file);
      memory.#logs.set(known.origin, known);
    }
    return memory;
  }

  /** A log by its origin. */
  of(origin: string): Known | undefined {
    return this.#logs.get(origin);
  }

  get logs(): readonly Known[] {
    return [...this.#logs.values()];
  }

  /** Takes a log on, or a further key of one that is known. Throws WitnessError `usage` or ProofError `key`. */
  add(verifier: string): Known {
    const { name: origin } = parseVerifierKey(verifier);
    const before = this.#logs.get(origin);
    if (before?.keys.includes(verifier)) throw new WitnessError('usage', 'This log is known with this key.');
    if (this.#logs.size >= MOST_LOGS) throw new WitnessError('usage', 'A witness takes on 1000 logs.');
    const known = { origin, keys: [...(before?.keys ?? []), verifier], newest: before?.newest ?? EMPTY };
    const base = join(this.#dir, nameOf(origin));
    if (before === undefined) writeFileSync(`${base}.newest`, '', { flag: 'wx', flush: true });
    writeFileSync(`${base}.log.new`, `${known.keys.join('\n')}\n`, { flush: true });
    renameSync(`${base}.log.new`, `${base}.log`);
    this.#logs.set(origin, known);
    return known;
  }

  /** Remembers a checkpoint on the disk; only then may it be signed. */
  async keep(known: Known, note: string): Promise<void> {
    const { size, root } = parseForeignCheckpoint(textOf(note));
    const file = join(this.#dir, `${nameOf(known.origin)}.newest`);
    const handle = await open(`${file}.new`, 'w', 0o600);
    try {
      await handle.writeFile(note);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${file}.new`, file);
    const folder = await open(this.#dir, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    this.#logs.set(known.origin, { ...known, newest: { size, root } });
  }

  /** Puts aside what a log signed beside what we cosigned: with the kept checkpoint it proves that the log has two faces. */
  exhibit(known: Known, note: string): void {
    const name = nameOf(known.origin);
    if (readdirSync(this.#dir).filter((one) => one.startsWith(`${name}.exhibit`)).length >= MOST_EXHIBITS) return;
    const file = join(this.#dir, `${name}.exhibit-${sha256(note).toString('hex', 0, 6)}`);
    if (!existsSync(file)) writeFileSync(file, note, { mode: 0o600, flush: true });
  }

  #read(file: string): Known {
    try {
      const keys = readFileSync(join(this.#dir, file), 'utf8').trim().split('\n');
      const origin = parseVerifierKey(keys[0]!).name;
      if (file !== `${nameOf(origin)}.log`) throw new Error('another name');
      const note = readFileSync(join(this.#dir, file.replace(/log$/, 'newest')), 'utf8');
      if (note === '') return { origin, keys, newest: EMPTY };
      const newest = parseForeignCheckpoint(textOf(note));
      if (newest.origin !== origin) throw new Error('another log');
      return { origin, keys, newest };
    } catch (cause) {
      throw new WitnessError(
        'state',
        `What is remembered of a log (${file}) is missing or damaged. Restore it; a witness that forgets is none.`,
        { cause },
      );
    }
  }
}

const EMPTY = { size: 0, root: EMPTY_ROOT };
