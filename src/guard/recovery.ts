import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ageSeal, GuardError, type RecoveryKey, readAgeRecipient } from '#seal';
import { makeFolder, writeDurably } from './files.ts';
import type { Effect, GuardState } from './state.ts';

/** What a guard encrypts to the offline recovery key; its signing half is the roster's. */
export type RecoveryEffect = { readonly e: 'recovery-key'; readonly key: RecoveryKey };

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
