import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { StoreError } from './error.ts';
import type { DatabaseConfig } from './pool.ts';

/** Any two starters of the same database meet at this advisory lock. */
const LOCK = 0x62_74_7a;

/**
 * Brings the database to the newest schema: every `NNNN_name.sql` of `dir` in order, each in one transaction as
 * bartizan_owner. Returns the names applied now. Throws `migration-changed` if an applied file differs from its record.
 */
export async function migrate(admin: DatabaseConfig, dir: string): Promise<string[]> {
  const client = new pg.Client(admin);
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK]);
    await client.query(`create table if not exists public.migration (
      name text primary key, sha256 text not null, applied_at timestamptz not null default now())`);
    const known = new Map(
      (await client.query<{ name: string; sha256: string }>('select name, sha256 from public.migration')).rows.map(
        (row) => [row.name, row.sha256],
      ),
    );
    const applied: string[] = [];
    for (const name of migrationFiles(dir)) {
      const sql = readFileSync(join(dir, name), 'utf8');
      const sha256 = createHash('sha256').update(sql).digest('hex');
      const before = known.get(name);
      if (before === sha256) continue;
      if (before !== undefined) {
        throw new StoreError(
          'migration-changed',
          `Migration ${name} differs from the one this database was made with. Use the matching version of Bartizan, or start anew with --reset (this deletes the data).`,
        );
      }
      await applyOne(client, name, sql, sha256);
      applied.push(name);
    }
    return applied;
  } finally {
    await client.end();
  }
}

/** The migration files of a directory in the order in which they apply. */
export function migrationFiles(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => /^[0-9]{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort();
}

async function applyOne(client: pg.Client, name: string, sql: string, sha256: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query('set local role bartizan_owner');
    await client.query('set local search_path = pg_catalog');
    await client.query(sql);
    await client.query('reset role');
    await client.query('insert into public.migration (name, sha256) values ($1, $2)', [name, sha256]);
    await client.query('commit');
  } catch (cause) {
    // A crash or failure here leaves nothing: schema changes are transactional.
    await client.query('rollback').catch(() => {});
    const detail = cause instanceof Error ? cause.message : '';
    throw new StoreError('migration-failed', `Migration ${name} failed: ${detail}`, { cause });
  }
}
