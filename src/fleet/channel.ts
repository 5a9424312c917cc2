import type { Queryable } from '#store';
import { FleetError } from './error.ts';

/** A user's channel is one of the only device that is named, and open. Throws FleetError. */
export async function onlyOwnChannel(
  t: Queryable,
  channel: number | undefined,
  devices: readonly string[] | 'all',
): Promise<void> {
  if (channel === undefined) return;
  if (devices === 'all' || devices.length !== 1) {
    throw new FleetError('bad-request', 'A user’s channel belongs to one device: name that one alone.');
  }
  const { rows } = await t.query<{ open: boolean }>(
    `select h.state = 'enabled' as open from fleet.channel h join fleet.device d on d.id = h.device_id
     where h.id = $1 and d.handle = $2`,
    [channel, devices[0]],
  );
  if (rows[0]?.open === true) return;
  const why = rows[0] === undefined ? 'This device has no such channel.' : 'The user of this channel has left.';
  throw new FleetError('no-channel', `${why} Nothing was sent.`, { status: 409 });
}
