import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError, type Member } from '#backup';
import type { DatabaseConfig } from '#store';

/** A folder under a name in the backup; `skip` and `first`, `last` by path below it. */
export interface FolderSource {
  readonly name: string;
  readonly path: string;
  /** Patterns of paths that stay out. */
  readonly skip?: readonly string[];
  /** Beginnings of paths in the order in which they are read; others come after the first and before the last. */
  readonly first?: readonly string[];
  readonly last?: readonly string[];
}

export interface DumpSource {
  readonly admin: DatabaseConfig;
  /** Folder of PostgreSQL's programs, and what they need. */
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

const PART = 1024 * 1024;
const DUMP_PART = 8 * 1024 * 1024;
/** Half-written files of ours, and sockets. */
const ALWAYS_SKIP = /(^|\/)(publishing|sock)$|\.(tmp|new|part)$/;

/**
 * The files of a folder that is in use. Each is read through one handle up to the size that it had when it was opened, so
 * that a file that grows is whole up to there; one that is gone by then is left out.
 */
export async function* folderMembers(source: FolderSource): AsyncGenerator<Member> {
  if (!existsSync(source.path)) return;
  const skip = (source.skip ?? []).map((pattern) => new RegExp(pattern));
  const paths = (await readdir(source.path, { recursive: true, withFileTypes: true }))
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(source.path.length + 1))
    .filter((path) => !ALWAYS_SKIP.test(path) && !skip.some((pattern) => pattern.test(path)));
  const { first = [], last = [] } = source;
  const rank = (path: string): number => {
    const [early, late] = [first, last].map((list) => list.findIndex((start) => path.startsWith(start))) as [
      number,
      number,
    ];
    return early >= 0 ? early : late >= 0 ? first.length + 1 + late : first.length;
  };
  for (const path of paths.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))) {
    let handle: FileHandle;
    try {
      handle = await open(join(source.path, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    try {
      const { size } = await handle.stat();
      yield { name: `${source.name}/${path}`, size, parts: partsOf(handle, size) };
    } finally {
      await handle.close();
    }
  }
}

async function* partsOf(handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const part = Buffer.alloc(Math.min(PART, size - at));
    const { bytesRead } = await handle.read(part, 0, part.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield part.subarray(0, bytesRead);
  }
}

/**
 * A dump of the whole database at one moment (pg_dump, custom format), in parts, straight from the program. What waits for
 * a device under edge's key stays out: that key is in the same backup.
 */
export async function* dumpMembers({ admin, dir, env }: DumpSource): AsyncGenerator<Member> {
  const { host, port, user, password, database } = admin;
  const child = spawn(
    join(dir, 'pg_dump'),
    ['-Fc', '-Z0', '--exclude-table-data=fleet.release', '-h', host, '-p', String(port), '-U', user, database],
    { env: { ...env, PGPASSWORD: password, PATH: '/usr/bin:/bin', TZ: 'UTC' }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = endOf(child, 'pg_dump');
  ended.catch(() => {});
  let held: Buffer[] = [];
  let bytes = 0;
  let n = 0;
  const next = (): Member => {
    const part = Buffer.concat(held);
    [held, bytes] = [[], 0];
    return { name: `database.dump/${String(n++).padStart(6, '0')}`, size: part.length, parts: [part] };
  };
  for await (const chunk of child.stdout!) {
    held.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes >= DUMP_PART) yield next();
  }
  await ended;
  if (bytes > 0 || n === 0) yield next();
}

/** Resolves when a program ended well. Throws BackupError with its last words, which hold no values of rows. */
export function endOf(child: ChildProcess, name: string): Promise<void> {
  let errors = '';
  child.stderr?.on('data', (part: Buffer) => {
    errors = `${errors}${part}`.slice(-500);
  });
  return new Promise((resolve, reject) => {
    const failed = (cause?: unknown) =>
      reject(new BackupError('database', `${name} failed: ${errors.trim().split('\n').at(-1) ?? ''}`, { cause }));
    child.on('error', failed);
    child.on('close', (status) => (status === 0 ? resolve() : failed()));
  });
}
