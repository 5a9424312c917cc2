import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_CAPS } from '#seal';
import { LOCKS_OF_ALL_PER_HOUR, LOCKS_PER_HOUR } from '../../src/fleet/intent.ts';
import { CUT_OFFS_PER_HOUR } from '../../src/fleet/retire/advance.ts';

// SECURITY.md says what each wall is worth. What it names is there, and its figures are those of the code.
const ROOT = join(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8').replace(/\s+/g, ' ');
/** A number as the source has it, for constants that nobody else needs. */
const inSource = (path: string, pattern: RegExp) =>
  Number(
    (pattern.exec(readFileSync(join(ROOT, path), 'utf8'))?.[1] ?? assert.fail(`${path}: ${pattern}`)).replaceAll(
      '_',
      '',
    ),
  );
const UNENROLS_PER_HOUR = inSource('src/fleet/unenrol.ts', /UNENROLS_PER_HOUR = (\d+)/);
const body = (pattern: RegExp) => inSource('src/edge/bodies.ts', pattern);
const migrations = (name: string) => readFileSync(join(ROOT, 'migrations', name), 'utf8');

test('each test that a line names is there and tests something', () => {
  const named = [...text.matchAll(/`((?:test|src|sim)\/[\w./-]+)`/g)].map(([, path]) => path!);
  assert.ok(named.length >= 15, `${named.length} are named`);
  for (const path of named) {
    const file = join(ROOT, path);
    assert.ok(existsSync(file), `${path} is not there`);
    if (!path.endsWith('.ts')) assert.ok(statSync(file).isDirectory(), path);
    else assert.match(readFileSync(file, 'utf8'), /^\s*(await t\.)?test\(|^ {2}test\(/m, `${path} tests nothing`);
  }
});

const words: Readonly<Record<number, string>> = { 5: 'five' };
const n = (value: number) => words[value] ?? String(value).replace(/(\d)(\d{3})$/, '$1 $2');
for (const [what, line] of [
  ['reading', `the daily cap (${DEFAULT_CAPS.perDay} numbers by default, ${DEFAULT_CAPS.perTouch} a touch)`],
  ['destroying', `destructive cap ${DEFAULT_CAPS.destroyPerHour} an hour and ${DEFAULT_CAPS.destroyPerDay} a day`],
  ['locking', `${n(LOCKS_PER_HOUR)} locks an hour for every admin it names (${LOCKS_OF_ALL_PER_HOUR} over all)`],
  ['unenrolling', `is one person's for ${UNENROLS_PER_HOUR} phones an hour`],
  ['large bodies', `at most ${body(/small: (\d+) \* KIB,/)} KiB from whoever shows no certificate`],
  ['their places', `have ${body(/large: (\d+),/)} places in each process`],
  ['their time', `one loses after ${body(/patienceMs: ([\d_]+),/) / 1_000} s`],
  ['all bodies', `all bodies together ${body(/bytes: (\d+) \* KIB \* KIB,/)} MiB`],
] as const) {
  test(`the figure for ${what} is the code’s`, () => assert.ok(text.includes(line), line));
}

test('the figures that the database keeps are those of its functions', () => {
  const told = migrations('0080_told.sql');
  const bound = (pattern: RegExp) => pattern.exec(told)?.[1] ?? assert.fail(String(pattern));
  assert.ok(
    text.includes(
      `makes at most ${bound(/r\.told >= (\d+)/)} events of its own kind an hour, begins ${bound(/r\.enrolments >= (\d+)/)} enrolments and has ${bound(/r\.sealed >= (\d+)/)} values sealed`,
    ),
  );
  assert.ok(text.includes(`belong to nobody end at ${bound(/s\.told >= (\d+)/)} an hour and reason`));
  const claims = /interval '1 hour'\) >= (\d+)/.exec(migrations('0083_takeovers.sql'))![1];
  assert.match(migrations('0081_claims.sql'), new RegExp(`interval '1 hour'\\) >= ${claims}\\b`), 'counted alike');
  assert.ok(text.includes(`an administrator who agrees (at most ${claims} an hour together`));
  assert.equal(inSource('src/edge/unenrolments.ts', /MOST = (\d+)/), UNENROLS_PER_HOUR, 'edge counts as core does');
  assert.equal(CUT_OFFS_PER_HOUR, UNENROLS_PER_HOUR, 'cutting off and unenrolling weigh the same');
});
