import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ledgerDoors, ledgerSearchDoors, sealerDoors, sealerSearchDoors } from '#guard';
import { type Field, innerBytes, outerBytes, paddedBytes, rowBytes } from '#seal';
import { DOORS } from '../../src/run/home.ts';

// ARCHITECTURE.md is where a reviewer reads the guards' whole attack surface: it must be what the code has.
const text = readFileSync(join(import.meta.dirname, '..', '..', 'ARCHITECTURE.md'), 'utf8');

/** `guard from type` of every row of the table of doors. */
const written = text.split('\n').flatMap((line) => {
  const [, guard, from, types] = /^\| (sealer|ledger) +\| ([a-z, ]+?) +\| (`[^|]+`) +\|/.exec(line) ?? [];
  if (guard === undefined || from === undefined || types === undefined) return [];
  const callers = from.split(', ');
  return [...types.matchAll(/`([a-z-]+)`/g)].flatMap(([, type]) =>
    callers.map((caller) => `${guard} ${caller} ${type}`),
  );
});

// The handlers are not called, so there need be no guard behind the table.
const doors = {
  sealer: {
    ...sealerDoors(undefined as unknown as Parameters<typeof sealerDoors>[0]),
    ...sealerSearchDoors(undefined as unknown as Parameters<typeof sealerSearchDoors>[0]),
  },
  ledger: {
    ...ledgerDoors(undefined as unknown as Parameters<typeof ledgerDoors>[0]),
    ...ledgerSearchDoors(undefined as unknown as Parameters<typeof ledgerSearchDoors>[0]),
  },
};
const built = Object.entries(doors).flatMap(([guard, table]) =>
  Object.entries(table).flatMap(([type, { from }]) =>
    (from as readonly string[]).map((caller) => `${guard} ${caller} ${type}`),
  ),
);

test('the table of doors names every message and who may send it, and nothing else', () => {
  assert.deepEqual(written.sort(), built.sort());
});

test('there is a socket for each caller of a guard, and none for anybody else', () => {
  const callers = new Set(built.map((one) => one.split(' ').slice(0, 2).join(' ')));
  const sockets = DOORS.filter(([server]) => server === 'sealer' || server === 'ledger').map((pair) => pair.join(' '));
  assert.deepEqual([...callers].sort(), sockets.sort());
});

test('the text names every address of edge', () => {
  const source = readFileSync(join(import.meta.dirname, '..', '..', 'src', 'edge', 'server.ts'), 'utf8');
  const paths = [...source.matchAll(/\[\s*'(\/[a-z./-]+)',\s*\{/g)].map(([, path]) => path!);
  assert.ok(paths.length >= 12, `${paths.length} addresses are found in the table`);
  const http = text.slice(text.indexOf('## HTTP'));
  assert.deepEqual(
    paths.filter((path) => !new RegExp(`\`${path}(\`|/[:…])`).test(http)),
    [],
  );
});

/** What a writer's signature adds to a value in transit. */
const SIGNED_BYTES = 65;

test('the sizes of sealed rows are those that the text gives', () => {
  const formats = text.slice(text.indexOf('Row formats'), text.indexOf('## Signing')).replace(/\s+/g, ' ');
  const sizes = (field: Field) => [paddedBytes, innerBytes, outerBytes, rowBytes].map((bytes) => bytes(field));
  const [padded, inner, outer, row] = sizes('number');
  assert.ok(formats.includes(`= ${inner} bytes for a value padded to ${padded} bytes`));
  assert.ok(formats.includes(`= ${outer} bytes, then the writer`) && formats.includes(`tag 16 = ${row} bytes`));
  const [secret, ...long] = sizes('unlock-token');
  assert.ok(
    formats.includes(
      `padded to ${secret} bytes, so inner ${long[0]}, in transit ${long[1]! + SIGNED_BYTES}, settled ${long[2]}`,
    ),
  );
});
