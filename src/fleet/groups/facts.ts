import type { Queryable } from '#store';
import { joinsFor } from './compile.ts';
import type { Facts } from './evaluate.ts';
import { FIELDS } from './fields.ts';

const isTime = (name: string) => FIELDS[name]!.type === 'age' || FIELDS[name]!.type === 'ahead';
const asJson = (name: string): string => {
  const sql = `(${FIELDS[name]!.sql})`;
  return `to_jsonb(${isTime(name) ? `floor(extract(epoch from ${sql}) * 1000)::bigint` : sql})`;
};

/** What is known of some devices, by handle: only the facts that are asked for. */
export async function readFacts(
  db: Queryable,
  handles: readonly string[],
  fields: readonly string[],
): Promise<Map<string, Facts>> {
  const names = [...new Set(fields)];
  const columns = names.map((name) => `${asJson(name)} as "${name}"`);
  const { rows } = await db.query<{ handle: string } & Record<string, Facts[string]>>(
    `select ${['d.handle', ...columns].join(', ')} from fleet.device d ${joinsFor(names)} where d.handle = any($1)`,
    [handles],
  );
  return new Map(rows.map(({ handle, ...facts }) => [handle, facts]));
}
