import { fromBase64url } from '#base';
import { emit } from '#log';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from '#proof';
import { type GuardClient, GuardError } from '#seal';
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
  let answer: { checkpoint: string; proof: readonly string[] };
  try {
    answer = await ledger.call('checkpoint', { from, ...seen });
  } catch (error) {
    if (error instanceof GuardError && error.code === 'fork') await tellFork(db);
    throw error;
  }
  const { checkpoint: note, proof } = answer;
  return { ...openCheckpoint(note, key), note, proof: proof.map((hash) => Buffer.from(fromBase64url(hash))) };
}

/** The ledger has lost a past that it signed, and stops: said once an hour, however often it is asked. */
async function tellFork(db: Queryable): Promise<void> {
  const { rows } = await db.query(
    "select from log.event where kind = 'log.trouble' and time > clock_timestamp() - interval '1 hour' limit 1",
  );
  if (rows.length === 0) await emit(db, { kind: 'log.trouble', actor: 'core', detail: { what: 'fork' } });
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
