import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { checkFiles } from '../../src/guard/search/noble.ts';
import { NOBLE_FILES } from '../../src/guard/search/noble-files.ts';
import type { Rooms } from './imports.ts';

// The one exception to “no package in a guard”: which files it is, byte for byte, and when they are loaded.
const ROOT = join(import.meta.dirname, '..', '..');
const { guardPackage } = JSON.parse(readFileSync(join(ROOT, 'rooms.json'), 'utf8')) as Rooms;
const modules = join(ROOT, 'node_modules');

/** Files of packages that Node loads for a program, from node_modules on. */
function loaded(program: string): string[] {
  const watch = `import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => { process.stdout.write(url + '\\n'); return next(url, context); } });`;
  const run = spawnSync(
    process.execPath,
    [
      ...['--disable-warning=ExperimentalWarning', '--import', `data:text/javascript,${encodeURIComponent(watch)}`],
      ...['--input-type=module', '--eval', program],
    ],
    { cwd: ROOT, encoding: 'utf8' },
  );
  assert.equal(run.status, 0, run.stderr);
  const urls = run.stdout.split('\n');
  assert.ok(
    urls.some((url) => url.includes('/src/guard/')),
    'the watch sees what is loaded',
  );
  return urls.flatMap((url) => (url.includes('/node_modules/') ? [url.split('/node_modules/').at(-1)!] : [])).sort();
}

test('rooms.json, the guards’ own list and the installed files agree', () => {
  assert.deepEqual(guardPackage.files, NOBLE_FILES);
  checkFiles(NOBLE_FILES, (path) => join(modules, path));
});

test('both guards with all their doors load no file of any package; number search loads exactly the pinned ones', () => {
  const guard = JSON.stringify(join(ROOT, 'src/guard/index.ts'));
  assert.deepEqual(loaded(`await import(${guard});`), []);
  const search = JSON.stringify(join(ROOT, guardPackage.only));
  assert.deepEqual(
    loaded(`const { loadGroup } = await import(${search}); await loadGroup();`),
    Object.keys(NOBLE_FILES).sort(),
  );
});

test('a file with one byte more is not loaded', () => {
  const copy = mkdtempSync(join(tmpdir(), 'btz-noble-'));
  try {
    for (const path of Object.keys(NOBLE_FILES)) {
      mkdirSync(dirname(join(copy, path)), { recursive: true });
      cpSync(join(modules, path), join(copy, path));
    }
    const check = () => checkFiles(NOBLE_FILES, (path) => join(copy, path));
    check();
    appendFileSync(join(copy, '@noble/hashes/utils.js'), '\n');
    assert.throws(check, { code: 'package' });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
