import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inventPeople, peopleCsv, plantedValues } from '#sim';
import { openPool, type Pool } from '#store';
import { type ProcessName, uidOf } from '../home.ts';
import { importPeople, must, until } from '../stage.ts';
import { sealedPeople } from '../story.ts';
import type { Product } from '../supervisor.ts';
import { opensWith, rowsOfDump, takeAllKeys } from './all-keys.ts';
import { observe } from './observer.ts';
import { type DrillReport, Steps } from './report.ts';
import type { Scene } from './scene.ts';
import { stealFiles } from './stolen-files.ts';

const GHOSTS = 100;
/** Whose memory is searched: all that ever had a value or a lock of a person in hand. */
const REMEMBERING = ['intake', 'core', 'ledger', 'sealer'] as const satisfies readonly ProcessName[];
const PER_APPROVAL = 100;

/**
 * D12, ghost people: 100 people with planted values are imported and then erased by two people. Afterwards database, WAL,
 * dumps from before and after, logs, the evidence log, every process's files and heap snapshots are searched in six encodings,
 * and the rows of a dump from before are tried with all keys that both guards hold. Nothing may be found, nothing may open.
 */
export async function drillD12({ product, stage, scratch, tell }: Scene): Promise<DrillReport> {
  const steps = new Steps(tell);
  await sealedPeople(stage);
  const owner = openPool(product.admin, { max: 1 });
  const loot = join(scratch, 'd12');
  mkdirSync(loot, { recursive: true, mode: 0o700 });
  try {
    await Promise.all(REMEMBERING.map((name) => remembering(product, name)));
    const people = inventPeople(GHOSTS, 12);
    const planted = plantedValues(people);
    const handles = await importPeople(product, peopleCsv(people));
    const ghosts = new Set(handles);
    const settled = await until(async () => (await count(owner, 'sealed', handles)) === handles.length * 3, 60_000);
    steps.add('everybody was sealed first', true, settled);
    const before = join(loot, 'before.sql');
    dump(product, before);
    const locksBefore = join(loot, 'locks');
    cpSync(join(product.home.state('ledger'), 'locks'), locksBefore, { recursive: true });
    const rows = rowsOfDump(before, ghosts);
    // The control: the same keys and the same code do open the same rows while the people are here.
    steps.add('rows that open with all keys before', handles.length * 3, opensWith(takeAllKeys(product), rows));
    const counted = await peopleCounted(stage);

    await erase(stage, handles);
    const gone = await until(async () => (await count(owner, 'tombstone', handles)) === handles.length, 60_000);
    steps.add('everybody was erased', true, gone);
    steps.add('rows of theirs that the database still has', 0, await count(owner, 'sealed', handles));
    steps.add('people of theirs that the database still has', 0, await count(owner, 'person', handles));
    steps.add('rows of the dump from before that open with all keys', 0, opensWith(takeAllKeys(product), rows));
    steps.add('people that counts have lost', GHOSTS, counted - (await peopleCounted(stage)));

    const after = join(loot, 'after.sql');
    dump(product, after);
    steps.add('rows in the dump from after', 0, rowsOfDump(after, ghosts).length);
    const snapshots = await Promise.all(REMEMBERING.map((name) => snapshot(product, name, loot)));
    steps.add('heap snapshots taken', REMEMBERING.length, snapshots.filter(Boolean).length);
    for (const name of ['ledger', 'sealer'] as const)
      cpSync(product.home.state(name), join(loot, name), { recursive: true });
    const stolen = await stealFiles(product, planted);
    const verdict = await observe({ planted, places: [loot] });
    steps.add('planted values in database, WAL, logs, evidence log and files', 0, stolen.finds.length);
    steps.add('planted values in dumps, guards’ files and heap snapshots', 0, verdict.finds.length);
    steps.add('places that could not be searched', 0, stolen.unread.length + verdict.unread.length);

    steps.add('handles of theirs that can be made anew', 0, await madeAnew(owner, handles));
    await putBack(product, locksBefore, handles.slice(0, 10));
    steps.add('locks from a backup that count again', 0, opensWith(takeAllKeys(product), rows));
    return {
      ...{ ok: steps.ok, steps: steps.all, detectedMs: null, containedMs: null },
      evidence: {
        people: GHOSTS,
        values: planted.length,
        searched_bytes: stolen.searchedBytes + verdict.searchedBytes,
      },
    };
  } finally {
    await owner.end();
  }
}

