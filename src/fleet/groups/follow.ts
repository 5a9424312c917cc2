import { type Pool, tx } from '#store';
import { refreshGroup, regroup, TOUCHED_BATCH } from './refresh.ts';

/**
 * One turn of what follows from devices' facts: a whole group that is due, or the next devices that changed. The marks
 * are taken in the transaction that acts on them, so a crash loses none. Returns how much was done.
 */
export async function followFacts(pool: Pool): Promise<number> {
  const whole = await refreshGroup(pool);
  if (whole > 0) return whole;
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ devices: number[] }>('select fleet.take_touched($1) as devices', [TOUCHED_BATCH]);
    const devices = rows[0]!.devices.map(Number);
    if (devices.length === 0) return 0;
    await regroup(t, devices);
    return devices.length;
  });
}
