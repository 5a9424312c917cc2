import { toBase64url } from '#base';
import type { Role } from '#seal';
import type { OwnEntry } from './entries.ts';
import type { Ledger } from './ledger.ts';

/** Entries that one answer holds at most. */
const PAGE = 100;

/** What concerns the person whom it is about: who read what, and the end. Attempts that failed opened nothing. */
const TELLING: ReadonlySet<string> = new Set(['directory.revealed', 'directory.exported', 'directory.erased']);

/**
 * What happened to one person's values, newest first, from the log and with proofs: who looked, at which field, why, and the
 * erasure. `whole`: with body and salt, from which the entry's digest can be made again; those name the others of the same
 * touch, so a page that the person sees is given the rest only. `after` continues below that leaf.
 */
export async function readHistory(
  ledger: Ledger,
  subject: string,
  { after, whole }: { after: number; whole: boolean },
) {
  const { log } = ledger;
  const marks = log
    .ownMarks((mark) => TELLING.has(mark.kind) && mark.subjects.includes(subject), Number.POSITIVE_INFINITY)
    .filter((mark) => after < 0 || mark.leaf < after)
    .reverse();
  const page = marks.slice(0, PAGE);
  await log.flush();
  await log.publish();
  const entries = [];
  for (const mark of page) {
    const { envelope, own } = await log.prove(mark.leaf);
    if (own === undefined) continue;
    entries.push({
      leaf: mark.leaf,
      envelope,
      ...told(ledger, own),
      ...(whole ? { body: own.body, salt: own.salt } : {}),
    });
  }
  const { note, size } = log.checkpoint;
  return {
    entries: entries.map((entry) => ({ ...entry, proof: log.tree.inclusion(entry.leaf, size).map(toBase64url) })),
    checkpoint: note,
    left: ledger.gate.state.rows.left.has(subject),
    next: marks.length > PAGE ? page.at(-1)!.leaf : null,
  };
}

function told(ledger: Ledger, { kind, time, actor, detail }: OwnEntry) {
  const role: Role | null = [...ledger.gate.state.keys.values()].find((key) => key.admin === actor)?.role ?? null;
  const text = (name: string) => (typeof detail[name] === 'string' ? detail[name] : null);
  return { kind, time, admin: actor, role, field: text('field'), purpose: text('purpose') };
}
