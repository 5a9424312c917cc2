import { uuidv7 } from '#base';
import { type Leave, MOST_LEAVING } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { RespondError } from './error.ts';
import { checkPurpose } from './locks.ts';

const LEAVE_LIFE_MS = 24 * 3_600_000;

/** Asks two people to erase people who have left. Returns what they sign. Throws RespondError `bad-request`. */
export async function askLeave(
  t: Tx,
  input: { readonly handles: readonly string[]; readonly by: string; readonly purpose: string; readonly now: number },
): Promise<Leave> {
  const subjects = [...new Set(input.handles)].sort();
  if (subjects.length === 0 || subjects.length > MOST_LEAVING) {
    throw new RespondError('bad-request', `Between 1 and ${MOST_LEAVING} people can be erased at once.`);
  }
  const document: Leave = {
    ...{ v: 1, op: 'leave', id: uuidv7(input.now), subjects },
    ...{ requester: input.by, purpose: checkPurpose(input.purpose), notAfter: input.now + LEAVE_LIFE_MS },
  };
  await requestApproval(t, document);
  return document;
}
