import { spawn } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { BackupError } from './error.ts';
import type { Kept, SetName } from './sets.ts';

/** Where a set goes: a directory (a mounted share), or a program that puts, gets, lists and deletes. */
export type TargetSettings =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'command'; readonly program: string; readonly args: readonly string[] };

export interface Target {
  /** Writes a file as a whole, or not at all. Returns when it is durable. */
  put(name: string, bytes: AsyncIterable<Buffer>): Promise<void>;
  get(name: string): AsyncIterable<Buffer>;
  list(): Promise<Kept[]>;
  remove(name: string): Promise<void>;
}

/** What two targets must not share. */
export interface Place {
  readonly set: SetName;
  readonly settings: TargetSettings;
  /** Real path, or what the program says it writes to. */
  readonly where: string;
  /** `device:inode` of a directory. */
  readonly inode?: string;
  readonly device?: number;
  /** Which set has marked the directory as its own, if one has. */
  readonly marked?: string;
}

const MARK = '.bartizan-backup';

/** What is known of a place; a directory must be there. Throws BackupError `target`. */
export async function placeOf(set: SetName, settings: TargetSettings): Promise<Place> {
  if (settings.kind === 'command') {
    const said = (await collect(run(settings, ['place']))).toString('utf8').trim();
    if (said === '' || said.includes('\n')) {
      throw new BackupError(
        'target',
        `The program of the ${set} backup must answer 'place' with one line that says where it writes.`,
      );
    }
    return { set, settings, where: said.replace(/\/+$/, '') };
  }
  const stat = existsSync(settings.path) ? statSync(settings.path) : undefined;
  if (!stat?.isDirectory()) {
    throw new BackupError(
      'target',
      `The place of the ${set} backup is not there: is the share mounted? ${settings.path}`,
    );
  }
  const mark = join(settings.path, MARK);
  return {
    ...{ set, settings, where: realpathSync(settings.path), inode: `${stat.dev}:${stat.ino}`, device: stat.dev },
    ...(existsSync(mark) ? { marked: readFileSync(mark, 'utf8').trim() } : {}),
  };
}

const within = (inner: string, outer: string): boolean => inner === outer || inner.startsWith(`${outer}${sep}`);

/**
 * Throws BackupError `same-target` unless all places are apart: by name, by device and inode behind links and bind mounts,
 * neither inside the other, and not one that another set has marked, under whatever name it is mounted today.
 */
export function mustBeApart(places: readonly Place[], home: string): void {
  const no = (a: SetName, why: string) =>
    new BackupError(
      'same-target',
      `The ${a} backup ${why}. Whoever has two of the three sets is a step from everything: give each a place of its own.`,
    );
  for (const [i, one] of places.entries()) {
    if (one.settings.kind === 'directory' && (within(one.where, home) || within(home, one.where))) {
      throw no(one.set, 'would lie in the installation itself');
    }
    if (one.marked !== undefined && one.marked !== one.set)
      throw no(one.set, `would go to the place of the ${one.marked} backup`);
    for (const other of places.slice(i + 1)) {
      const same = one.where === other.where || (one.inode !== undefined && one.inode === other.inode);
      if (same) throw no(one.set, `and the ${other.set} backup have one place`);
      if (within(one.where, other.where) || within(other.where, one.where)) {
        throw no(one.set, `and the ${other.set} backup lie inside one another`);
      }
    }
  }
}

/** Marks a directory as this set's for good. */
export function markPlace(set: SetName, settings: TargetSettings): void {
  if (settings.kind !== 'directory') return;
  const mark = join(settings.path, MARK);
  if (!existsSync(mark)) writeFileSync(mark, `${set}\n`, { mode: 0o644 });
}

export function openTarget(settings: TargetSettings): Target {
  return settings.kind === 'directory' ? new Directory(settings.path) : new Command(settings);
}

/**
 * Crash points. Before the rename a `.part` file lies there that nobody takes for a backup; the next run removes it. After
 * it the file is whole: it was on disk before it got its name.
 */
class Directory implements Target {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async put(name: string, bytes: AsyncIterable<Buffer>): Promise<void> {
    mkdirSync(this.#path, { recursive: true });
    for (const left of readdirSync(this.#path))
      if (left.endsWith('.age.part')) rmSync(join(this.#path, left), { force: true });
    const part = join(this.#path, `${name}.part`);
    try {
      const handle = await open(part, 'wx', 0o600);
      try {
        for await (const chunk of bytes) await handle.writeFile(chunk);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(part, join(this.#path, name));
      const folder = await open(this.#path, 'r');
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      rmSync(part, { force: true });
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        throw new BackupError(
          'disk-full',
          'The place of this backup is full. Earlier backups are untouched; make room and run it again.',
          { cause: error },
        );
      }
      if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
        throw new BackupError(
          'target',
          'The place of this backup cannot be written to by the process that owns the set. Give it to that user.',
          { cause: error },
        );
      }
      throw error;
    }
  }

  get(name: string): AsyncIterable<Buffer> {
    return createReadStream(join(this.#path, name));
  }

  async list(): Promise<Kept[]> {
    return readdirSync(this.#path)
      .filter((name) => name.endsWith('.age'))
      .map((name) => ({ name, bytes: statSync(join(this.#path, name)).size }));
  }

  async remove(name: string): Promise<void> {
    rmSync(join(this.#path, name), { force: true });
  }
}

type Program = Extract<TargetSettings, { kind: 'command' }>;

/** Runs the program with a verb; its standard output streams, a status other than 0 throws BackupError `target`. */
async function* run(
  { program, args }: Program,
  verb: readonly string[],
  input?: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const child = spawn(program, [...args, ...verb], {
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: process.env['HOME'] ?? '/' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (part: Buffer) => {
    errors = `${errors}${part}`.slice(-500);
  });
  const ended = new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', (status) => resolve(status ?? 1));
  });
  child.stdin.on('error', () => {});
  const fed = (async () => {
    for await (const chunk of input ?? []) {
      if (!child.stdin.write(chunk))
        await Promise.race([new Promise((drained) => child.stdin.once('drain', drained)), ended]);
      if (child.exitCode !== null) break;
    }
    child.stdin.end();
  })();
  // Without a whole input there must be no whole file: the program is ended before it sees an end.
  fed.catch(() => child.kill('SIGKILL'));
  for await (const chunk of child.stdout) yield chunk as Buffer;
  await fed;
  const status = await ended;
  if (status !== 0) {
    throw new BackupError(
      'target',
      `The program of this backup failed at '${verb[0]}' (status ${status}): ${errors.trim().split('\n').at(-1) ?? ''}`,
    );
  }
}

async function collect(parts: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

/** A program: `put NAME` from standard input, `get NAME` to standard output, `list` (`bytes name` a line), `delete NAME`, `place`. */
class Command implements Target {
  readonly #settings: Program;

  constructor(settings: Program) {
    this.#settings = settings;
  }

  async put(name: string, bytes: AsyncIterable<Buffer>): Promise<void> {
    await collect(run(this.#settings, ['put', name], bytes));
  }

  get(name: string): AsyncIterable<Buffer> {
    return run(this.#settings, ['get', name]);
  }

  async list(): Promise<Kept[]> {
    const lines = (await collect(run(this.#settings, ['list']))).toString('utf8').trim().split('\n');
    return lines.flatMap((line) => {
      const parts = /^(\d+)\s+(\S+\.age)$/.exec(line.trim());
      return parts === null ? [] : [{ bytes: Number(parts[1]), name: parts[2]! }];
    });
  }

  async remove(name: string): Promise<void> {
    await collect(run(this.#settings, ['delete', name]));
  }
}
