import { chownSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { RunError } from './config.ts';
import { type ProcessName, uidOf } from './home.ts';

/** Reads a file of settings as JSON. Throws RunError `usage`. */
export function readGiven(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new RunError('usage', 'The file cannot be read or is not JSON.', { cause });
  }
}

/**
 * Lays checked settings beside where a process reads them, readable by that process alone; what is returned puts them in force,
 * in one step. Throws RunError `usage`.
 */
export function layDown(to: string, settings: object, owner: ProcessName): () => void {
  try {
    writeFileSync(`${to}.new`, JSON.stringify(settings), { mode: 0o600 });
    const uid = uidOf(owner);
    if (uid !== undefined) chownSync(`${to}.new`, uid, uid);
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
  return () => renameSync(`${to}.new`, to);
}
