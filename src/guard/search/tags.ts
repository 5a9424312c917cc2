import { constants, existsSync, readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { writeDurably } from '../files.ts';

/** Its file in the ledger's folder. */
export const TAGS = 'tags';

/** A number's tag, and whose it is: base64url, 32 bytes. */
export interface Tag {
  readonly subject: string;
  readonly version: number;
  readonly tag: string;
}

/** At most so many people are told of one number. */
const MOST_SHARERS = 10;

/**
 * The ledger's table of tags: a file of lines, appended to as numbers are indexed and written anew when somebody leaves, so
 * that nothing of them stays. A torn last line is dropped; whoever stood there is indexed again.
 */
export class Tags {
  readonly #path: string;
  readonly #bySubject = new Map<string, Tag>();
  readonly #byTag = new Map<string, Set<string>>();
  #turn: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
      if (line !== '') this.#put(JSON.parse(line) as Tag);
    }
  }

  get size(): number {
    return this.#bySubject.size;
  }

  version(subject: string): number | undefined {
    return this.#bySubject.get(subject)?.version;
  }

  /** Who has a number of this tag. */
  find(tag: string): readonly Tag[] {
    return [...(this.#byTag.get(tag) ?? [])].slice(0, MOST_SHARERS).map((subject) => this.#bySubject.get(subject)!);
  }

  /** Takes tags in; resolves when they are on disk. */
  add(tags: readonly Tag[]): Promise<void> {
    for (const tag of tags) this.#put(tag);
    const lines = tags.map((tag) => `${JSON.stringify(tag)}\n`).join('');
    return this.#alone(async () => {
      // The last line may be torn: a new one must not be glued to it.
      const handle = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
      try {
        const end = await wholeLines(handle);
        await handle.truncate(end);
        await handle.write(lines, end);
        await handle.datasync();
      } finally {
        await handle.close();
      }
    });
  }

  /** Forgets these people; resolves when the file has nothing of them. */
  async drop(subjects: readonly string[]): Promise<void> {
    const there = subjects.filter((subject) => this.#remove(subject));
    if (there.length > 0) await this.#alone(() => this.#rewrite());
  }

  async clear(): Promise<void> {
    this.#bySubject.clear();
    this.#byTag.clear();
    await this.#alone(() => this.#rewrite());
  }

  #rewrite(): Promise<void> {
    const lines = [...this.#bySubject.values()].map((tag) => `${JSON.stringify(tag)}\n`);
    return writeDurably(this.#path, lines.join(''));
  }

  #put(tag: Tag): void {
    this.#remove(tag.subject);
    this.#bySubject.set(tag.subject, tag);
    const sharers = this.#byTag.get(tag.tag) ?? new Set();
    sharers.add(tag.subject);
    this.#byTag.set(tag.tag, sharers);
  }

  #remove(subject: string): boolean {
    const before = this.#bySubject.get(subject);
    if (before === undefined) return false;
    this.#bySubject.delete(subject);
    const sharers = this.#byTag.get(before.tag);
    sharers?.delete(subject);
    if (sharers?.size === 0) this.#byTag.delete(before.tag);
    return true;
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => {});
    return run;
  }
}

/** Where the last whole line ends. */
async function wholeLines(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  const tail = Buffer.alloc(Math.min(size, 4_096));
  await handle.read(tail, 0, tail.length, size - tail.length);
  return size - tail.length + tail.lastIndexOf(0x0a) + 1;
}
