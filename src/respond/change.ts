import { uuidv7 } from '#base';
import type { Change, Field } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { checkPurpose } from './locks.ts';

const CHANGE_LIFE_MS = 24 * 3_600_000;

/** Asks two people to let a changed number or address in before its time. Returns what they sign. Throws RespondError. */
export async function askRelease(
  t: Tx,
  input: {
    readonly subject: string;
    readonly field: Field;
    readonly version: number;
    readonly by: string;
    readonly purpose: string;
    readonly now: number;
  },
): Promise<Change> {
  const { subject, field, version, by, now } = input;
  const document: Change = {
    ...{ v: 1, op: 'change', id: uuidv7(now), act: 'release', subject, field, version },
    ...{ requester: by, purpose: checkPurpose(input.purpose), notAfter: now + CHANGE_LIFE_MS },
  };
  await requestApproval(t, document);
  return document;
}
