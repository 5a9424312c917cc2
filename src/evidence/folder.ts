import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** The file of a time stamp. */
export const stampName = (reason: string, id: string): string => `${reason}-${id.slice(0, 8)}.tsr`;

/**
 * The files that outsiders read: `<log's key id>/<size>/` with `checkpoint` as the ledger signed it, `cosigned`, and time stamps
 * (`*.tsr`) of that very `checkpoint`. They are made of rows and can be made again.
 */
export class EvidenceFolder {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Writes a file as a whole, durably, readable by all. */
  async put(log: string, size: number, name: string, bytes: Uint8Array): Promise<void> {
    const folder = join(this.#dir, log, String(size));
    await mkdir(folder, { recursive: true });
    // The umask cuts modes, and evidence is public.
    for (const one of [join(this.#dir, log), folder]) await chmod(one, 0o755);
    const file = join(folder, name);
    // A name of its own: two witnesses may answer for one checkpoint at once.
    const fresh = `${file}.${randomUUID()}`;
    const handle = await open(fresh, 'wx', 0o644);
    try {
      await handle.chmod(0o644);
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  }

  has(log: string, size: number, name: string): boolean {
    return existsSync(join(this.#dir, log, String(size), name));
  }

  /** Removes the folders of sizes that are not kept any more. */
  async keepOnly(log: string, sizes: ReadonlySet<number>): Promise<number> {
    const names = await readdir(join(this.#dir, log)).catch(() => []);
    const gone = names.filter((name) => /^\d+$/.test(name) && !sizes.has(Number(name)));
    for (const name of gone) await rm(join(this.#dir, log, name), { recursive: true, force: true });
    return gone.length;
  }
}
