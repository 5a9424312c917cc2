import { uuidv7 } from '#base';
import type { Hydrate, Searched } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { checkPurpose } from './locks.ts';

const HYDRATE_TTL_MS = 12 * 3_600_000;

/** Asks two people to open a search for some hours. */
export async function askHydrate(
  t: Tx,
  input: {
    readonly field: Searched;
    readonly hours: number;
    readonly by: string;
    readonly purpose: string;
    readonly now: number;
  },
): Promise<Hydrate> {
  const { field, hours, by, purpose, now } = input;
  const document: Hydrate = {
    ...{ v: 1, op: 'hydrate', id: uuidv7(now), field, hours, requester: by },
    ...{ purpose: checkPurpose(purpose), notAfter: now + HYDRATE_TTL_MS },
  };
  await requestApproval(t, document);
  return document;
}
