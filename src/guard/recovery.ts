import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256, toBase64url } from '#base';
import { Tree, verifierKey } from '#proof';
import { ageSeal, GuardError, type RecoveryKey, type Restored, readAgeRecipient, verifyRestored } from '#seal';
import { makeFolder, writeDurably } from './files.ts';
import { loadKey } from './keys.ts';
import { Publisher } from './publisher.ts';
import type { Effect, GuardState } from './state.ts';

/** A guard's memory of the offline recovery key and of restores. */
export type RecoveryEffect =
  | { readonly e: 'recovery-key'; readonly key: RecoveryKey }
  | { readonly e: 'restored'; readonly at: number; readonly decoy?: string };

export class RecoveryState {
  key: RecoveryKey | undefined;
  /** When this guard was last restored; what was signed before counts no more. 0: never. */
  restoredAt = 0;
  /** The one decoy that a drill may read, on its throw-away copy. */
  decoy: string | undefined;

  apply(effect: RecoveryEffect): void {
    if (effect.e === 'recovery-key') this.key = effect.key;
    else {
      this.restoredAt = effect.at;
      this.decoy = effect.decoy;
    }
  }

  /** Whether a document was, or may have been, signed before the last restore: its first use may be forgotten. */
  older(document: { readonly id?: string; readonly notAfter: number }, life: number): boolean {
    if (this.restoredAt === 0) return false;
    const { id } = document;
    // A UUID of version 7 bears its time; of others only the end is known.
    const made = id?.[14] === '7' ? Number.parseInt(id.replace('-', '').slice(0, 12), 16) : document.notAfter - life;
    return made <= this.restoredAt;
  }
}

/**
 * What a restore does to a guard's memory. New founders come with the directory locked or in a drill; a real restore is
 * always locked until two people lift it. Throws GuardError `refused` unless the pinned recovery key signed it.
 */
export function restoredEffects(state: GuardState, org: string, statement: Restored): Effect[] {
  const { key } = state.recovery;
  if (key === undefined || statement.org !== org || !verifyRestored(key.sign, statement)) {
    throw new GuardError('refused', 'This restore was not signed by the recovery key that is pinned here.');
  }
  if (statement.at <= state.recovery.restoredAt) throw new GuardError('used', 'This restore was applied before.');
  const { at, decoy, founders } = statement;
  const locked: Effect[] =
    decoy === undefined ? [{ e: 'lock', scope: 'directory', target: '', reason: 'restored from backups' }] : [];
  return [
    { e: 'restored', at, ...(decoy === undefined ? {} : { decoy }) },
    ...founders.map((founder): Effect => ({ e: 'founder', ...founder })),
    ...locked,
  ];
}

/** Pins the recovery key: what it encrypts to, and what signs for a new roster. A text is the signing half alone. */
export const recoveryPins = (key: RecoveryKey | string | undefined): Effect[] => {
  if (key === undefined) return [];
  if (typeof key === 'string') return [{ e: 'recovery', key }];
  return [
    { e: 'recovery', key: key.sign },
    { e: 'recovery-key', key },
  ];
};

/** False if this very key is pinned. Throws GuardError `founded` if another one is: it is changed by nobody. */
export function mayPin(state: GuardState, key: RecoveryKey): boolean {
  if (state.recovery.key === undefined) return true;
  if (state.recovery.key.id === key.id) return false;
  throw new GuardError('founded', 'Another recovery key is pinned already.');
}

const NAME = 'log-name';

/** The log's name: another one after a restore that had to cut it. */
export function logName(state: string, founded: string): string {
  const path = join(state, NAME);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : founded;
}

/**
 * Cuts the log: what was published under the old name goes further than what came back, so that nothing may be signed under
 * it any more. The old public files stay beside it. Returns the new verifier key. Once only; before the log is opened.
 *
 * Crash points. Before the new name is written: the old name stands, and the restore begins anew. After it: the folder is
 * published anew from the journal when the log is opened.
 */
export async function cutLog(options: {
  readonly state: string;
  readonly folder: string;
  readonly founded: string;
  readonly at: number;
}): Promise<string> {
  const { state, folder, founded, at } = options;
  const key = loadKey(state, 'log', 'ed25519');
  const origin = `${founded}/${new Date(at).toISOString().slice(0, 10)}-${toBase64url(sha256(String(at))).slice(0, 6)}`;
  await rename(folder, join(state, `log-before-${at}`));
  makeFolder(folder, 0o755);
  const entry = () => Promise.reject(new GuardError('corrupt', 'A new log has no entries.'));
  await Publisher.found({ folder, temporary: join(state, 'publishing'), origin, key, tree: new Tree(), entry }, at);
  await writeDurably(join(state, NAME), origin);
  return verifierKey(origin, key);
}

/** Encrypts a version of the organisation's key (PKCS #8) to the recovery key, beside the sealer's pinned roster. */
export async function wrapKey(state: string, recovery: RecoveryKey, name: string, pkcs8: Uint8Array): Promise<void> {
  const folder = join(state, 'recovery');
  makeFolder(folder, 0o700);
  const sealed = ageSeal([readAgeRecipient(recovery.recipients.organisation)], pkcs8);
  await writeDurably(join(folder, `${name}.${recovery.id}.age`), sealed);
}

/** Wraps every version of the organisation's key that lies in the sealer's folder and is not wrapped to this recovery key yet. */
export async function wrapKeys(state: string, recovery: RecoveryKey): Promise<void> {
  for (const file of readdirSync(state)) {
    const name = /^(organisation(?:-\d+)?)\.key$/.exec(file)?.[1];
    if (name === undefined || existsSync(join(state, 'recovery', `${name}.${recovery.id}.age`))) continue;
    const der = readFileSync(join(state, file));
    await wrapKey(state, recovery, name, der);
    der.fill(0);
  }
}
