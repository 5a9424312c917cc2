import { HANDLE, newDeviceHandle, newToken, sha256, uuidv7 } from '#base';
import type { Queryable } from '#store';
import { FleetError } from './error.ts';

export interface Offer {
  readonly device: string;
  readonly holder: string | null;
  /** One-time token of the enrolment link; shown once, kept as a hash. */
  readonly token: string;
}

/**
 * Makes devices that wait for their phones, one enrolment link each. `holders` are persons' handles or null for pool
 * devices, at most 1000; `ttlMs` at most 30 days. Emits `device.offered` for each.
 */
export async function offerEnrolments(
  t: Queryable,
  input: { createdBy: string; holders: readonly (string | null)[]; ttlMs: number },
): Promise<Offer[]> {
  if (input.holders.length < 1 || input.holders.length > 1000) {
    throw new FleetError('bad-request', 'Offer 1 to 1000 enrolments at a time.');
  }
  if (input.holders.some((holder) => holder !== null && !HANDLE.test(holder))) {
    throw new FleetError('bad-request', 'A holder is named by a handle such as amber-otter-4821.');
  }
  const offers: Offer[] = [];
  for (const holder of input.holders) {
    const token = newToken();
    const device = await place(t, holder, token, input);
    offers.push({ device, holder, token });
  }
  return offers;
}

async function place(
  t: Queryable,
  holder: string | null,
  token: string,
  input: { createdBy: string; ttlMs: number },
): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const handle = newDeviceHandle();
    const { rows } = await t.query<{ made: boolean }>(
      `select fleet.offer($1, $2, $3, $4, $5, $6::double precision * interval '1 millisecond') as made`,
      [handle, holder, uuidv7(), sha256(token), input.createdBy, input.ttlMs],
    );
    if (rows[0]!.made) return handle;
  }
  throw new FleetError('too-many', 'No free device handle was found. Retire devices that are gone.', { status: 503 });
}
