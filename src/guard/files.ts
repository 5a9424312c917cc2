import { mkdirSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a folder's entries durable: a rename is on disk only after this. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a file as a whole: temporary file, fsync, rename, fsync of the folder. A crash leaves the old or the new
 * file; a left-over temporary file is overwritten by the next write. `temporary` must be on the same file system.
 */
export async function writeDurably(
  path: string,
  bytes: Uint8Array | string,
  options: { readonly temporary?: string; readonly mode?: number } = {},
): Promise<void> {
  const temporary = options.temporary ?? `${path}.tmp`;
  const mode = options.mode ?? 0o600;
  const handle = await open(temporary, 'w', mode);
  try {
    // The mode given to open is cut by the umask, and the public log must be readable.
    await handle.chmod(mode);
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Writes zeros over a file in place, on disk when it resolves. */
export async function overwrite(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size), 0, size, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and its parents. */
export function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
}
