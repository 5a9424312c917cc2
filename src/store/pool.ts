import pg from 'pg';

// bigint columns count events and bytes: they stay far below 2^53, and numbers are easier to live with than strings.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
});

/** Where a database is and who we are there. `host` is the directory of the Unix socket. */
export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

export interface Result<T> {
  readonly rows: T[];
  readonly rowCount: number | null;
}

/** Something that runs one statement: a pool, or a client inside a transaction. */
export interface Queryable {
  query<T extends object = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Result<T>>;
}

/** A client inside an open transaction; made by `tx` only. */
export interface Tx extends Queryable {
  readonly inTransaction: true;
}

/** Connections of one database role. Statements run outside any transaction, each by itself. */
export interface Pool extends Queryable {
  readonly config: DatabaseConfig;
  /** Borrows a client; give it back with `release`, with `true` if it must not be used again. */
  connect(): Promise<pg.PoolClient>;
  end(): Promise<void>;
}

/**
 * Opens a pool of at most `max` connections (default 8). An idle connection that the server drops is replaced quietly;
 * a statement that fails throws pg's error, whose texts may quote data: never hand them to a caller.
 */
export function openPool(
  config: DatabaseConfig,
  options: { readonly max?: number; readonly name?: string } = {},
): Pool {
  const pool = new pg.Pool({
    ...config,
    max: options.max ?? 8,
    application_name: options.name ?? config.user,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
  });
  // Without a listener an idle client's error (57P01 at a server stop) would end the process.
  pool.on('error', () => {});
  let ended: Promise<void> | undefined;
  return {
    config,
    query: async <T extends object>(sql: string, params: readonly unknown[] = []) => {
      const result = await pool.query<T & pg.QueryResultRow>(sql, params as unknown[]);
      return { rows: result.rows as T[], rowCount: result.rowCount };
    },
    connect: () => pool.connect(),
    end: () => {
      ended ??= pool.end();
      return ended;
    },
  };
}

const RETRY = new Set(['40001', '40P01']);

/**
 * Runs `work` in one transaction and returns its result; any throw rolls back. A serialisation failure or deadlock is
 * retried up to 5 times, so `work` may run more than once: its effects must be in the database only.
 */
export async function tx<T>(pool: Pool, work: (t: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const client = await pool.connect();
    let broken = false;
    try {
      await client.query('begin');
      const t: Tx = {
        inTransaction: true,
        query: async <R extends object>(sql: string, params: readonly unknown[] = []) => {
          const result = await client.query<R & pg.QueryResultRow>(sql, params as unknown[]);
          return { rows: result.rows as R[], rowCount: result.rowCount };
        },
      };
      const value = await work(t);
      await client.query('commit');
      return value;
    } catch (error) {
      await client.query('rollback').catch(() => {
        broken = true;
      });
      if (attempt < 5 && error instanceof Error && 'code' in error && RETRY.has(String(error.code))) continue;
      throw error;
    } finally {
      client.release(broken);
    }
  }
}
