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

/** What a guard encrypts to the offline recovery key, whose signing half is the roster's, and when it was last restored. */
export type RecoveryEffect =
  | { readonly e: 'recovery-key'; readonly key: RecoveryKey }
  | { readonly e: 'restored'; readonly at: number };

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
  const { recovery, roster } = state;
  if ((recovery?.id ?? key.id) !== key.id || (roster.recovery ?? key.sign) !== key.sign) {
    throw new GuardError('founded', 'Another recovery key is pinned already.');
  }
  return recovery === undefined;
}

/**
 * Encrypts every version of the organisation's key that lies in the sealer's folder to the recovery key, beside it. What is
 * encrypted already stays. A key that never was a file is not ours to copy.
 */
export async function wrapKeys(state: string, recovery: RecoveryKey): Promise<void> {
  const folder = join(state, 'recovery');
  makeFolder(folder, 0o700);
  for (const file of readdirSync(state)) {
    const name = /^(organisation(?:-\d+)?)\.key$/.exec(file)?.[1];
    const wrapped = join(folder, `${name}.${recovery.id}.age`);
    if (name === undefined || existsSync(wrapped)) continue;
    const der = readFileSync(join(state, file));
    const sealed = ageSeal([readAgeRecipient(recovery.recipients.organisation)], der);
    der.fill(0);
    await writeDurably(wrapped, sealed);
  }
}

/**
 * What a restore does to a guard's memory: nothing that was signed before counts any more, as its first use may be forgotten,
 * and the directory is locked until two people lift it. Throws GuardError `refused` unless the pinned recovery key signed it,
 * `used` if it was applied before.
 */
export function restoredEffects(state: GuardState, org: string, statement: Restored): Effect[] {
  const { recovery } = state;
  if (recovery === undefined || statement.org !== org || !verifyRestored(recovery.sign, statement)) {
    throw new GuardError('refused', 'This restore was not signed by the recovery key that is pinned here.');
  }
  if (statement.at <= state.restoredAt) throw new GuardError('used', 'This restore was applied before.');
  return [{ e: 'restored', at: statement.at }];
}

/** Why the directory is locked after a restore. */
export const RESTORED = 'restored from backups';

/** Whether a document was, or may have been, signed before the last restore. `life`: how long one of its kind may live, ms. */
export function isOlder(
  restoredAt: number,
  document: { readonly id?: string; readonly notAfter: number },
  life: number,
) {
  if (restoredAt === 0) return false;
  const { id } = document;
  // A UUID of version 7 bears its time (RFC 9562 section 5.7); of others only the end is known.
  const made = id?.[14] === '7' ? Number.parseInt(id.replace('-', '').slice(0, 12), 16) : document.notAfter - life;
  return made <= restoredAt;
}

const NAME = 'log-name';

/** The log's name: another one after a restore that had to cut it. */
export function logName(state: string, founded: string): string {
  const path = join(state, NAME);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : founded;
}

/**
 * Cuts the log: more than came back may have been published under the old name, so that nothing may be signed under it any
 * more. The old public files stay beside it. Returns the new verifier key. Once only; before the log is opened.
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
