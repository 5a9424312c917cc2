import { readFileSync } from 'node:fs';
import { checkEntry, type LedgerEntry } from '#incident';
import { type Checkpoint, openCheckpoint } from '#proof';
import { RunError } from './config.ts';

/** What a saved sheet or certificate says, and whether the log that the checkpoint signs says the same. */
export interface Certified {
  readonly handle: string;
  readonly lines: readonly {
    readonly leaf: number;
    readonly time: string;
    readonly what: string;
    readonly admin: string;
    readonly purpose: string;
    /** Digest re-derived from body and salt, the person named in it, and inclusion proven. */
    readonly proven: boolean;
  }[];
  readonly proven: boolean;
}

/**
 * Checks a file that a person's page saved: the erasure certificate, or the sheet with proofs. `verifier` is the log's key as
 * whoever checks knows it, not as the file says. Throws RunError if the file is neither, or its checkpoint is not signed by it.
 */
export function checkCertificate(file: string, verifier: string): Certified {
  let read: { handle: string; entry?: LedgerEntry; entries?: readonly LedgerEntry[]; checkpoint: string };
  try {
    read = JSON.parse(readFileSync(file, 'utf8')) as typeof read;
    if (typeof read.handle !== 'string' || typeof read.checkpoint !== 'string') throw new TypeError();
  } catch (cause) {
    throw new RunError('usage', 'This is no certificate and no sheet that a person’s page saved.', { cause });
  }
  let checkpoint: Checkpoint;
  try {
    checkpoint = openCheckpoint(read.checkpoint, verifier);
  } catch (cause) {
    throw new RunError('usage', 'The checkpoint in this file is not signed by this log’s key. It proves nothing.', {
      cause,
    });
  }
  const entries = read.entry === undefined ? (read.entries ?? []) : [read.entry];
  const lines = entries.map((entry) => {
    const checked = checkEntry(entry, checkpoint);
    const kind = String((entry.body['metadata'] as { log_name?: string } | undefined)?.log_name ?? entry.kind);
    return {
      leaf: checked.leaf,
      time: new Date(checked.time).toISOString(),
      what: kind === 'directory.erased' ? 'erased' : `${checked.field || 'value'} read`,
      ...{ admin: checked.admin, purpose: checked.purpose },
      proven: checked.verified && checked.subjects.includes(read.handle),
    };
  });
  return { handle: read.handle, lines, proven: lines.length > 0 && lines.every(({ proven }) => proven) };
}
