import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Embedded, startEmbedded } from './embedded.ts';
import { migrate } from './migrate.ts';
import type { DatabaseConfig } from './pool.ts';
import { closeDatabase, ensureRoles, type ProcessRole, roleName } from './roles.ts';

/** A fresh, migrated database of its own for one test file. */
export interface TestDatabase {
  readonly admin: DatabaseConfig;
  as(role: ProcessRole): DatabaseConfig;
  close(): Promise<void>;
}

/** What `test/run.ts` hands to the test files through BARTIZAN_TEST_PG, as JSON. */
interface Shared {
  readonly admin: DatabaseConfig;
  readonly passwords: Record<ProcessRole, string>;
}

const TEMPLATE = 'bartizan_template';
export const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));

/**
 * Starts a throw-away server (no fsync) with a migrated template. `shared` goes to test files as BARTIZAN_TEST_PG.
 */
export async function startTestServer(
  prefer?: 'distribution' | 'package',
): Promise<{ shared: string; stop(): Promise<void> }> {
  const root = mkdtempSync(join(tmpdir(), 'btz-'));
  const { chmodSync } = await import('node:fs');
  chmodSync(root, 0o755);
  mkdirSync(join(root, 's'), { mode: 0o755 });
  const server: Embedded = await startEmbedded({
    dir: join(root, 'data'),
    socketDir: join(root, 's'),
    passwordFile: join(root, 'password'),
    fsync: false,
    ...(prefer === undefined ? {} : { prefer }),
  });
  const client = new pg.Client(server.admin);
  await client.connect();
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  const template = { ...server.admin, database: TEMPLATE };
  const passwords = await ensureRoles(template);
  await migrate(template, MIGRATIONS);
  return {
    shared: JSON.stringify({ admin: server.admin, passwords } satisfies Shared),
    stop: async () => {
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

let counter = 0;
let own: Promise<{ shared: string; stop(): Promise<void> }> | undefined;
let open = 0;

/** A database cloned from the template; on the shared server of the test run, else on one of this process. */
export async function testDatabase(): Promise<TestDatabase> {
  let text = process.env['BARTIZAN_TEST_PG'];
  const mine = text === undefined;
  if (text === undefined) {
    own ??= startTestServer();
    open += 1;
    text = (await own).shared;
  }
  const shared = JSON.parse(text) as Shared;
  counter += 1;
  const database = `t_${process.pid}_${Date.now().toString(36)}_${counter}`;
  const client = new pg.Client(shared.admin);
  await client.connect();
  try {
    await cloneTemplate(client, database);
    await closeDatabase(client, database).catch(() => {});
  } finally {
    await client.end();
  }
  const admin = { ...shared.admin, database };
  return {
    admin,
    as: (role) => ({ ...admin, user: roleName(role), password: shared.passwords[role] }),
    close: async () => {
      const end = new pg.Client(shared.admin);
      await end.connect();
      await end.query(`drop database if exists ${database} with (force)`);
      await end.end();
      if (!mine) return;
      open -= 1;
      if (open > 0 || own === undefined) return;
      const server = own;
      own = undefined;
      await (await server).stop();
    },
  };
}

/** Two files that clone at the same moment meet at the template's lock: the later one tries again. */
async function cloneTemplate(client: pg.Client, database: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query(`create database ${database} template ${TEMPLATE}`);
      return;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (code !== '55006' || attempt > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
