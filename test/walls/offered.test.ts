import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROUTES } from '../../src/api/server.ts';

// What the console's API can do, a page offers: compared by the addresses that the pages' code holds.
const WEB = join(import.meta.dirname, '..', '..', 'web', 'src', 'console');

/** Routes that no page asks for, each with the reason. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  'GET /groups/{id}': 'the list holds all of a group',
};

const sources = readdirSync(WEB, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => readFileSync(join(WEB, name), 'utf8'));

/** A member of a path; a file's name is put together of two. */
const MEMBER = '(?:\\$\\{[^}]*\\}\\.?)+';

/** The address as code writes it: each member is put in by a template, or follows the rest of the text. */
function written(path: string): RegExp {
  const parts = path.split(/\{[a-z]+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`['"\`](?:/api)?${parts.join(MEMBER)}['"\`?]`);
}

const offered = (path: string, texts: readonly string[] = sources): boolean =>
  texts.some((text) => written(path).test(text));

test('the comparison finds what is written and misses what is not', () => {
  const member = ['$', '{one(lock)}'].join('');
  assert.equal(offered('/locks/{id}/unlock', [`send(\`/locks/${member}/unlock\`, {})`]), true);
  assert.equal(offered('/locks/{id}/unlock', [`send(\`/locks/${member}\`, {})`]), false);
  assert.equal(offered('/locks', ["call('/locks')"]), true);
  assert.equal(offered('/locks', ["call('/locksmiths')"]), false);
});

test('everything that the API does is offered by a page', () => {
  const missing = ROUTES.filter(({ path }) => !offered(path)).map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(
    missing.filter((one) => NOT_OFFERED[one] === undefined),
    [],
  );
});