async function count(owner: Pool, table: 'sealed' | 'tombstone' | 'person', handles: readonly string[]) {
  const column = table === 'sealed' ? 'subject' : 'handle';
  const { rows } = await owner.query<{ n: number }>(
    `select count(*)::int as n from people.${table} where ${column} = any($1)`,
    [handles],
  );
  return rows[0]!.n;
}

/** Two people sign that all of these have left. */
async function erase(stage: Scene['stage'], handles: readonly string[]): Promise<void> {
  const [first, second] = stage.admins;
  for (let at = 0; at < handles.length; at += PER_APPROVAL) {
    const body = { handles: handles.slice(at, at + PER_APPROVAL), purpose: 'a drill: all of them have left' };
    const asked = await first!.call('POST', '/api/people/leave', body);
    must(asked, 200, 'the erasure was not taken');
    for (const admin of [first!, second!]) {
      must(await admin.approve(String(asked.body['approval'])), 200, 'the erasure was not signed');
    }
  }
}

/** How many people an exposure report counts. */
async function peopleCounted(stage: Scene['stage']): Promise<number> {
  const admin = stage.admins[0]!;
  const windowFrom = new Date(Date.now() - 3_600_000).toISOString();
  const opened = await admin.call('POST', '/api/incidents', { title: 'A drill', windowFrom, principal: null });
  must(opened, 200, 'no incident');
  const report = await admin.call('POST', `/api/incidents/${String(opened.body['id'])}/exposure`, {});
  must(report, 200, 'no exposure report');
  return Number(report.body['peopleCount']);
}

function dump(product: Product, to: string): void {
  const { host, port, user, password, database } = product.admin;
  const done = spawnSync(
    join(product.postgresDir, 'pg_dump'),
    ['-h', host, '-p', String(port), '-U', user, '-f', to, database],
    { env: { ...product.postgresEnv, PGPASSWORD: password, PATH: '/usr/bin:/bin' } },
  );
  if (done.status !== 0) throw new Error('pg_dump failed');
}

/** Starts a process so that it writes a heap snapshot when it is told to. */
function remembering(product: Product, name: ProcessName): Promise<void> {
  const folder = product.home.state(name);
  return product.process(name).restart(['--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${folder}`]);
}

/** A heap snapshot of a process as it runs, moved to the loot. */
async function snapshot(product: Product, name: ProcessName, loot: string): Promise<boolean> {
  const { pid } = product.process(name);
  if (pid === undefined) return false;
  process.kill(pid, 'SIGUSR2');
  const folder = product.home.state(name);
  const written = () => readdirSync(folder).find((file) => file.endsWith('.heapsnapshot'));
  let size = -1;
  const whole = await until(() => {
    const file = written();
    if (file === undefined) return false;
    const now = statSync(join(folder, file)).size;
    const steady = now > 0 && now === size;
    size = now;
    return steady;
  }, 30_000);
  if (!whole) return false;
  const file = written()!;
  renameSync(join(folder, file), join(loot, `${name}-${basename(file)}`));
  return true;
}

/** How many of the handles the database would give out again, to its owner even. */
async function madeAnew(owner: Pool, handles: readonly string[]): Promise<number> {
  let made = 0;
  for (const handle of handles.slice(0, 10)) {
    try {
      await owner.query('insert into people.person (handle) values ($1)', [handle]);
      made += 1;
    } catch {
      // refused, as it should be
    }
  }
  const { rows } = await owner.query<{ taken: string }>('select people.taken($1) as taken', [handles]);
  return made + handles.length - rows.length;
}

/** Puts lock files of a backup back and starts the ledger anew, as a careless restore would. */
async function putBack(product: Product, backup: string, handles: readonly string[]): Promise<void> {
  const uid = uidOf('ledger');
  for (const part of readdirSync(backup)) {
    for (const handle of readdirSync(join(backup, part)).filter((name) => handles.includes(name))) {
      const folder = join(product.home.state('ledger'), 'locks', part);
      if (!existsSync(folder)) continue;
      cpSync(join(backup, part, handle), join(folder, handle));
      if (uid !== undefined) chownSync(join(folder, handle), uid, uid);
    }
  }
  await product.process('ledger').restart();
}
