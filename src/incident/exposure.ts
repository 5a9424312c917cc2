import { type Json, toBase64url, uuidv7 } from '#base';
import { emit } from '#log';
import type { GuardClient } from '#seal';
import type { Pool, Tx } from '#store';
import { checkEntry, type LedgerEntry } from './entry.ts';
import { getIncident, type Incident } from './record.ts';
import { tx } from '#store';

/** One opening, as the ledger wrote it down before it opened anything. */
export interface ExposureEntry {
  /** Index of the leaf in the transparency log. */
  readonly leaf: number;
  readonly time: number;
  readonly admin: string;
  readonly grant: string;
  readonly field: string;
  readonly purpose: string;
  readonly subjects: readonly string[];
  /** Base64url hashes of the inclusion proof against `checkpoint`. */
  readonly proof: readonly string[];
  readonly verified: boolean;
}

/**
 * Who was read, and how surely. `proven`: the ledger opened their values for a grant in the window. `upperBound`: proven,
 * and everybody whose opening cannot be excluded. `unreadable`: the rest; their locks were not used in the window.
 */
export interface ExposureReport {
  readonly id: string;
  readonly incident: string;
  readonly madeAt: string;
  readonly from: string;
  readonly to: string;
  readonly principal: string | null;
  readonly proven: readonly string[];
  readonly provenCount: number;
  readonly upperBoundCount: number;
  readonly unreadableCount: number;
  readonly peopleCount: number;
  readonly byField: Readonly<Record<string, number>>;
  readonly entries: readonly ExposureEntry[];
  readonly checkpoint: string;
  /** Whether every entry was re-derived from its body and proven to be in the log. */
  readonly complete: boolean;
  readonly caveats: readonly string[];
}

interface LedgerExposure {
  readonly entries: readonly LedgerEntry[];
  readonly checkpoint: string;
  /** People with a lock, decoys left out by the ledger. */
  readonly subjects: number;
  readonly decoys: readonly string[] | number;
}

/**
 * Makes the exposure report of an incident from the ledger, checks every entry's digest and inclusion proof, stores the
 * report and emits `incident.exposure`. Decoys are left out of all counts.
 */
export async function makeExposure(
  pool: Pool,
  ledger: GuardClient,
  input: { incident: string; by: string; now: number },
): Promise<ExposureReport> {
  const { incident } = await getIncident(pool, input.incident);
  const to = incident.windowTo === null ? input.now : Date.parse(incident.windowTo);
  const from = Date.parse(incident.windowFrom);
  const answer = await ledger.call<LedgerExposure>('exposure', {
    from,
    to,
    ...(incident.principal === null ? {} : { principal: incident.principal }),
  });
  const report = assess(incident, answer, { now: input.now, from, to });
  await tx(pool, async (t: Tx) => {
    await t.query('insert into incident.exposure (id, incident_id, report) values ($1, $2, $3)', [
      report.id,
      incident.id,
      JSON.stringify(report),
    ]);
    await emit(t, {
      kind: 'incident.exposure',
      actor: input.by,
      detail: {
        incident: incident.id,
        proven: report.provenCount,
        upper_bound: report.upperBoundCount,
        unreadable: report.unreadableCount,
      } satisfies Json,
    });
  });
  return report;
}

/** The arithmetic of the report, apart from any I/O. */
export function assess(
  incident: Pick<Incident, 'id' | 'principal'>,
  answer: LedgerExposure,
  window: { now: number; from: number; to: number },
): ExposureReport {
  const decoys = new Set(Array.isArray(answer.decoys) ? (answer.decoys as readonly string[]) : []);
  const caveats: string[] = [];
  const entries = answer.entries.map((entry) => {
    const facts = checkEntry(entry, answer.checkpoint);
    return { ...facts, subjects: facts.subjects.filter((subject) => !decoys.has(subject)) };
  });
  const complete = entries.every((entry) => entry.verified);
  const fields: Record<string, Set<string>> = {};
  const proven = new Set<string>();
  const possible = new Set<string>();
  for (const entry of entries) {
    for (const subject of entry.subjects) {
      possible.add(subject);
      if (!entry.verified || !entry.opened.includes(subject)) continue;
      proven.add(subject);
      fields[entry.field] ??= new Set();
      fields[entry.field]!.add(subject);
    }
  }
  if (!complete) caveats.push('At least one entry could not be re-derived from the log: the upper bound is everybody.');
  if (incident.principal !== null) caveats.push(`Only openings by ${incident.principal} are counted.`);
  const upperBound = complete ? possible.size : answer.subjects;
  return {
    id: uuidv7(window.now),
    incident: incident.id,
    madeAt: new Date(window.now).toISOString(),
    from: new Date(window.from).toISOString(),
    to: new Date(window.to).toISOString(),
    principal: incident.principal,
    proven: [...proven].sort(),
    provenCount: proven.size,
    upperBoundCount: upperBound,
    unreadableCount: Math.max(0, answer.subjects - upperBound),
    peopleCount: answer.subjects,
    byField: Object.fromEntries(Object.entries(fields).map(([field, subjects]) => [field, subjects.size])),
    entries: entries.map(({ opened: _opened, ...entry }) => entry),
    checkpoint: answer.checkpoint,
    complete,
    caveats,
  };
}

/** The stored reports of an incident, newest first. */
export async function listExposures(db: Pool | Tx, incident: string): Promise<ExposureReport[]> {
  const { rows } = await db.query<{ report: ExposureReport }>(
    'select report from incident.exposure where incident_id = $1 order by made_at desc limit 20',
    [incident],
  );
  return rows.map((row) => row.report);
}

export { toBase64url };
