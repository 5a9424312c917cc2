import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { PhoneState } from '../phone-state.ts';
import { SimError } from './aim.ts';

/** What a simulation keeps between runs. Holds the phones' private keys. */
export interface Kept {
  readonly v: 1;
  readonly phones: readonly { readonly state: PhoneState; readonly oddity?: string }[];
}

/** The state of an earlier run, or undefined. Throws SimError if the file is something else. */
export function readState(file: string): Kept | undefined {
  if (!existsSync(file)) return undefined;
  let kept: Kept;
  try {
    kept = JSON.parse(readFileSync(file, 'utf8')) as Kept;
  } catch (cause) {
    throw new SimError('state', 'The state file cannot be read. Give another name, or remove it.', { cause });
  }
  if (kept.v !== 1 || !Array.isArray(kept.phones))
    throw new SimError('state', 'The state file is not one of a simulation. Give another name, or remove it.');
  return kept;
}

/** Written beside and renamed, so that a crash leaves the old state or the new one. */
export function writeState(file: string, kept: Kept): void {
  writeFileSync(`${file}.new`, JSON.stringify(kept), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
