import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  closure,
  closureBreaches,
  importBreaches,
  type Rooms,
  readSources,
  type Sources,
  verifierBreaches,
} from './imports.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const rooms = JSON.parse(readFileSync(join(ROOT, 'rooms.json'), 'utf8')) as Rooms;
const sources = readSources(ROOT);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  imports: Record<string, string>;
  dependencies: Record<string, string>;
};

test('every room imports what rooms.json allows and nothing else', () => {
  assert.deepEqual(importBreaches(sources, rooms), []);
});

test('no process loads a room that it may not; the guards load no npm package', () => {
  assert.deepEqual(closureBreaches(sources, rooms), []);
  for (const guard of ['sealer', 'ledger']) {
    const loads = closure(sources, `src/run/${guard}.ts`);
    assert.ok(loads.rooms.has('guard'), 'the walk followed the imports');
    assert.deepEqual([...loads.packages], []);
    assert.deepEqual([...loads.late], [`${rooms.guardPackage.only} ${rooms.guardPackage.package}`]);
  }
  assert.ok(closure(sources, 'src/run/core.ts').packages.has('pg'), 'the walk sees packages');
});

test('imports go one way round: no room imports itself through others', () => {
  const visit = (room: string, path: readonly string[]): void => {
    assert.ok(!path.includes(room), `a circle: ${[...path, room].join(' → ')}`);
    for (const next of rooms.rooms[room] ?? []) visit(next, [...path, room]);
  };
  for (const room of Object.keys(rooms.rooms)) visit(room, []);
});

test('a room has one door, and package.json, rooms.json and the folders agree', () => {
  const folders = readdirSync(join(ROOT, 'src')).filter((name) => name !== 'run');
  assert.deepEqual(Object.keys(manifest.imports).sort(), [...folders, 'sim'].map((name) => `#${name}`).sort());
  assert.deepEqual(Object.keys(rooms.rooms).sort(), [...folders, 'run', 'sim'].sort());
  for (const path of Object.values(manifest.imports)) {
    assert.match(path, /\/index\.ts$/);
    assert.ok(existsSync(join(ROOT, path)));
  }
  const used = new Set(Object.values(rooms.packages).flat());
  assert.deepEqual([...used].sort(), Object.keys(manifest.dependencies).sort(), 'no package that nobody may load');
});

/** The sources with one file more, or with a line more in one. */
const planted = (path: string, text: string): Sources =>
  new Map([...sources, [path, `${sources.get(path) ?? ''}\n${text}\n`]]);

for (const [what, path, text] of [
  ['the device side imports the directory', 'src/fleet/breach.ts', "import { listPeople } from '#people';"],
  ['detection reads something else than the log', 'src/watch/breach.ts', "import { stateIntent } from '#fleet';"],
  ['a type alone', 'src/fleet/breach.ts', "import type { Person } from '#people';"],
  ['a deep path', 'src/api/breach.ts', "import { x } from '../fleet/devices.ts';"],
  ['a deep import through the door', 'src/api/breach.ts', "import { x } from '#fleet/devices.ts';"],
  ['a re-export', 'src/watch/breach.ts', "export { x } from '#people';"],
  ['an import at run time', 'src/watch/breach.ts', "const all = await import('#people');"],
  ['an import that is computed', 'src/watch/breach.ts', 'const all = await import(name);'],
  ['an import over several lines', 'src/watch/breach.ts', "import {\n  a,\n  b,\n} from '#people';"],
  ['somebody else opens the guards’ door', 'src/run/console.ts', "import { Sealer } from '#guard';"],
  ['a package in a guard', 'src/guard/breach.ts', "import pg from 'pg';"],
  [
    'the guards’ one package at their start',
    'src/guard/search/noble.ts',
    "import { x } from '@noble/curves/ed25519.js';",
  ],
  ['the guards’ one package elsewhere', 'src/guard/breach.ts', "const x = await import('@noble/curves/ed25519.js');"],
  ['a package in a pure room', 'src/wire/breach.ts', "import forge from 'node-forge';"],
  ['input in a pure room', 'src/proof/breach.ts', "import { readFileSync } from 'node:fs';"],
  ['require', 'src/edge/breach.ts', "const x = createRequire(import.meta.url)('pg');"],
  [
    'a page reads the server’s code',
    'web/src/glass/breach.ts',
    "import { sealField } from '../../../src/seal/index.ts';",
  ],
  ['a page opens a door', 'web/src/glass/breach.ts', "import { sealField } from '#seal';"],
  ['a file outside every room', 'src/utils/breach.ts', 'export {};'],
  ['the simulator knows the server', 'sim/breach.ts', "import { stateIntent } from '#fleet';"],
] as const) {
  test(`the wall sees a breach: ${what}`, () => {
    assert.equal(importBreaches(planted(path, text), rooms).length, 1);
  });
}

test('the verifier imports nothing of the server and no package, and nothing of the server imports it', () => {
  assert.ok([...sources.keys()].filter((path) => path.startsWith('verify/')).length > 5);
  assert.deepEqual(verifierBreaches(sources, rooms.verifier), []);
  for (const what of ['#proof', '../src/proof/index.ts', 'pg', 'node:http', 'node:child_process'])
    assert.equal(
      verifierBreaches(planted('verify/breach.ts', `import { x } from '${what}';`), rooms.verifier).length,
      1,
    );
  const reached = planted('src/run/breach.ts', "import { verifyLog } from '../../verify/log.ts';");
  assert.equal(importBreaches(reached, rooms).length, 1);
});

test('the wall sees what a process would load through others', () => {
  const breach = new Map(planted('src/run/process.ts', "import { openPool } from '#store';"));
  const found = closureBreaches(breach, rooms);
  assert.ok(found.includes('process sealer loads the room store'), found.join('\n'));
  assert.ok(found.includes('process sealer loads the package pg'));
  assert.deepEqual(closureBreaches(planted('src/run/process.ts', "import type { Pool } from '#store';"), rooms), []);
});
