import { spawn } from 'node:child_process';
import { join } from 'node:path';
import {
  BackupError,
  fileNameOf,
  type Kept,
  mustBeApart,
  outlived,
  type Place,
  SETS,
  type SetName,
  timeOf,
} from '#backup';
import { fromBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import type { RecoveryKey } from '#seal';
import { type DatabaseConfig, type Pool, tx } from '#store';
import type { Order, Written } from '../backup-set.ts';
import { type Home, ledgerElsewhere, PROCESSES, uidOf } from '../home.ts';
import type { FolderSource } from './contents.ts';
import {
  type BackupSettings,
  fingerprintOf,
  noteSigner,
  readRecovery,
  readSettings,
  readSigners,
  type SetSettings,
} from './settings.ts';

/** What a backup run works with. */
export interface BackupDoors {
  readonly home: Home;
  readonly org: string;
  /** As bartizan_core: for records. */
  readonly pool: Pool;
  readonly admin: DatabaseConfig;
  readonly postgres: { readonly dir: string; readonly env: Readonly<Record<string, string>> };
  readonly now: () => number;
}

export interface SetResult {
  readonly set: SetName;
  readonly ok: boolean;
  readonly name?: string;
  readonly bytes?: number;
  readonly pruned?: number;
  readonly code?: string;
  readonly message?: string;
}

const LOCK = 0x62_74_62;

/** The user that owns a set; undefined is ours. */
const ownerOf = (set: SetName): number | undefined => (set === 'database' ? undefined : uidOf(set));

/** Runs one order in a process of the set's owner. Throws BackupError with what it said. */
export function perform<T>(home: Home, set: SetName, order: Order): Promise<T> {
  const uid = ownerOf(set);
  const args = ['--disable-warning=ExperimentalWarning', join(home.code, 'src', 'run', 'backup-set.ts')];
  const child = spawn(home.node, args, {
    cwd: '/',
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', TZ: 'UTC' },
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let out = '';
  child.stdout.on('data', (part) => {
    out += part;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(order));
  return new Promise((resolve, reject) => {
    child.on('error', (cause) =>
      reject(new BackupError('internal', `The ${set} backup cannot be started.`, { cause })),
    );
    child.on('close', () => {
      let answer: { error?: { code: string; message: string } };
      try {
        answer = JSON.parse(out) as typeof answer;
      } catch {
        answer = { error: { code: 'ended', message: `The ${set} backup was ended. Earlier backups are untouched.` } };
      }
      if (answer.error === undefined) resolve(answer as T);
      else reject(new BackupError(answer.error.code, answer.error.message));
    });
  });
}

const configured = (settings: BackupSettings) =>
  SETS.flatMap((set) => (settings.sets[set] === undefined ? [] : [[set, settings.sets[set]] as const]));

/** Looks at all places; throws BackupError `same-target` unless they are apart, and records what it saw. */
async function lookAtPlaces(doors: BackupDoors, settings: BackupSettings, recovery: RecoveryKey): Promise<void> {
  const places: Place[] = [];
  let code: string | null = null;
  let failure: unknown;
  try {
    for (const [set, { target }] of configured(settings)) {
      places.push(await perform<Place>(doors.home, set, { do: 'place', set, target }));
    }
    mustBeApart(places, doors.home.dir);
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    code = error.code;
    failure = error;
  }
  const devices = places.flatMap(({ device }) => device ?? []);
  const fingerprint = fingerprintOf(doors.org, recovery.id, readSigners(doors.home)) ?? null;
  const values = [recovery.id, fingerprint, code === null, new Set(devices).size < devices.length, code];
  await tx(doors.pool, async (t) => {
    const before = await t.query<{ code: string | null }>('select code from backup.posture');
    await t.query(
      `insert into backup.posture as p (recovery, fingerprint, apart, one_disk, code) values ($1, $2, $3, $4, $5)
       on conflict (one) do update set recovery = $1, fingerprint = $2, apart = $3, one_disk = $4, code = $5, looked_at = now()`,
      values,
    );
    if (code === 'same-target' && before.rows[0]?.code !== code) {
      await emit(t, { kind: 'backup.same_place', actor: 'core', detail: { sets: configured(settings).length } });
    }
  });
  if (failure !== undefined) throw failure;
}

/**
 * Writes these sets, one after the other in the order database, ledger, sealer: the ledger's copy is never older than the
 * rows that need its locks. One that fails does not stop the others. Throws BackupError before anything is written if a
 * setting is missing or two places are one.
 */
export async function runBackups(doors: BackupDoors, only?: readonly SetName[]): Promise<SetResult[]> {
  const settings = readSettings(doors.home);
  const recovery = readRecovery(doors.home);
  const chosen = configured(settings).filter(([set]) => only?.includes(set) ?? true);
  const missing = only?.find((set) => settings.sets[set] === undefined) ?? (chosen.length === 0 ? SETS[0] : undefined);
  if (missing !== undefined) {
    throw new BackupError(
      'settings',
      `Nobody has said where the ${missing} backup goes: bartizan backup target ${missing}`,
    );
  }
  if (ledgerElsewhere(doors.home) && chosen.some(([set]) => set === 'ledger')) {
    throw new BackupError('settings', 'The ledger is on another host: its folder must be backed up there, not here.');
  }
  const client = await doors.pool.connect();
  try {
    const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [LOCK]);
    if (rows[0]?.got !== true) throw new BackupError('in-use', 'Another backup is running. Wait until it has ended.');
    await lookAtPlaces(doors, settings, recovery);
    const run = uuidv7(doors.now());
    const results: SetResult[] = [];
    for (const [set, one] of chosen) results.push(await runSet(doors, { set, run, settings: one, recovery }));
    return results;
  } finally {
    // Said, not left to the end of the connection: the server may notice that later than the next run comes.
    await client.query('select pg_advisory_unlock($1)', [LOCK]).catch(() => {});
    client.release(true);
  }
}

async function runSet(
  doors: BackupDoors,
  { set, run, settings, recovery }: { set: SetName; run: string; settings: SetSettings; recovery: RecoveryKey },
): Promise<SetResult> {
  const at = doors.now();
  const name = fileNameOf(set, doors.org, at, run);
  const { target, policy } = settings;
  const plan = [set, target.kind, policy.everyHours, policy.keepDays, policy.alarmHours];
  await doors.pool.query(
    `insert into backup.plan as p (set, place, every_hours, keep_days, alarm_hours) values ($1, $2, $3, $4, $5)
     on conflict (set) do update set place = $2, every_hours = $3, keep_days = $4, alarm_hours = $5`,
    plan,
  );
  try {
    const written = await perform<Written>(doors.home, set, {
      do: 'write',
      facts: { v: 1, set, org: doors.org, recovery: recovery.id, run, at, made: 'bartizan 1' },
      name,
      target,
      recipients: [recovery.recipients[set], ...settings.recipients],
      ...sourcesOf(doors, set),
    });
    noteSigner(doors.home, set, written.signer);
    const pruned = await pruneSet(doors, set, settings);
    await tx(doors.pool, async (t) => {
      await t.query(
        `insert into backup.run (id, set, begun_at, state, bytes, sha256) values ($1, $2, $3, 'done', $4, $5)`,
        [run, set, new Date(at), written.bytes, Buffer.from(fromBase64url(written.sha256))],
      );
      await t.query('update backup.posture set fingerprint = $1', [
        fingerprintOf(doors.org, recovery.id, readSigners(doors.home)) ?? null,
      ]);
      const detail = { set, run, bytes: written.bytes, files: written.files, sha256: written.sha256 };
      await emit(t, { kind: 'backup.made', actor: 'core', detail });
    });
    return { set, ok: true, name, bytes: written.bytes, pruned };
  } catch (error) {
    const code = error instanceof BackupError ? error.code : 'internal';
    const message = error instanceof BackupError ? error.message : 'The backup failed. Earlier backups are untouched.';
    await tx(doors.pool, async (t) => {
      await t.query(`insert into backup.run (id, set, begun_at, state, code) values ($1, $2, $3, 'failed', $4)`, [
        ...[run, set, new Date(at), code],
      ]);
      await emit(t, { kind: 'backup.failed', actor: 'core', detail: { set, run, code } });
    });
    return { set, ok: false, code, message };
  }
}

/** What belongs to a set, and where its signing key is. */
function sourcesOf(
  { home, admin, postgres }: BackupDoors,
  set: SetName,
): {
  keyFolder: string;
  folders: readonly FolderSource[];
  dump?: { admin: DatabaseConfig; dir: string; env: Readonly<Record<string, string>> };
} {
  if (set === 'ledger') {
    // The checkpoint first and the locks last: what the checkpoint covers is in the journal, and who was erased meanwhile stays erased.
    const order = { first: ['log/checkpoint', 'log/', 'journal'], last: ['locks/'] };
    return { keyFolder: home.state('ledger'), folders: [{ name: 'ledger', path: home.state('ledger'), ...order }] };
  }
  if (set === 'sealer') {
    // The organisation's key itself stays out: it is in here encrypted to the recovery key, by the sealer's own hand.
    const skip = ['^organisation(-\\d+)?\\.key$'];
    return { keyFolder: home.state('sealer'), folders: [{ name: 'sealer', path: home.state('sealer'), skip }] };
  }
  const states = PROCESSES.filter((name) => name !== 'ledger' && name !== 'sealer');
  return {
    keyFolder: join(home.dir, 'supervisor'),
    dump: { admin, ...postgres },
    folders: [
      ...states.map((name) => ({ name, path: home.state(name) })),
      { name: 'public', path: join(home.dir, 'public') },
      // The database's password is made anew where it is restored, and process ids mean nothing there.
      { name: 'supervisor', path: join(home.dir, 'supervisor'), skip: ['^pg-admin$', '^pid$', '^haul/'] },
    ],
  };
}

/** Deletes what has outlived its time and notes what is left. Returns how many went. */
export async function pruneSet(doors: BackupDoors, set: SetName, { target, policy }: SetSettings): Promise<number> {
  const { files } = await perform<{ files: Kept[] }>(doors.home, set, { do: 'list', target });
  const names = files.map(({ name }) => name);
  const gone = outlived(set, doors.org, names, policy.keepDays, doors.now());
  if (gone.length > 0) await perform(doors.home, set, { do: 'remove', target, names: gone });
  const times = names.filter((name) => !gone.includes(name)).flatMap((name) => timeOf(set, doors.org, name) ?? []);
  await doors.pool.query('update backup.plan set kept = $2, oldest_at = $3, looked_at = now() where set = $1', [
    ...[set, times.length, times.length === 0 ? null : new Date(Math.min(...times))],
  ]);
  if (gone.length > 0)
    await emit(doors.pool, { kind: 'backup.pruned', actor: 'core', detail: { set, count: gone.length } });
  return gone.length;
}

/** Sets whose time has come, by what was recorded. */
export async function dueSets(doors: BackupDoors): Promise<SetName[]> {
  const settings = readSettings(doors.home);
  const { rows } = await doors.pool.query<{ set: SetName; begun_at: Date; state: string }>(
    'select distinct on (set) set, begun_at, state from backup.run order by set, begun_at desc',
  );
  const last = new Map(rows.map((row) => [row.set, row]));
  return configured(settings).flatMap(([set, { policy }]) => {
    const before = last.get(set);
    // One that failed is tried again after ten minutes.
    const pause = before?.state === 'failed' ? 600_000 : policy.everyHours * 3_600_000;
    return before === undefined || before.begun_at.getTime() + pause <= doors.now() ? [set] : [];
  });
}
