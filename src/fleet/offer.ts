import { HANDLE, newDeviceHandle, newToken, sha256, uuidv7 } from '#base';
import type { Queryable } from '#store';
import { type IdentityKind, identityPolicy } from './attestation/policy.ts';
import { FleetError } from './error.ts';

/** Whose the device is: a personal one is never erased, only its managed part can be taken away. */
export type Ownership = 'organisation' | 'personal';

export interface Offer {
  readonly device: string;
  readonly holder: string | null;
  readonly ownership: Ownership;
  readonly identity: IdentityKind;
  /** One-time token of the enrolment link; shown once, kept as a hash. */
  readonly token: string;
}

export interface OfferInput {
  readonly createdBy: string;
  /** Persons' handles, or null for pool devices; 1 to 1000. */
  readonly holders: readonly (string | null)[];
  /** At most 30 days. */
  readonly ttlMs: number;
  readonly ownership?: Ownership;
  readonly identity?: IdentityKind;
}

/** Makes devices that wait for their phones, one enrolment link each. Emits `device.offered` for each. */
export async function offerEnrolments(t: Queryable, input: OfferInput): Promise<Offer[]> {
  if (input.holders.length < 1 || input.holders.length > 1000) {
    throw new FleetError('bad-request', 'Offer 1 to 1000 enrolments at a time.');
  }
  if (input.holders.some((holder) => holder !== null && !HANDLE.test(holder))) {
    throw new FleetError('bad-request', 'A holder is named by a handle such as amber-otter-4821.');
  }
  const { ownership = 'organisation', identity = 'scep' } = input;
  if (ownership === 'personal' && input.holders.some((holder) => holder === null)) {
    throw new FleetError('bad-request', 'A personal device has a holder. Name one for each link.');
  }
  if (identity === 'acme-attested' && (await identityPolicy(t)).roots.length === 0) {
    throw new FleetError('bad-request', 'No attestation root is set, so no attested device could enrol.');
  }
  const offers: Offer[] = [];
  for (const holder of input.holders) {
    const token = newToken();
    const device = await place(t, { holder, token, ownership, identity, by: input.createdBy, ttlMs: input.ttlMs });
    offers.push({ device, holder, ownership, identity, token });
  }
  return offers;
}

interface Placing {
  readonly holder: string | null;
  readonly token: string;
  readonly ownership: Ownership;
  readonly identity: IdentityKind;
  readonly by: string;
  readonly ttlMs: number;
}

async function place(t: Queryable, one: Placing): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const handle = newDeviceHandle();
    const { rows } = await t.query<{ made: boolean }>(
      `select fleet.offer($1, $2, $3, $4, $5, $6::double precision * interval '1 millisecond', $7, $8) as made`,
      [handle, one.holder, uuidv7(), sha256(one.token), one.by, one.ttlMs, one.ownership, one.identity],
    );
    if (rows[0]!.made) return handle;
  }
  throw new FleetError('too-many', 'No free device handle was found. Retire devices that are gone.', { status: 503 });
}
