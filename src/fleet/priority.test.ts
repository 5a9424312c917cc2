import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPool, type Pool, type TestDatabase, testDatabase } from '#store';
import { COMMANDS } from '#wire';
import { CONTAINING } from './supersede-rules.ts';

let database: TestDatabase;
let owner: Pool;
before(async () => {
  database = await testDatabase();
  owner = openPool(database.admin, { max: 1 });
});
after(async () => {
  await owner.end();
  await database.close();
});

test('what contains a loss is delivered first: the queue in the database and the dispatcher name the same commands', async () => {
  // The column is generated, so its expression is the rule itself.
  const { rows: columns } = await owner.query<{ rule: string }>(
    `select pg_get_expr(d.adbin, d.adrelid) as rule from pg_attrdef d
     join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
     where d.adrelid = 'fleet.command'::regclass and a.attname = 'priority'`,
  );
  const rule = columns[0]!.rule;
  const { rows } = await owner.query<{ verb: string; priority: number }>(
    `select request_type as verb, ${rule} as priority from unnest($1::text[]) request_type`,
    [Object.keys(COMMANDS)],
  );
  const first = rows.filter(({ priority }) => priority === Math.max(...rows.map((row) => row.priority)));
  assert.deepEqual(first.map(({ verb }) => verb).sort(), [...CONTAINING].sort());
  const named = [...rule.matchAll(/'(\w+)'/g)].map(([, verb]) => verb!);
  assert.deepEqual(
    named.filter((verb) => !Object.hasOwn(COMMANDS, verb)),
    [],
    'it names a command that is never queued under this name',
  );
});
