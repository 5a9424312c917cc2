import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DatabaseConfig, findBinaries, openPool } from '#store';
import type { ProcessConfig } from '../config.ts';
import { RunError } from '../config.ts';
import { parseDatabaseUrl } from '../database.ts';
import type { Home } from '../home.ts';
import type { BackupDoors } from './run.ts';

function coreConfig(home: Home): ProcessConfig {
  try {
    return JSON.parse(readFileSync(home.config('core'), 'utf8')) as ProcessConfig;
  } catch (cause) {
    throw new RunError(
      'usage',
      'This is no installation, or you may not read it. Give its --home, as the user who starts Bartizan.',
      { cause },
    );
  }
}

/** Core's way into the database, as its configuration says. */
export function coreDatabase(home: Home): DatabaseConfig {
  const { database } = coreConfig(home);
  if (database === undefined) throw new RunError('not-founded', 'This installation was never started. Start it first.');
  return database;
}

/** The superuser of the database. */
function adminOf(home: Home, core: DatabaseConfig): DatabaseConfig {
  const url = process.env['DATABASE_URL'];
  if (url !== undefined) return parseDatabaseUrl(url);
  const file = join(home.dir, 'supervisor', 'pg-admin');
  if (!existsSync(file)) throw new RunError('usage', 'Set DATABASE_URL as it is set where Bartizan runs.');
  return { ...core, database: 'postgres', user: 'bartizan_admin', password: readFileSync(file, 'utf8').trim() };
}

/** What backups work with, from the command line, beside a running product. */
export async function withBackupDoors<T>(home: Home, work: (doors: BackupDoors) => Promise<T>): Promise<T> {
  const core = coreDatabase(home);
  const pool = openPool(core, { max: 3, name: 'bartizan backup' });
  try {
    await pool.query('select 1').catch((cause: unknown) => {
      throw new RunError('start-failed', 'The database does not answer. Is Bartizan running?', { cause });
    });
    const { dir, env } = findBinaries(join(home.dir, 'pg'));
    return await work({
      home,
      org: coreConfig(home).org,
      pool,
      admin: adminOf(home, core),
      postgres: { dir, env },
      now: Date.now,
    });
  } finally {
    await pool.end();
  }
}
