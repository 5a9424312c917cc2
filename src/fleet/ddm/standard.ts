import type { KeyObject } from 'node:crypto';
import { type Pool, tx } from '#store';
import { SUBSCRIBED } from '#wire';
import { ownDeclaration } from './own.ts';
import { lockDeclared } from './sign.ts';

/** The set that every device with any set has as well: what it shall report. */
export const STANDARD_SET = '00000000-0000-4000-8000-0000000000dd';

/**
 * Makes the standard set: status subscriptions for all items that we keep. Run at every start, so that a release that
 * keeps more items subscribes to them. Returns 1 if it changed.
 */
export async function foundStandard(pool: Pool, signKey: KeyObject): Promise<number> {
  return tx(pool, async (t) => {
    await lockDeclared(t);
    const id = await ownDeclaration(
      t,
      {
        ...{ identifier: 'bartizan.status-subscriptions', origin: 'standard', author: 'core' },
        type: 'com.apple.configuration.management.status-subscriptions',
        payload: { StatusItems: SUBSCRIBED.map((name) => ({ Name: name })) },
      },
      signKey,
    );
    const { rows } = await t.query<{ groups: string[]; devices: number[]; everyone: boolean }>(
      `select s.everyone, array(select group_id from fleet.set_group where set_id = s.id) as groups,
         array(select device_id from fleet.set_device where set_id = s.id) as devices
       from fleet.declaration_set s where s.id = $1`,
      [STANDARD_SET],
    );
    const scope = rows[0] ?? { groups: [], devices: [], everyone: false };
    const changed = await t.query<{ changed: boolean }>(
      `select fleet.change_set($1, 'Standard: what devices report', null, $2, $3, $4, $5, 'standard', 'core') as changed`,
      [STANDARD_SET, scope.everyone, [id], scope.groups, scope.devices],
    );
    return changed.rows[0]!.changed ? 1 : 0;
  });
}
