import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Hunter, inventPeople, peopleCsv } from '#sim';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { importCsv } from '../../src/people/import.ts';
import { settleArriving } from '../../src/people/settle.ts';
import { Guards } from '../spec/guards/fixture.ts';

// Whoever has the whole database, and nothing of the ledger's, looks for what tells decoys from people: in every column of every
// table, in the order of rows, in sizes and times.
const PEOPLE = 800;
let guards: Guards;
let database: TestDatabase;
let admin: Pool;
let decoys: ReadonlySet<string>;

before(async () => {
  [guards, database] = await Promise.all([Guards.start(), testDatabase()]);
  admin = openPool(database.admin);
  const [intake, core] = [openPool(database.as('intake')), openPool(database.as('core'))];
  const doors = { pool: intake, ledger: guards.client('ledger', 'intake'), keys: guards.keys, pen: guards.pens.intake };
  const csv = Buffer.from(peopleCsv(inventPeople(PEOPLE)));
  const { accepted, refused } = await importCsv(doors, csv);
  assert.deepEqual([accepted, refused], [PEOPLE, []]);
  const ledger = guards.client('ledger', 'core');
  while ((await settleArriving(core, ledger)) > 0);
  decoys = guards.ledger.gate.state.decoys;
  await Promise.all([intake.end(), core.end()]);
});
after(async () => {
  await admin.end();
  await Promise.all([guards.close(), database.close()]);
});

interface Column {
  readonly table: string;
  readonly column: string;
  readonly subject: string;
}

/** Every column of every table of ours whose rows are about people, and the order of the rows themselves. */
async function columns(): Promise<Column[]> {
  const { rows } = await admin.query<Column>(
    `select format('%I.%I', c.table_schema, c.table_name) as table, format('%I', c.column_name) as column,
       format('%I', s.column_name) as subject
     from information_schema.columns c
     join information_schema.tables t using (table_schema, table_name)
     join information_schema.columns s on s.table_schema = c.table_schema and s.table_name = c.table_name
       and s.column_name in ('handle', 'subject', 'holder')
     where c.table_schema in ('people', 'fleet', 'log', 'courier') and t.table_type = 'BASE TABLE'`,
  );
  const tables = new Map(rows.map((one) => [`${one.table} ${one.subject}`, one]));
  return [...rows, ...[...tables.values()].map((one) => ({ ...one, column: 'ctid' }))];
}

/** Where decoys stand among the others: 0.5 is nowhere in particular (Mann and Whitney). */
function advantage(values: readonly { readonly decoy: boolean; readonly at: number }[]): {
  auc: number;
  limit: number;
} {
  const sorted = [...values].sort((a, b) => a.at - b.at);
  let [sum, few] = [0, 0];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (end < sorted.length && sorted[end]!.at === sorted[i]!.at) end += 1;
    const rank = (i + end + 1) / 2;
    for (; i < end; i += 1) {
      if (!sorted[i]!.decoy) continue;
      sum += rank;
      few += 1;
    }
  }
  const many = sorted.length - few;
  const auc = (sum - (few * (few + 1)) / 2) / (few * many);
  // Five standard deviations of a blind guess.
  return { auc, limit: 5 * Math.sqrt((sorted.length + 1) / (12 * few * many)) };
}

test('no column, order, size or time of the database tells decoys from people', async (t) => {
  assert.equal(decoys.size, Math.ceil(PEOPLE * 0.02));
  let judged = 0;
  for (const { table, column, subject } of await columns()) {
    const { rows } = await admin.query<{
      who: string;
      rank: string;
      size: number | null;
      text: string | null;
      bytes: boolean;
    }>(
      `select ${subject} as who, dense_rank() over (order by ${column === 'ctid' ? 'ctid' : `${column}::text`}) as rank,
         octet_length(${column}::text) as size, ${column}::text as text, pg_typeof(${column}) = 'bytea'::regtype as bytes
       from ${table} where ${subject} is not null`,
    );
    const about = rows.filter(({ who }) => /^[a-z]+-[a-z]+-[0-9]{4}$/.test(who));
    const of = (decoy: boolean) => about.filter(({ who }) => decoys.has(who) === decoy);
    const [some, others] = [of(true), of(false)];
    if (some.length + others.length === 0) continue;
    judged += 1;
    const name = `${table}.${column}`;
    assert.ok(some.length > 0 && others.length > 0, `${name}: it holds rows of one kind only`);
    // As many rows each.
    const each = (list: readonly { who: string }[]) => list.length / new Set(list.map(({ who }) => who)).size;
    assert.equal(each(some), each(others), `${name}: rows a person`);
    for (const what of ['rank', 'size'] as const) {
      if (what === 'rank' && about[0]!.bytes) continue;
      const { auc, limit } = advantage(
        about.map((one) => ({ decoy: decoys.has(one.who), at: Number(one[what] ?? -1) })),
      );
      assert.ok(Math.abs(auc - 0.5) < limit, `${name}: ${what} tells ${auc.toFixed(2)}`);
    }
    // What few values there are is had by both; a value that is of one kind alone is a mark.
    const kinds = new Set(others.map(({ text }) => text));
    if (kinds.size <= 40) for (const { text } of some) assert.ok(kinds.has(text), `${name}: a value of decoys alone`);
    if (about[0]!.bytes) assert.equal(new Set(about.map(({ size }) => size)).size, 1, `${name}: sizes`);
  }
  assert.ok(judged >= 12, `only ${judged} columns were judged`);
  t.diagnostic(`${judged} columns`);
});

test('the same search finds decoys that come last, or whose rows are longer', () => {
  const rows = Array.from({ length: 800 }, (_, i) => ({ decoy: i >= 784, at: i }));
  const { auc, limit } = advantage(rows);
  assert.ok(Math.abs(auc - 0.5) > limit);
});

test('neither the database nor the public log names a decoy apart', async () => {
  const { rows } = await admin.query<{ body: string }>('select body::text from log.event');
  const hunter = new Hunter([...decoys]);
  assert.deepEqual(hunter.search(Buffer.from(rows.map(({ body }) => body).join('\n'))), []);
  const { hits } = await hunter.searchPaths([guards.logDir]);
  assert.deepEqual(hits, []);
});
