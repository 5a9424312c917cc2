import { uuidv7 } from '#base';
import { emit } from '#log';
import type { Tx } from '#store';
import type { Scope } from '../intent.ts';
import { waitingDevices } from './store.ts';

/** What of an intent decides about its windows. */
export interface Splittable {
  readonly id: string;
  readonly verb: string;
  readonly targets: readonly { readonly device: string; readonly uuid: string }[];
  readonly scope: Scope | null;
  readonly requester: string;
}

/**
 * Takes an intent apart where some of its devices must wait for their maintenance window: those stay behind in an intent
 * of their own, which is looked at again when the first of their windows opens. Answers what may go now, or undefined if
 * all of it waits. In the transaction that dispatches, so that a device is in exactly one of the two.
 */
export async function splitByWindow<T extends Splittable>(t: Tx, intent: T, now: number): Promise<T | undefined> {
  const devices = await devicesOf(t, intent);
  const waiting = await waitingDevices(t, devices, now);
  if (waiting.size === 0) return intent;
  const until = Math.min(...waiting.values());
  const later = devices.filter((device) => waiting.has(device));
  const open = devices.filter((device) => !waiting.has(device));
  const detail = { intent: intent.id, verb: intent.verb, count: later.length, until: new Date(until).toISOString() };
  await emit(t, { kind: 'command.waits', actor: intent.requester, detail });
  if (open.length === 0) {
    await t.query(`update fleet.intent set not_before = to_timestamp($2::double precision / 1000) where id = $1`, [
      ...[intent.id, until],
    ]);
    return undefined;
  }
  const part = (names: readonly string[]) => {
    const kept = new Set(names);
    const targets = intent.targets.filter(({ device }) => kept.has(device));
    return { targets, scope: intent.scope === null ? null : { devices: names } };
  };
  const [now_, then] = [part(open), part(later)];
  const json = (value: object | null) => (value === null ? null : JSON.stringify(value));
  await t.query(
    `insert into fleet.intent (id, verb, risk, params, targets, requester, purpose, state, scope, not_before, not_after,
       released_by, rollout_id, split_from, created_at)
     select $2, verb, risk, params, $3, requester, purpose, 'ready', $4, to_timestamp($5::double precision / 1000), not_after,
       released_by, rollout_id, id, created_at from fleet.intent where id = $1`,
    [intent.id, uuidv7(), JSON.stringify(then.targets), json(then.scope), until],
  );
  await t.query('update fleet.intent set targets = $2, scope = $3 where id = $1', [
    ...[intent.id, JSON.stringify(now_.targets), json(now_.scope)],
  ]);
  return { ...intent, ...now_ };
}

async function devicesOf(t: Tx, { targets, scope }: Splittable): Promise<readonly string[]> {
  if (scope === null) return targets.map(({ device }) => device);
  if ('devices' in scope) return scope.devices;
  const { rows } = await t.query<{ handle: string }>(
    `select handle from fleet.device where state = 'enrolled' order by id`,
  );
  return rows.map(({ handle }) => handle);
}
