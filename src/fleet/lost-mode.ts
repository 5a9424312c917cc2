import type { Tx } from '#store';
import type { Verb } from '#wire';
import { FleetError } from './error.ts';

/** A device is located only while its own screen says that it is lost. Throws FleetError `not-lost`. */
export async function onlyIfLost(t: Tx, verb: Verb, devices: readonly string[]): Promise<void> {
  if (verb !== 'DeviceLocation') return;
  const { rows } = await t.query<{ n: number }>(
    'select count(*)::int as n from fleet.device where handle = any($1) and not lost_mode',
    [devices],
  );
  if (rows[0]!.n === 0) return;
  throw new FleetError('not-lost', 'Only a device in lost mode can be located. Switch lost mode on first.', {
    status: 409,
  });
}
