import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { DatabaseConfig } from './pool.ts';

export const PROCESS_ROLES = ['edge', 'intake', 'console', 'glass', 'core', 'courier'] as const;
export type ProcessRole = (typeof PROCESS_ROLES)[number];

const LIMITS: Record<ProcessRole, { connections: number; timeoutMs: number }> = {
  edge: { connections: 40, timeoutMs: 10_000 },
  intake: { connections: 8, timeoutMs: 60_000 },
  console: { connections: 20, timeoutMs: 15_000 },
  glass: { connections: 12, timeoutMs: 10_000 },
  core: { connections: 30, timeoutMs: 60_000 },
  courier: { connections: 8, timeoutMs: 10_000 },
};

export const roleName = (role: ProcessRole): string => `bartizan_${role}`;

/**
 * Makes the owner (no login) and one login role per process, each with a fresh random password, and takes everything
 * from PUBLIC in this database. Returns the passwords. Roles belong to the whole server: running it again changes
 * the passwords of all of them.
 */
export async function ensureRoles(admin: DatabaseConfig): Promise<Record<ProcessRole, string>> {
  const client = new pg.Client(admin);
  await client.connect();
  try {
    const passwords = {} as Record<ProcessRole, string>;
    await ensureRole(client, 'bartizan_owner', 'nologin');
    for (const role of PROCESS_ROLES) {
      const password = randomBytes(24).toString('base64url');
      const { connections, timeoutMs } = LIMITS[role];
      await ensureRole(client, roleName(role), `login connection limit ${connections} password '${password}'`);
      await client.query(`alter role ${roleName(role)} set statement_timeout = ${timeoutMs}`);
      await client.query(`alter role ${roleName(role)} set idle_in_transaction_session_timeout = ${timeoutMs}`);
      passwords[role] = password;
    }
    await client.query('grant bartizan_owner to current_user');
    await closeDatabase(client, admin.database);
    return passwords;
  } finally {
    await client.end();
  }
}

/** Takes all default rights from PUBLIC and lets only our roles connect. */
export async function closeDatabase(client: pg.Client, database: string): Promise<void> {
  const name = pg.escapeIdentifier(database);
  await client.query(`revoke all on database ${name} from public`);
  await client.query('revoke all on schema public from public');
  await client.query('alter default privileges for role bartizan_owner revoke execute on functions from public');
  await client.query(`grant create, connect on database ${name} to bartizan_owner`);
  for (const role of PROCESS_ROLES) await client.query(`grant connect on database ${name} to ${roleName(role)}`);
  // Large objects are reachable by everyone unless their functions are not.
  for (const routine of ['lo_create(oid)', 'lo_creat(integer)', 'lo_from_bytea(oid, bytea)']) {
    await client.query(`revoke execute on function pg_catalog.${routine} from public`);
  }
}

async function ensureRole(client: pg.Client, name: string, options: string): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [name]);
  const always = 'nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls';
  await client.query(`${rowCount ? 'alter' : 'create'} role ${name} ${always} ${options}`);
}
