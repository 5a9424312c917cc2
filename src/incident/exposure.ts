import { uuidv7 } from '#base';
import { emit } from '#log';
import { type Checkpoint, openCheckpoint } from '#proof';
import type { GuardClient } from '#seal';
import { type Pool, type Queryable, tx } from '#store';
import { type CheckedEntry, checkEntry, type LedgerEntry } from './entry.ts';
import { getIncident, type Incident } from './record.ts';

/**
 * Who was read, and how surely. `proven`: the ledger wrote down an opening of their values in the window, and the log
 * confirms that entry. `upperBound`: proven, and everybody whose opening cannot be excluded. `unreadable`: the rest; their
 * locks were not used in the window. Decoys are in no number.
 */
export interface ExposureReport {
  readonly id: string;
  readonly incident: string;
  readonly madeAt: string;
  readonly from: string;
  readonly to: string;
  readonly principal: string | null;
  readonly peopleCount: number;
  readonly proven: readonly string[];
  readonly provenCount: number;
  readonly upperBoundCount: number;
  readonly unreadableCount: number;
  /** Distinct people per field class. */
  readonly byField: Readonly<Record<string, number>>;
  /** Openings and refusals in the window, oldest first. */
  readonly entries: readonly CheckedEntry[];
  /** The signed checkpoint that the proofs are against (C2SP tlog-checkpoint). */
  readonly checkpoint: string;
  readonly complete: boolean;
  readonly caveats: readonly string[];
}

interface LedgerExposure {
  readonly entries: readonly LedgerEntry[];
  readonly checkpoint: string;
  readonly subjects: readonly string[];
  readonly decoysKnown: number;
  readonly next: number | null;
}

/**
 * Makes the exposure report of an incident from the ledger: checks the checkpoint's signature, every entry's digest and
 * inclusion proof, stores the report and emits `incident.exposure`. `now` in milliseconds.
 */
export async function makeExposure(
  pool: Pool,
  ledger: GuardClient,
  input: { incident: string; by: string; now: number; logVerifier: string },
): Promise<ExposureReport> {
  const { incident } = await getIncident(pool, input.incident);
  const to = incident.windowTo === null ? input.now : Date.parse(incident.windowTo);
  const window = { now: input.now, from: Date.parse(incident.windowFrom), to };
  const pages = await allPages(ledger, window, incident.principal);
  const { rows } = await pool.query<{ people: number }>('select count(*)::int as people from people.person');
  const report = assess(incident, pages, window, rows[0]!.people, input.logVerifier);
  await tx(pool, async (t) => {
    await t.query('insert into incident.exposure (id, incident_id, report) values ($1, $2, $3)', [
      report.id,
      incident.id,
      JSON.stringify(report),
    ]);
    const { provenCount: proven, upperBoundCount: upper_bound, unreadableCount: unreadable, complete } = report;
    await emit(t, {
      kind: 'incident.exposure',
      actor: input.by,
      detail: { incident: incident.id, proven, upper_bound, unreadable, complete },
    });
  });
  return report;
}

async function allPages(
  ledger: GuardClient,
  window: { from: number; to: number },
  principal: string | null,
): Promise<LedgerExposure[]> {
  const pages: LedgerExposure[] = [];
  for (let after: number | null = -1; after !== null; ) {
    const page: LedgerExposure = await ledger.call<LedgerExposure>(
      'exposure',
      { from: window.from, to: window.to, after, ...(principal === null ? {} : { principal }) },
      { timeoutMs: 30_000 },
    );
    pages.push(page);
    after = page.next;
  }
  return pages;
}

/** The arithmetic of the report, apart from any I/O. `peopleRows` counts decoys too; the ledger says how many there are. */
function assess(
  incident: Pick<Incident, 'id' | 'principal'>,
  pages: readonly LedgerExposure[],
  window: { now: number; from: number; to: number },
  peopleRows: number,
  logVerifier: string,
): ExposureReport {
  const real = new Set(pages.flatMap((page) => page.subjects));
  const people = Math.max(0, peopleRows - (pages[0]?.decoysKnown ?? 0));
  const caveats = [
    'An opening is counted when the ledger wrote it down, which is before anything was opened: the count errs upwards.',
  ];
  if (incident.principal !== null) caveats.push(`Only openings by ${incident.principal} are counted.`);
  const entries = pages.flatMap((page) => {
    const checkpoint = signedCheckpoint(page.checkpoint, logVerifier);
    return page.entries.map((entry) => {
      const checked =
        checkpoint === undefined
          ? {
              ...checkEntry(entry, { origin: '', size: 0, root: Buffer.alloc(0) } as unknown as Checkpoint),
              verified: false,
            }
          : checkEntry(entry, checkpoint);
      return { ...checked, subjects: checked.subjects.filter((subject) => real.has(subject)) };
    });
  });
  const opened = entries.filter((entry) => ['directory.revealed', 'directory.exported'].includes(entry.kind));
  const complete = entries.every((entry) => entry.verified);
  if (!complete)
    caveats.push('At least one entry could not be re-derived from the signed log: the upper bound is everybody.');
  const proven = [...new Set(opened.filter((entry) => entry.verified).flatMap((entry) => entry.subjects))].sort();
  const fields = [...new Set(opened.map((entry) => entry.field))].sort();
  const upperBound = complete ? proven.length : people;
  return {
    id: uuidv7(window.now),
    incident: incident.id,
    madeAt: new Date(window.now).toISOString(),
    from: new Date(window.from).toISOString(),
    to: new Date(window.to).toISOString(),
    principal: incident.principal,
    peopleCount: people,
    proven,
    provenCount: proven.length,
    upperBoundCount: upperBound,
    unreadableCount: Math.max(0, people - upperBound),
    byField: Object.fromEntries(
      fields.map((field) => [
        field,
        new Set(opened.filter((entry) => entry.field === field).flatMap((entry) => entry.subjects)).size,
      ]),
    ),
    entries,
    checkpoint: pages.at(-1)?.checkpoint ?? '',
    complete,
    caveats,
  };
}

function signedCheckpoint(note: string, verifier: string): Checkpoint | undefined {
  try {
    return openCheckpoint(note, verifier);
  } catch {
    return undefined;
  }
}

/** The stored reports of an incident, newest first, at most 20. */
export async function listExposures(db: Queryable, incident: string): Promise<ExposureReport[]> {
  const { rows } = await db.query<{ report: ExposureReport }>(
    'select report from incident.exposure where incident_id = $1 order by made_at desc limit 20',
    [incident],
  );
  return rows.map((row) => row.report);
}
