import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Product } from '../supervisor.ts';
import { observe, type Verdict } from './observer.ts';

/** Where the stolen copies go, and what they are. */
const SINKS = ['pg/data', 'logs', 'ledger/log', 'public', 'edge', 'console', 'glass', 'intake', 'core'] as const;

/**
 * (c) A thief with the database and backup files: data directory with WAL, a dump, process logs, log tiles, the state of every
 * process but the two guards. The observer searches all of it for the planted values in six encodings.
 */
export async function stealFiles(
  product: Product,
  planted: readonly string[],
): Promise<Verdict & { readonly files: readonly string[] }> {
  const haul = join(product.home.dir, 'supervisor', 'haul');
  rmSync(haul, { recursive: true, force: true });
  mkdirSync(haul, { recursive: true, mode: 0o700 });
  try {
    for (const sink of SINKS)
      cpSync(join(product.home.dir, sink), join(haul, sink), {
        recursive: true,
        filter: (path) => !/\.s\.PGSQL|postmaster\.pid/.test(path),
      });
    writeFileSync(join(haul, 'dump.sql'), dump(product));
    const verdict = await observe({ planted, places: [haul] });
    return { ...verdict, files: [...SINKS, 'dump.sql'] };
  } finally {
    rmSync(haul, { recursive: true, force: true });
  }
}

function dump(product: Product): Buffer {
  const { host, port, user, password, database } = product.admin;
  return execFileSync(join(product.postgresDir, 'pg_dump'), ['-h', host, '-p', String(port), '-U', user, database], {
    env: { ...product.postgresEnv, PGPASSWORD: password, PATH: '/usr/bin:/bin' },
    maxBuffer: 1024 * 1024 * 1024,
  });
}
