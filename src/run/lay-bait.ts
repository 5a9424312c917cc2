import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { sha256, toBase64url } from '#base';
import { TOKEN_PREFIX } from '#intake';
import { adminOf, hashFile, roleFile } from './bait.ts';
import { RunError } from './config.ts';
import { type Home, type ProcessName, uidOf } from './home.ts';

const ROLE = /^[a-z][a-z0-9_]{3,40}$/;
/** Processes that see tokens. */
const READERS: readonly ProcessName[] = ['intake', 'console'];

/**
 * Lays out credentials that nothing of ours uses: a database login with its password, and a token in a comment, as the text of
 * a file that the operator leaves where a thief looks. The login is right and admits nobody, so that each try stands in the
 * server's log. Throws RunError.
 */
export async function layBait(home: Home, role: string): Promise<string> {
  if (!ROLE.test(role) || role.startsWith('bartizan_') || role.startsWith('pg_'))
    throw new RunError('usage', 'Name a login of 4 to 41 small letters, digits and underscores, such as hr_reports.');
  const password = randomBytes(18).toString('base64url');
  const token = `${TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`;
  const client = new pg.Client(adminOf(home));
  try {
    await client.connect();
    const known = await client.query('select from pg_roles where rolname = $1', [role]);
    const before = existsSync(roleFile(home)) ? readFileSync(roleFile(home), 'utf8').trim() : '';
    if (known.rowCount && before !== role) throw new RunError('usage', 'There is a login of this name already.');
    if (before !== '' && before !== role && ROLE.test(before)) {
      await client.query(`revoke connect on database postgres from ${before}`);
      await client.query(`drop role if exists ${before}`);
    }
    await client.query(
      `${known.rowCount ? 'alter' : 'create'} role ${role} nosuperuser nocreatedb nocreaterole noinherit noreplication
       nobypassrls login connection limit 0 password '${password}'`,
    );
    await client.query(`grant connect on database postgres to ${role}`);
  } catch (cause) {
    if (cause instanceof RunError) throw cause;
    throw new RunError('start-failed', 'The database cannot be reached. Is Bartizan running, and is this its --home?', {
      cause,
    });
  } finally {
    await client.end();
  }
  put(roleFile(home), role);
  for (const name of READERS) put(hashFile(home.state(name)), toBase64url(sha256(token)), uidOf(name));
  return [
    '# nightly report of the staff directory',
    `# scim token until the provider is moved: ${token}`,
    `dsn=postgres://${role}:${password}@/postgres?host=${join(home.run, 'pg')}`,
    'mailto=reports',
    '',
  ].join('\n');
}

function put(file: string, text: string, uid?: number): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  if (uid !== undefined) chownSync(`${file}.new`, uid, uid);
  renameSync(`${file}.new`, file);
}
