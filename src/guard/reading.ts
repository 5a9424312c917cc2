import { toBase64url } from '#base';
import type { DecoyBook } from './decoy-book.ts';
import type { EvidenceLog } from './log.ts';

/** What says that somebody read the directory, or tried to. */
const EXPOSING: ReadonlySet<string> = new Set([
  ...['directory.revealed', 'directory.exported', 'directory.refused', 'directory.decoy'],
]);
/** Entries that name people whose values were opened. */
const OPENED: ReadonlySet<string> = new Set(['directory.revealed', 'directory.exported']);

/** Entries that one answer about a time span holds at most. */
const PAGE = 150;

/** The guards' own entries with leaf index >= `after`; waits up to `waitMs` for one. Ask next for those from `next`. */
export async function readTail(log: EvidenceLog, after: number, waitMs: number) {
  const found = await log.tail(after, waitMs);
  const entries = found.map(({ leaf, entry }) => ({ leaf, ...entry }));
  const next = entries.length === 0 ? after : entries.at(-1)!.leaf + 1;
  return { entries, size: log.tree.size, next };
}

/** One entry's public part with its inclusion proof. Throws GuardError `unknown`. */
export async function readProof(log: EvidenceLog, leaf: number) {
  const { envelope, proof, checkpoint } = await log.prove(leaf);
  return { leaf, envelope, proof: proof.map(toBase64url), checkpoint };
}

/**
 * The newest checkpoint, made to cover everything that is on disk, with the proof that it begins with the first `from` leaves:
 * what a witness is shown. There is no proof from nothing, nor from more than there is. `seen`: the newest checkpoint that the
 * caller kept; if we signed it and do not contain it, nothing more is signed.
 */
export async function readCheckpoint(log: EvidenceLog, from: number, seen?: string) {
  if (seen !== undefined) await log.mustContain(seen);
  await log.publish();
  const { note, size } = log.checkpoint;
  const proof = from >= 1 && from < size ? log.tree.consistency(from, size) : [];
  return { checkpoint: note, size, proof: proof.map(toBase64url) };
}

/**
 * What was read of the directory in a time span (both ends included), oldest first, with proofs; one answer holds at most
 * 150 entries and `next` continues it. `subjects` leaves decoys out and counts them in `decoys`.
 */
export async function readExposure(
  log: EvidenceLog,
  decoys: DecoyBook,
  span: { from: number; to: number; principal?: string; after?: number },
) {
  const marks = log.ownMarks(
    (mark) =>
      EXPOSING.has(mark.kind) &&
      mark.time >= span.from &&
      mark.time <= span.to &&
      mark.leaf > (span.after ?? -1) &&
      (span.principal === undefined || mark.actor === span.principal),
    PAGE + 1,
  );
  await log.flush();
  await log.publish();
  const page = marks.slice(0, PAGE);
  const entries = [];
  const subjects = new Set<string>();
  for (const mark of page) {
    const { envelope, own, proof } = await log.prove(mark.leaf);
    if (own === undefined) continue;
    if (OPENED.has(own.kind)) {
      for (const subject of own.detail['subjects'] as readonly string[]) subjects.add(subject);
    }
    const { body, salt } = own;
    entries.push({ leaf: mark.leaf, kind: own.kind, envelope, body, salt, proof: proof.map(toBase64url) });
  }
  const { note, size } = log.checkpoint;
  // The checkpoint may have moved on between two proofs; all are made anew for the last one.
  for (const entry of entries) entry.proof = log.tree.inclusion(entry.leaf, size).map(toBase64url);
  const people = [...subjects].filter((subject) => !decoys.known.has(subject)).sort();
  return {
    entries,
    checkpoint: note,
    subjects: people,
    decoys: subjects.size - people.length,
    // how many decoys there are at all, so that counts of people can leave them out; never which
    decoysKnown: decoys.presentCount,
    next: marks.length > PAGE ? page.at(-1)!.leaf : null,
  };
}
