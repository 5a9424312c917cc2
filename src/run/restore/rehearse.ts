import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackupError } from '#backup';
import { type RestoreDrill, signRestoreDrill } from '#seal';
import { openPool } from '#store';
import { opensWith, type StolenRow, takeAllKeys } from '../drill/all-keys.ts';
import { decoysOf } from '../drill/known-decoys.ts';
import { type Found, type RestoreOptions, restore } from './restore.ts';

const PREFIX = 'bartizan-rehearsal-';
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Decoys that are tried; one that opens is enough. */
const TRIED = 20;

/**
 * A rehearsal: restores into a folder that is thrown away and opens one decoy there with what came back, which shows that rows,
 * locks and the organisation's key fit together. Nobody real is opened, and the decoy is not told. Returns the signed report.
 * Throws RunError or BackupError.
 */
export async function rehearse(
  options: Omit<RestoreOptions, 'home' | 'look'>,
  say: (line: string) => void,
): Promise<RestoreDrill> {
  const startedAt = Date.now();
  clearOld();
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  chmodSync(folder, 0o755);
  // What lies there opens everybody: it goes when somebody ends this as well.
  const ended = () => {
    clear(folder);
    process.exit(130);
  };
  for (const signal of ENDING) process.once(signal, ended);
  let report: RestoreDrill | undefined;
  try {
    const look = async (found: Found) => {
      say('a decoy is opened');
      await openDecoy(found);
      const { org, facts, signer } = found;
      const { database, ledger, sealer } = facts.chosen;
      report = signRestoreDrill(signer, {
        ...{ v: 1, op: 'restore-drill', org, at: Date.now(), seconds: Math.ceil((Date.now() - startedAt) / 1000) },
        ...{ sets: { database: database.at, ledger: ledger.at, sealer: sealer.at }, leaves: facts.leaves },
      });
    };
    await restore({ ...options, home: join(folder, 'home'), look }, say);
  } finally {
    for (const signal of ENDING) process.off(signal, ended);
    clear(folder);
  }
  return report!;
}

/** Ends the folder's database at once and deletes all of it. */
function clear(folder: string): void {
  const file = join(folder, 'home', 'pg', 'data', 'postmaster.pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : Number.NaN;
  try {
    if (pid > 1) process.kill(pid, 'SIGQUIT');
  } catch {
    // it has ended already
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** What a rehearsal left that was killed, or lost its power. */
function clearOld(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : 0;
    if (pid > 0 && !existsSync(`/proc/${pid}`)) clear(join(tmpdir(), name));
  }
}

async function openDecoy({ home, org, admin }: Found): Promise<void> {
  const pool = openPool(admin, { max: 1, name: 'bartizan restore' });
  try {
    const { rows } = await pool.query<StolenRow & { version: string }>(
      `select subject, field, version, "row" from people.sealed
       where field = 'number' and row is not null and subject = any($1) limit $2`,
      [[...decoysOf(home.dir)], TRIED],
    );
    const own = rows.map((row) => ({ ...row, version: Number(row.version) }));
    if (opensWith(takeAllKeys({ home, keys: { org } }), own) === 0) {
      throw new BackupError(
        'database',
        'What came back does not open: rows, locks and the organisation’s key do not fit together. Try sets of another day.',
      );
    }
  } finally {
    await pool.end();
  }
}
