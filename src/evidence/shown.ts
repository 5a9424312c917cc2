import { fromBase64url } from '#base';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from '#proof';
import type { GuardClient } from '#seal';
import type { Queryable } from '#store';
import type { EvidenceFolder } from './folder.ts';

/** A checkpoint as the ledger signed it, with the proof from an earlier size. */
export interface Shown extends Checkpoint {
  readonly note: string;
  readonly proof: readonly Buffer[];
}

/** The log's key id, 8 hex: under it everything about this log is kept. */
export const logId = (key: string): string => parseVerifierKey(key).id.toString('hex');

/**
 * The ledger's newest checkpoint. What it says is checked against the log's pinned key. It is shown the newest that we kept: a
 * ledger whose files went back in time stops there, before it signs another past. Throws GuardError, ProofError.
 */
export async function askLedger(db: Queryable, ledger: GuardClient, key: string, from: number): Promise<Shown> {
  const { rows } = await db.query<{ note: string }>(
    'select note from evidence.checkpoint where log = $1 order by size desc limit 1',
    [logId(key)],
  );
  const seen = rows[0] === undefined ? {} : { seen: rows[0].note };
  const { checkpoint: note, proof } = await ledger.call<{ checkpoint: string; proof: readonly string[] }>(
    'checkpoint',
    { from, ...seen },
  );
  return { ...openCheckpoint(note, key), note, proof: proof.map((hash) => Buffer.from(fromBase64url(hash))) };
}

/** Keeps a checkpoint, as a row and as a file. The first of a size stays. */
export async function keepCheckpoint(db: Queryable, folder: EvidenceFolder, log: string, shown: Shown): Promise<void> {
  await db.query('insert into evidence.checkpoint (log, size, note) values ($1, $2, $3) on conflict do nothing', [
    ...[log, shown.size, shown.note],
  ]);
  const { rows } = await db.query<{ note: string }>(
    'select note from evidence.checkpoint where log = $1 and size = $2',
    [...[log, shown.size]],
  );
  await folder.put(log, shown.size, 'checkpoint', Buffer.from(rows[0]!.note));
}
