import type { Queryable } from '#store';
import { FleetError } from './error.ts';

/** Those of the named devices that are their holders' own, in order. */
export async function personalDevices(t: Queryable, devices: readonly string[]): Promise<string[]> {
  const { rows } = await t.query<{ handle: string }>(
    `select handle from fleet.device where handle = any($1) and ownership = 'personal' order by handle`,
    [devices],
  );
  return rows.map(({ handle }) => handle);
}

/** Refuses what would erase a holder's own device. Throws `personal-device`. */
export async function neverErasePersonal(t: Queryable, verb: string, devices: readonly string[]): Promise<void> {
  if (verb !== 'EraseDevice') return;
  const personal = await personalDevices(t, devices);
  if (personal.length === 0) return;
  throw new FleetError(
    'personal-device',
    `${personal.length === 1 ? 'One device is' : `${personal.length} devices are`} personal, ${personal[0]} first, and never erased. ` +
      'Remove management instead (RemoveProfile org.bartizan.enrolment): it takes away all that is managed and leaves the rest.',
    { status: 409 },
  );
}

/** Marks a device as its holder's own. There is no way back but a new enrolment. Throws `unknown-device`. */
export async function markPersonal(t: Queryable, input: { device: string; by: string }): Promise<void> {
  const { rows } = await t.query<{ marked: boolean }>('select fleet.mark_personal($1, $2) as marked', [
    input.device,
    input.by,
  ]);
  if (rows[0]!.marked) return;
  const known = await t.query('select from fleet.device where handle = $1', [input.device]);
  if (known.rows.length === 0)
    throw new FleetError('unknown-device', 'There is no device with this handle.', { status: 404 });
}
