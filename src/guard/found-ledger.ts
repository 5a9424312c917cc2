import { join } from 'node:path';
import { verifierKey } from '#proof';
import type { RecoveryKey } from '#seal';
import { makeFolder } from './files.ts';
import { Gate } from './gate.ts';
import { makeKey, publicText } from './keys.ts';
import { type Founder, Ledger, type LedgerOptions, logOrigin, type WriterKey } from './ledger.ts';
import { EvidenceLog } from './log.ts';

/** Makes the ledger's keys and its empty log, with the founders as its first entry. Once only. Returns public keys. */
export async function foundLedger(
  options: Pick<LedgerOptions, 'org' | 'state' | 'logDir' | 'origin' | 'caps' | 'clock' | 'logger'>,
  founders: readonly Founder[],
  writers: readonly WriterKey[],
  recovery?: RecoveryKey | string,
): Promise<{ outer: string; ledger: string; log: string }> {
  const { org, state, logDir } = options;
  const outer = await makeKey(state, 'outer', 'x25519');
  const signing = await makeKey(state, 'receipts', 'ed25519');
  const logKey = await makeKey(state, 'log', 'ed25519');
  makeFolder(join(state, 'locks'), 0o700);
  const gate = new Gate(options);
  const log = { state, folder: logDir, origin: logOrigin(org), key: logKey, time: gate.time, onUnusable: () => {} };
  await EvidenceLog.found(log);
  const ledger = await Ledger.open({ ...options, onUnusable: () => {} });
  await ledger.found(founders, writers, recovery);
  await ledger.close();
  return { outer: publicText(outer), ledger: publicText(signing), log: verifierKey(logOrigin(org), logKey) };
}
