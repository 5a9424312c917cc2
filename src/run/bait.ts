import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { equalBytes, fromBase64url, type Logger, sha256 } from '#base';
import type { DatabaseConfig } from '#store';
import type { Home } from './home.ts';

const TELL_EVERY_MS = 5_000;

export const roleFile = (home: Home): string => join(home.dir, 'supervisor', 'bait-role');
export const hashFile = (state: string): string => join(state, 'bait');

/** The embedded database's superuser. */
export function adminOf(home: Home): DatabaseConfig {
  const password = readFileSync(join(home.dir, 'supervisor', 'pg-admin'), 'utf8').trim();
  return { host: join(home.run, 'pg'), port: 5432, database: 'postgres', user: 'bartizan_admin', password };
}

/** Says whether an `Authorization` header bears the bait's token. Looked up only for what is refused anyway. */
export function baitIn(state: string): (authorization: string | undefined) => boolean {
  return (authorization) => {
    const [, token] = /^Bearer ([A-Za-z0-9_-]{20,100})$/i.exec(authorization ?? '') ?? [];
    if (token === undefined || !existsSync(hashFile(state))) return false;
    return equalBytes(sha256(token), fromBase64url(readFileSync(hashFile(state), 'utf8')));
  };
}

/** Reads the database server's log for tries of the bait's login, and writes an event of each few seconds. */
export function watchBait(home: Home, log: Pick<Logger, 'error'>): (line: string) => void {
  let toldAt = 0;
  return (line) => {
    if (!line.includes('FATAL') || !existsSync(roleFile(home))) return;
    if (!line.includes(`"${readFileSync(roleFile(home), 'utf8').trim()}"`)) return;
    if (Date.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = Date.now();
    tell(home).catch((error: unknown) => {
      toldAt = 0;
      log.error('a try of the bait login could not be told', error);
    });
  };
}

async function tell(home: Home): Promise<void> {
  const client = new pg.Client(adminOf(home));
  try {
    await client.connect();
    await client.query(`select log.emit('bait.used', null, null, null, '{"bait":"database"}')`);
  } finally {
    await client.end();
  }
}
