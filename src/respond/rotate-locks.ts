import { uuidv7 } from '#base';
import type { RotateLocks } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { checkPurpose } from './locks.ts';

const LIFE_MS = 24 * 3_600_000;

/** Asks two people to give everybody a new lock. Returns what they sign. Throws RespondError `bad-request`. */
export async function askRotateLocks(
  t: Tx,
  input: { readonly by: string; readonly purpose: string; readonly now: number },
): Promise<RotateLocks> {
  const document: RotateLocks = {
    ...{ v: 1, op: 'rotate-locks', id: uuidv7(input.now), requester: input.by },
    ...{ purpose: checkPurpose(input.purpose), notAfter: input.now + LIFE_MS },
  };
  await requestApproval(t, document);
  return document;
}
