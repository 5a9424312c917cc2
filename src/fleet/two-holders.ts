import type { Queryable } from '#store';
import { FleetError } from './error.ts';

/** Lets the commands of a device go on that two seem to hold. Throws `not-held`. */
export async function trustHolder(
  t: Queryable,
  input: { readonly device: string; readonly by: string },
): Promise<void> {
  const { rows } = await t.query<{ done: boolean }>('select fleet.trust_holder($1, $2) as done', [
    input.device,
    input.by,
  ]);
  if (!rows[0]!.done)
    throw new FleetError('not-held', 'Nothing of this device is held for having two holders.', { status: 409 });
}
