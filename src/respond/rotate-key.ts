import { uuidv7 } from '#base';
import type { RotateKey } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { checkPurpose } from './locks.ts';

const ROTATE_TTL_MS = 12 * 3_600_000;

/** Asks two people to put the staged organisation key in force. `staged`: what the sealer has made. */
export async function askRotateKey(
  t: Tx,
  input: {
    readonly staged: Pick<RotateKey, 'number' | 'key' | 'previous' | 'third'>;
    readonly by: string;
    readonly purpose: string;
    readonly now: number;
  },
): Promise<RotateKey> {
  const { number, key, previous, third } = input.staged;
  const document: RotateKey = {
    ...{ v: 1, op: 'rotate-key', id: uuidv7(input.now), number, key, previous, requester: input.by },
    ...(third === undefined ? {} : { third }),
    ...{ purpose: checkPurpose(input.purpose), notAfter: input.now + ROTATE_TTL_MS },
  };
  await requestApproval(t, document);
  return document;
}
