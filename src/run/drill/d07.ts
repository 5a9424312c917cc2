import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROCESSES } from '../home.ts';
import { sealedPeople } from '../story.ts';
import type { Product } from '../supervisor.ts';
import { observe } from './observer.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';
import { afterwards } from './verdict.ts';

interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** What a thief with a login tries beyond reading: all of it must be refused to every process's role. */
const BEYOND = [
  ['a program', "copy (select 1) to program 'id'"],
  ['a server file', "select pg_read_file('PG_VERSION')"],
  ['a file into a table', "create temp table t (a text); copy t from '/etc/passwd'"],
  ['the superuser', 'set role bartizan_admin'],
  ['the owner', 'set role bartizan_owner'],
  ['passwords', 'select rolpassword from pg_authid'],
  ['a replication slot', "select pg_create_physical_replication_slot('thief')"],
  ['a logical slot', "select pg_create_logical_replication_slot('thief', 'test_decoding')"],
  ['large objects', "select lo_import('/etc/passwd')"],
  ['an extension', 'create extension dblink'],
] as const;

/**
 * D07, a stolen database login: for each process's role the real pg_dump, COPY of every table that it may read, replication, and
 * what leads out of the database; with glass's, every sealed row through its own doors. Nothing planted may be in the loot, and
 * the copy must be noticed and answered within 10 s.
 */
export async function drillD07({ product, stage, scratch, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  await sealedPeople(stage);
  const loot = join(scratch, 'd07');
  let beyond = 0;
  let replicated = 0;
  let dumps = 0;
  for (const name of PROCESSES) {
    const login = loginOf(product, name);
    if (login === undefined) continue;
    dumps += dump(product, login, loot);
    copyTables(product, login, loot);
    for (const [, sql] of BEYOND) beyond += psql(product, login, sql).ok ? 1 : 0;
    replicated += psql(product, login, 'IDENTIFY_SYSTEM', 'replication=database').ok ? 1 : 0;
  }
  steps.add('roles that could dump the directory', 0, dumps);
  steps.add('ways out of the database that were open', 0, beyond);
  steps.add('roles that could replicate', 0, replicated);
  const since = Date.now();
  const rows = copySealed(product, loginOf(product, 'glass')!, loot);
  const verdict = await observe({ planted: stage.planted, places: [loot] });
  steps.add('planted names and numbers in the loot', 0, verdict.finds.length);
  const after = await afterwards(product, since, ['directory-copied']);
  steps.atMost('milliseconds until somebody was told of the copy', 10_000, after.alertMs);
  steps.add('the directory is locked', true, after.locked.includes('directory'));
  return {
    ...{ ok: steps.ok, steps: steps.all, detectedMs: after.alertMs, containedMs: after.containedMs },
    evidence: { rows_copied: rows, plaintext_exposed: verdict.finds.length, loot_bytes: verdict.searchedBytes },
  };
}

function loginOf(product: Product, name: (typeof PROCESSES)[number]): Login | undefined {
  return (JSON.parse(readFileSync(product.home.config(name), 'utf8')) as { database?: Login }).database;
}

const environment = (product: Product, login: Login) => ({
  ...{ PATH: '/usr/bin:/bin', ...product.postgresEnv, PGPASSWORD: login.password, PGCONNECT_TIMEOUT: '10' },
});

/** A dump of the directory's schema; 1 if it worked. */
function dump(product: Product, login: Login, loot: string): number {
  const { host, port, user, database } = login;
  const done = spawnSync(
    join(product.postgresDir, 'pg_dump'),
    ['-h', host, '-p', String(port), '-U', user, '-n', 'people', '-a', database],
    { env: environment(product, login), maxBuffer: 1 << 28 },
  );
  appendFileSync(loot, done.stdout);
  return done.status === 0 ? 1 : 0;
}

function psql(product: Product, login: Login, sql: string, extra = ''): { ok: boolean; out: Buffer } {
  const { host, port, user, database } = login;
  const done = spawnSync(
    join(product.postgresDir, 'psql'),
    [
      '-X',
      '-q',
      '-v',
      'ON_ERROR_STOP=1',
      '-c',
      sql,
      `host=${host} port=${port} user=${user} dbname=${database} ${extra}`,
    ],
    { env: environment(product, login), maxBuffer: 1 << 28 },
  );
  return { ok: done.status === 0, out: done.stdout };
}

/** Every table and every column that the role may read. */
function copyTables(product: Product, login: Login, loot: string): void {
  const columns = psql(
    product,
    login,
    `copy (select table_schema || '.' || table_name, string_agg(quote_ident(column_name), ', ') from information_schema.column_privileges
       where grantee = current_user and privilege_type = 'SELECT' and table_schema not in ('pg_catalog', 'information_schema')
       group by 1) to stdout`,
  ).out.toString('utf8');
  for (const line of columns.split('\n').filter((one) => one !== '')) {
    const [table, list] = line.split('\t');
    appendFileSync(loot, psql(product, login, `copy (select ${list} from ${table}) to stdout`).out);
  }
}

/** All sealed rows, page by page, through the only doors that glass has. */
function copySealed(product: Product, login: Login, loot: string): number {
  let rows = 0;
  for (const field of ['name', 'number', 'email', 'device-name'])
    for (let after = ''; ; ) {
      const page = psql(
        product,
        login,
        `copy (select subject, encode("row", 'hex') from people.read_page('${field}', '${after}', 1000)) to stdout`,
      ).out;
      appendFileSync(loot, page);
      const lines = page.toString('utf8').split('\n').filter(Boolean);
      rows += lines.length;
      if (lines.length < 1000) break;
      after = lines.at(-1)!.split('\t')[0]!;
    }
  return rows;
}
