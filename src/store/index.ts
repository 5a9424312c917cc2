export { type Binaries, findBinaries } from './binaries.ts';
export { type Embedded, type EmbeddedOptions, startEmbedded } from './embedded.ts';
export { StoreError } from './error.ts';
export { listen } from './listen.ts';
export { migrate, migrationFiles } from './migrate.ts';
export { type DatabaseConfig, openPool, type Pool, type Queryable, type Result, type Tx, tx } from './pool.ts';
export { ensureRoles, PROCESS_ROLES, type ProcessRole, roleName } from './roles.ts';
export { MIGRATIONS, startTestServer, type TestDatabase, testDatabase } from './test-database.ts';
