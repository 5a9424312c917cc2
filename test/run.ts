import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { startTestServer } from '#store';
import { buildPages } from '../src/run/pages.ts';
import { ensureTools } from './tools.ts';

// `npm test [FILTER…]`: formatting, types, then every test file. A filter is a path or a part of one; with filters only
// the matching test files run. In CI (CI=true) a skipped test counts as a failure.
const ROOT = join(import.meta.dirname, '..');
/** They start the whole product or a browser, so they run after all others. Much of their time is waiting: two at once fit two cores. */
const HEAVY = ['test/flows', 'test/drills', 'test/interop', 'test/walls/whole'];
/** The longest file takes a minute; a whole run may take twenty. */
const FILE_TIMEOUT_MS = 8 * 60_000;

interface Outcome {
  passed: number;
  failed: number;
  skipped: { name: string; why: string }[];
}

const say = (line: string) => process.stdout.write(`${line}\n`);
const outcome: Outcome = { passed: 0, failed: 0, skipped: [] };
/** Seconds that each file took. */
const took = new Map<string, number>();

function testFiles(dir: string): string[] {
  if (!existsSync(join(ROOT, dir))) return [];
  return readdirSync(join(ROOT, dir), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.includes('node_modules') && !path.startsWith('dist'))
    .map((path) => join(dir, path))
    .sort();
}

const wanted = (file: string, filters: readonly string[]): boolean =>
  filters.length === 0 ||
  filters.some((filter) => {
    const path = existsSync(filter) ? relative(ROOT, filter) : filter;
    return existsSync(filter) && statSync(filter).isDirectory() ? file.startsWith(`${path}/`) : file.includes(path);
  });

/** One of the checks that are not test files; its output is shown only if it fails. */
function check(name: string, program: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  if (status === 0) outcome.passed += 1;
  else {
    outcome.failed += 1;
    say(`${stdout}\n${stderr}`);
  }
  say(`${status === 0 ? '✔' : '✖'} ${name}`);
}

const bin = (name: string) => join(ROOT, 'node_modules', '.bin', name);

async function runFiles(files: readonly string[], concurrency: number): Promise<void> {
  if (files.length === 0) return;
  const stream = run({
    files: files.map((file) => join(ROOT, file)),
    cwd: ROOT,
    concurrency,
    timeout: FILE_TIMEOUT_MS,
    execArgv: ['--disable-warning=ExperimentalWarning', '--import', join(ROOT, 'test', 'preload.ts')],
  });
  const missing = new Set(files.map((file) => join(ROOT, file)));
  stream.on('test:summary', ({ file, counts, duration_ms: ms }) => {
    if (file !== undefined) {
      missing.delete(file);
      took.set(relative(ROOT, file), ms / 1000);
      return;
    }
    outcome.passed += counts.passed;
    outcome.failed += counts.tests - counts.passed - counts.skipped - counts.todo;
    for (let left = counts.todo; left > 0; left -= 1) outcome.skipped.push({ name: 'a test', why: 'todo' });
  });
  for (const event of ['test:pass', 'test:fail'] as const) {
    stream.on(event, ({ name, skip }) => {
      if (skip !== undefined && skip !== false) {
        outcome.skipped.push({ name, why: typeof skip === 'string' ? skip : 'no reason given' });
      }
    });
  }
  for await (const part of stream.compose(spec())) process.stdout.write(part);
  for (const file of missing) {
    outcome.failed += 1;
    say(`✖ ${relative(ROOT, file)} ended without a result`);
  }
}

async function main(filters: readonly string[]): Promise<void> {
  const paths = ensureTools(say);
  process.env['PATH'] = [process.env['PATH'], ...paths].join(delimiter);
  const files = ['src', 'sim', 'web', 'test'].flatMap(testFiles).filter((file) => wanted(file, filters));
  if (files.length === 0) throw new Error('No test file matches.');
  if (filters.length === 0) {
    check('layout and lint (biome)', bin('biome'), ['check', '.']);
    check('types (tsc)', bin('tsc'), ['-p', '.']);
    check('types of the pages (tsc)', bin('tsc'), ['-p', 'web']);
  }
  await buildPages();
  const server = await startTestServer();
  process.env['BARTIZAN_TEST_PG'] = server.shared;
  try {
    const heavy = (file: string) => HEAVY.some((dir) => file.startsWith(dir));
    await runFiles(
      files.filter((file) => !heavy(file)),
      2,
    );
    await runFiles(files.filter(heavy), 2);
  } finally {
    await server.stop();
  }
}

const startedAt = Date.now();
try {
  if (Number(process.versions.node.split('.')[0]) < 24) throw new Error("Run it as 'npm test'; it needs Node 24.");
  await main(process.argv.slice(2));
} catch (error) {
  outcome.failed += 1;
  say(`✖ ${error instanceof Error ? error.message : String(error)}`);
}
const slowest = [...took].sort(([, a], [, b]) => b - a).slice(0, 12);
if (took.size > 50) say(`slowest files: ${slowest.map(([file, s]) => `${file} ${s.toFixed(0)} s`).join(', ')}`);
for (const { name, why } of outcome.skipped) say(`skipped: ${name} (${why})`);
say(`${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
say(`${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped.length} skipped`);
process.exit(outcome.failed > 0 || (process.env['CI'] === 'true' && outcome.skipped.length > 0) ? 1 : 0);
