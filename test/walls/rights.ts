import type { Pool } from '#store';

/** Rights of one role: tables as `schema.table: letters` (capital = the whole table or each of its columns, small = some columns), and functions. */
export interface Rights {
  readonly tables: Readonly<Record<string, string>>;
  readonly functions: readonly string[];
}

/** What PostgreSQL would allow, read as a superuser from its own catalogue. */
export async function rightsOf(pool: Pool, role: string): Promise<Rights> {
  const tables = await pool.query<{ name: string; rights: string }>(
    `select n.nspname || '.' || c.relname as name, string_agg(letter, '' order by letter) as rights
     from pg_class c join pg_namespace n on n.oid = c.relnamespace,
       lateral (select case when has_table_privilege($1, c.oid, kind) or (kind in ('SELECT', 'INSERT', 'UPDATE') and
                              (select bool_and(has_column_privilege($1, c.oid, attnum, kind)) from pg_attribute
                               where attrelid = c.oid and attnum > 0 and not attisdropped)) then upper(short)
                            when kind in ('SELECT', 'INSERT', 'UPDATE') and has_any_column_privilege($1, c.oid, kind) then short end as letter
                from (values ('SELECT', 's'), ('INSERT', 'i'), ('UPDATE', 'u'), ('DELETE', 'd'), ('TRUNCATE', 't'), ('TRIGGER', 'g')) k(kind, short)) r
     where n.nspname !~ '^(pg_|information_schema)' and c.relkind in ('r', 'p', 'v', 'm', 'f') and letter is not null
       and has_schema_privilege($1, n.oid, 'USAGE') and c.relispartition is false
     group by 1 order by 1`,
    [role],
  );
  const functions = await pool.query<{ name: string }>(
    `select n.nspname || '.' || p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname !~ '^(pg_|information_schema)' and has_schema_privilege($1, n.oid, 'USAGE')
       and has_function_privilege($1, p.oid, 'EXECUTE') order by 1`,
    [role],
  );
  return {
    tables: Object.fromEntries(tables.rows.map(({ name, rights }) => [name, rights])),
    functions: functions.rows.map(({ name }) => name),
  };
}
