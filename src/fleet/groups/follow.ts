import { type Pool, tx } from '#store';
import { judgeRule, rejudge } from '../compliance/judge.ts';
import { judgeDrift } from '../desired/desired.ts';
import { refreshGroup, regroup, TOUCHED_BATCH } from './refresh.ts';

/**
 * One turn of what follows from devices' facts: a whole group or rule that is due, or the next devices that changed, and
 * whose grace is over. The marks are taken in the transaction that acts on them, so a crash loses none. Returns how much
 * was done.
 */
export async function followFacts(pool: Pool): Promise<number> {
  const whole = (await refreshGroup(pool)) || (await judgeRule(pool));
  if (whole > 0) return whole;
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ devices: number[]; over: number }>(
      'select fleet.take_touched($1) as devices, fleet.end_grace() as over',
      [TOUCHED_BATCH],
    );
    const devices = rows[0]!.devices.map(Number);
    if (devices.length > 0) {
      await regroup(t, devices);
      await rejudge(t, devices);
      await judgeDrift(t, devices);
    }
    return devices.length + rows[0]!.over;
  });
}
