import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, matchesGlob, normalize } from 'node:path';
import { ROOT, type Span } from './blocks.ts';

const ls = ['ls-files', '--cached', '--others', '--exclude-standard'];
const files = execFileSync('git', ls, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
const dirs = new Set<string>(['.']);
for (const file of files) for (let at = dirname(file); at !== '.'; at = dirname(at)) dirs.add(at);
const tops = new Set(files.map((file) => file.split('/')[0]!));
const names = new Set(files.map((file) => basename(file)));

/** A file of this repository that a text names and that is not there; undefined if it is, or if none is named. */
export function missingFile(word: string): string | undefined {
  const path = word.replace(/[,.;:]$/, '').replace(/\/$/, '');
  if (/^x\.|[…<>{}$]/.test(path)) return undefined;
  const [top = ''] = path.split('/');
  if (path.includes('/') && tops.has(top) && dirs.has(top)) {
    const there = path.includes('*')
      ? [...files, ...dirs].some((file) => matchesGlob(file, path))
      : files.includes(path) || dirs.has(path);
    // `run/sealer.ts`: within a folder of the source
    return there || files.includes(`src/${path}`) ? undefined : path;
  }
  if (/^[\w-]+(\/[\w-]+)*\/[\w.-]+\.tsx?$/.test(path))
    return files.some((file) => file.endsWith(`/${path}`)) ? undefined : path;
  if (/^[\w.-]+\.(ts|tsx|sql|md)$/.test(path)) return names.has(path) ? undefined : path;
  return undefined;
}

/** A link within the repository that leads nowhere. */
export function deadLink({ file, text }: Span): string | undefined {
  if (/^[a-z]+:/.test(text) || text.startsWith('#')) return undefined;
  const [path = ''] = normalize(join(dirname(file), text)).split('#');
  const plain = path.replace(/\/$/, '');
  return files.includes(plain) || dirs.has(plain) ? undefined : text;
}

/** All source, to look for names that only it knows. */
export const source = (dir: string): string =>
  files
    .filter((file) => file.startsWith(dir) && file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n');
