import { type Assertion, EXPORT_BATCH, type Export, GuardError, type SealedRow } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';
import { rowsOf } from './reveal.ts';

/** How far an export is. Of what it holds glass sees ciphertext alone, going in and coming out. */
interface Job {
  state: 'making' | 'done' | 'failed';
  done: number;
  readonly people: number;
  bytes?: number;
  parts?: number;
  sha256?: string;
  why?: string;
}

/** By approval. Not kept over a restart: the guards forget as well, and what was charged stays charged. */
const jobs = new Map<string, Job>();
const MOST_JOBS = 20;
const SLOW = { timeoutMs: 30_000 };

/** Both guards begin it, the sealer first; then everybody's rows are brought. Throws GuardError. */
export async function relayExport(
  doors: GlassDoors,
  ready: { readonly document: Export; readonly assertions: readonly Assertion[] },
): Promise<void> {
  const { id, people } = ready.document;
  if (jobs.has(id)) return;
  await doors.sealer.call('export', ready);
  await doors.ledger.call('export', ready);
  for (const old of [...jobs.keys()].slice(0, Math.max(0, jobs.size - MOST_JOBS + 1))) jobs.delete(old);
  const job: Job = { state: 'making', done: 0, people };
  jobs.set(id, job);
  void make(doors, ready.document, job).catch((error: unknown) => {
    job.state = 'failed';
    job.why = error instanceof GuardError ? error.message : 'It could not be finished. It counts; ask for another.';
    doors.log.error('an export could not be finished', error);
  });
}

async function make(doors: GlassDoors, { id, fields }: Export, job: Job): Promise<void> {
  for (let after = ''; ; ) {
    const { rows } = await doors.pool.query<{ subject: string }>('select subject from people.export_page($1, $2)', [
      ...[after, EXPORT_BATCH],
    ]);
    if (rows.length === 0) break;
    const subjects = rows.map(({ subject }) => subject);
    const brought: SealedRow[] = [];
    for (const field of fields) brought.push(...(await rowsOf(doors, field, subjects)));
    await doors.sealer.call('export-rows', { id, rows: brought }, SLOW);
    job.done += subjects.length;
    after = subjects.at(-1)!;
  }
  const file = await doors.sealer.call<{ bytes: number; parts: number; sha256: string }>('export-end', { id }, SLOW);
  Object.assign(job, file, { state: 'done' });
}

/** How far an export is. Throws `not-found`. */
export function exportState(id: string): object {
  const job = jobs.get(id);
  if (job === undefined) {
    throw new GlassError('not-found', 'This export is not under way: it waits for signatures, or it is over.', {
      status: 404,
    });
  }
  return job;
}

/** A part of the finished file: `<id>/<number>`. Throws GuardError `not-open` once it is too late. */
export function exportPart(doors: GlassDoors, which: string): Promise<object> {
  const [id, n] = which.split('/') as [string, string];
  return doors.sealer.call('export-part', { id, n: Number(n) });
}
