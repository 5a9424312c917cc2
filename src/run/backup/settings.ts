import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BackupError,
  DEFAULT_POLICY,
  LEDGER_DAYS,
  type Policy,
  SETS,
  type SetName,
  type TargetSettings,
} from '#backup';
import { canonicalJson, sha256 } from '#base';
import { parseRecoveryKey, type RecoveryKey, readAgeRecipient } from '#seal';
import type { Home } from '../home.ts';

/** One set's place, times and further recipients. */
export interface SetSettings {
  readonly target: TargetSettings;
  readonly policy: Policy;
  /** age recipients besides the recovery key's. */
  readonly recipients: readonly string[];
}

export interface BackupSettings {
  readonly v: 1;
  readonly sets: { readonly [set in SetName]?: SetSettings };
}

const file = (home: Home): string => join(home.dir, 'supervisor', 'backup.json');

/** What is set; nothing before anybody has set anything. */
export function readSettings(home: Home): BackupSettings {
  if (!existsSync(file(home))) return { v: 1, sets: {} };
  try {
    return JSON.parse(readFileSync(file(home), 'utf8')) as BackupSettings;
  } catch (cause) {
    throw new BackupError('settings', 'The settings of the backups cannot be read.', { cause });
  }
}

/** Changes one set's settings. Throws BackupError `settings`. */
export function changeSettings(home: Home, set: SetName, change: Partial<Policy> & Partial<SetSettings>): SetSettings {
  const settings = readSettings(home);
  const before = settings.sets[set];
  const { target = before?.target, recipients = before?.recipients ?? [], policy: _, ...times } = change;
  if (target === undefined) {
    throw new BackupError('settings', `Say first where the ${set} backup goes: --directory or --command.`);
  }
  for (const one of recipients) readAgeRecipient(one);
  const policy = { ...DEFAULT_POLICY[set], ...before?.policy, ...times };
  if (set === 'ledger' && policy.keepDays > LEDGER_DAYS) {
    throw new BackupError(
      'settings',
      `Backups of the ledger are kept for ${LEDGER_DAYS} days at most: until the last is gone, nobody who left is erased.`,
    );
  }
  if (set === 'sealer' && recipients.length > 0) {
    throw new BackupError('settings', 'The sealer’s backup has no other recipient than the recovery key.');
  }
  const next = { target, policy, recipients };
  const text = JSON.stringify({ v: 1, sets: { ...settings.sets, [set]: next } } satisfies BackupSettings, null, 2);
  writeFileSync(`${file(home)}.new`, text, { mode: 0o600 });
  renameSync(`${file(home)}.new`, file(home));
  return next;
}

/** The pinned recovery key's public half. Throws BackupError `settings` if none is pinned. */
export function readRecovery(home: Home): RecoveryKey {
  const path = join(home.dir, 'public', 'recovery.json');
  if (!existsSync(path)) {
    throw new BackupError(
      'settings',
      'No recovery key is pinned, so no backup could be opened again. Make one offline (bartizan recovery make), then pin it (bartizan recovery pin).',
    );
  }
  return parseRecoveryKey(JSON.parse(readFileSync(path, 'utf8')));
}

/** Who signs each set, as `public/backup.json` lists them after the first backup. */
export type Signers = { readonly [set in SetName]?: string };

/**
 * The installation's fingerprint, to be kept on paper with the share cards: recovery key and the three keys that sign
 * backups. A restore holds the backups to it, so that nobody slips in his own. Undefined until each set was written once.
 */
export function fingerprintOf(org: string, recovery: string, signers: Signers): string | undefined {
  if (SETS.some((set) => signers[set] === undefined)) return undefined;
  const text = canonicalJson({ v: 1, org, recovery, signers: SETS.map((set) => signers[set]!) });
  return sha256(text).toString('hex').slice(0, 32).match(/.{4}/g)!.join('-');
}

export function readSigners(home: Home): Signers {
  const path = join(home.dir, 'public', 'backup.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Signers) : {};
}

/** Notes who signed a set; a change is refused: the paper would no longer fit. */
export function noteSigner(home: Home, set: SetName, signer: string): void {
  const before = readSigners(home);
  if (before[set] === signer) return;
  if (before[set] !== undefined) {
    throw new BackupError('tampered', `The key that signs the ${set} backup is another one than before. Find out why.`);
  }
  writeFileSync(join(home.dir, 'public', 'backup.json'), JSON.stringify({ ...before, [set]: signer }), { mode: 0o644 });
}
