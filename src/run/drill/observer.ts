import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Hunter } from '#sim';
import { type DatabaseConfig, openPool } from '#store';
import { verifyLogDir } from '../log-verify.ts';

/** What the observer is asked to judge. The planted values reach it on standard input only. */
export interface Case {
  /** Values that must not be found anywhere below `places`. */
  readonly planted: readonly string[];
  readonly places: readonly string[];
  readonly logDir?: string;
  readonly logKey?: string;
  readonly admin?: DatabaseConfig;
  /** Milliseconds; alerts and actions before this are not counted. */
  readonly since?: number;
}

export interface Verdict {
  /** Distinct files with a planted value, by path; the value is never printed. */
  readonly finds: readonly { readonly where: string; readonly encoding: string; readonly times: number }[];
  readonly unread: readonly string[];
  readonly searchedBytes: number;
  readonly log: { readonly ok: boolean; readonly entries: number } | null;
  readonly database: {
    /** Milliseconds from the hostile event's commit to the alert, and to the first containing action done. */
    readonly alertMs: number | null;
    readonly containedMs: number | null;
    readonly rules: readonly string[];
    readonly wipesRequested: number;
    readonly wipesExecuted: number;
    readonly doneTwice: number;
  } | null;
}

/** Judges in a process of its own: not the code under attack, not the attacker, and nothing of them in memory. */
export function observe(question: Case): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), '--judge'],
      {
        env: { PATH: '/usr/bin:/bin', TZ: 'UTC' },
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const out = text(child.stdout);
    child.on('error', reject);
    child.on('close', async (code) => {
      if (code === 0) resolve(JSON.parse(await out) as Verdict);
      else reject(new Error('the observer failed'));
    });
    child.stdin.end(JSON.stringify(question));
  });
}

async function judge(question: Case): Promise<Verdict> {
  const searched = await new Hunter(question.planted).searchPaths(question.places);
  const report =
    question.logDir && question.logKey ? await verifyLogDir(question.logDir, { verifierKey: question.logKey }) : null;
  return {
    finds: searched.hits.map(({ where, encoding, times }) => ({ where, encoding, times })),
    unread: searched.unread,
    searchedBytes: searched.bytes,
    log: report === null ? null : { ok: report.ok, entries: report.entries },
    database: question.admin ? await readDatabase(question.admin, question.since ?? 0) : null,
  };
}

async function readDatabase(admin: DatabaseConfig, since: number): Promise<Verdict['database']> {
  const pool = openPool(admin, { max: 1 });
  try {
    const one = async <T extends object>(sql: string): Promise<T> =>
      (await pool.query<T>(sql, [new Date(since)])).rows[0] as T;
    const alert = await one<{ ms: number | null }>(
      `select (extract(epoch from min(created_at - event_time)) * 1000)::int as ms from watch.alert
       where event_time >= $1 and level in ('high', 'critical')`,
    );
    const contained = await one<{ ms: number | null }>(
      `select (extract(epoch from min(x.done_at - a.event_time)) * 1000)::int as ms from respond.action x
       join watch.alert a on a.id = x.alert_id where x.state = 'done' and a.event_time >= $1`,
    );
    const wipes = await one<{ requested: number; executed: number }>(
      `select coalesce(sum(jsonb_array_length(targets)), 0)::int as requested,
         (select count(*)::int from fleet.command where request_type = 'EraseDevice' and queued_at >= $1
            and state in ('delivered', 'acknowledged', 'not_now', 'error')) as executed
       from fleet.intent where verb = 'EraseDevice' and created_at >= $1`,
    );
    const twice = await one<{ n: number }>(
      `select count(*)::int as n from (select body->'unmapped'->>'command' from log.event
         where kind = 'command.result' and body->'unmapped'->>'status' <> 'NotNow' and time >= $1
         group by 1 having count(*) > 1) d`,
    );
    const rules = await pool.query<{ rule: string }>(
      'select distinct rule from watch.alert where event_time >= $1 order by rule',
      [new Date(since)],
    );
    return {
      alertMs: alert.ms,
      containedMs: contained.ms,
      rules: rules.rows.map((row) => row.rule),
      wipesRequested: wipes.requested,
      wipesExecuted: wipes.executed,
      doneTwice: twice.n,
    };
  } finally {
    await pool.end();
  }
}

/** SHA-256 of a file, hexadecimal: lets a report name evidence without quoting it. */
export function fingerprint(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

if (process.argv.includes('--judge')) {
  process.stdout.write(JSON.stringify(await judge(JSON.parse(await text(process.stdin)) as Case)));
}
