import { type GuardClient, GuardError } from '#seal';

/** Both guards, as core reaches them. */
export interface Guards {
  readonly ledger: GuardClient;
  readonly sealer: GuardClient;
}

/** True if a guard answered no; false if it could not be asked, which is tried again. */
export function isVerdict(error: unknown): error is GuardError {
  return error instanceof GuardError && !['unreachable', 'timeout', 'dropped'].includes(error.code);
}
