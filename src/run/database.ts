import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { processLogger } from '#base';
import {
  type Binaries,
  type DatabaseConfig,
  type Embedded,
  type EmbeddedOptions,
  StoreError,
  startEmbedded,
} from '#store';
import { watchBait } from './bait.ts';
import type { Home } from './home.ts';

const LOOK_MS = 250;
const LAST_BACKOFF_MS = 10_000;

/** The product's database server, kept alive until it is stopped. */
export interface Server {
  readonly admin: DatabaseConfig;
  /** `distribution 15`, `package 18`, or `external`. */
  readonly origin: string;
  /** Undefined for a server that is not ours. */
  readonly pid: number | undefined;
  /** The programs of our own server. */
  readonly binaries?: Binaries;
  stop(): Promise<void>;
}

/**
 * Uses the server that DATABASE_URL names (as a superuser, in an empty database of its own), else starts ours and
 * starts it again whenever it dies: the processes' pools reconnect by themselves.
 */
export async function startServer(
  home: Home,
  options: Pick<EmbeddedOptions, 'fsync' | 'prefer'>,
  url: string | undefined = process.env['DATABASE_URL'],
): Promise<Server> {
  if (url !== undefined) {
    return { admin: parseDatabaseUrl(url), origin: 'external', pid: undefined, stop: async () => {} };
  }
  const bait = watchBait(home, processLogger('supervisor'));
  const note = (line: string) => {
    appendFileSync(join(home.dir, 'logs', 'postgres.log'), `${line}\n`, { mode: 0o600 });
    bait(line);
  };
  const start = () =>
    startEmbedded({
      dir: join(home.dir, 'pg', 'data'),
      socketDir: join(home.run, 'pg'),
      passwordFile: join(home.dir, 'supervisor', 'pg-admin'),
      log: note,
      ...options,
    });
  let server: Embedded = await start();
  let stopped = false;
  let waitMs = LOOK_MS;
  let busy: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const look = () => {
    busy = (async () => {
      if (server.alive() || stopped) return;
      note('bartizan: the server ended and is started again');
      try {
        server = await start();
        waitMs = LOOK_MS;
      } catch (error) {
        // Backends of the dead server may still be leaving; the next try finds them gone.
        waitMs = Math.min(waitMs * 2, LAST_BACKOFF_MS);
        note(`bartizan: ${error instanceof StoreError ? error.message : 'the server cannot be started'}`);
      }
    })();
    void busy.then(() => {
      if (!stopped) timer = setTimeout(look, waitMs);
    });
  };
  timer = setTimeout(look, LOOK_MS);
  return {
    admin: server.admin,
    origin: `${server.binaries.origin} ${server.binaries.major}`,
    binaries: server.binaries,
    get pid() {
      return server.pid;
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await busy;
      await server.stop();
    },
  };
}

/** `postgres://user:password@host:port/database`; `?host=/directory` for a Unix socket. */
export function parseDatabaseUrl(text: string): DatabaseConfig {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const host = url?.searchParams.get('host') ?? url?.hostname ?? '';
  const database = decodeURIComponent(url?.pathname.slice(1) ?? '');
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || host === '' || database === '' || url.username === '') {
    throw new StoreError('bad-url', 'DATABASE_URL must look like postgres://user:password@host:port/database.');
  }
  return {
    host,
    port: Number(url.port || 5432),
    database,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}
