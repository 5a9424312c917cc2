import type { Json } from '#base';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';

/** One thing that a device said otherwise than before. */
export interface InventoryChange {
  readonly id: number;
  readonly kind: string;
  /** A key of the answer, or `list:item`. */
  readonly key: string;
  /** Null: it was not there, or is no more. */
  readonly before: Json | null;
  readonly after: Json | null;
  readonly at: Date;
}

/** What changed on a device, newest first, before the change `before`. At most 500 are kept, none longer than 400 days. */
export async function inventoryHistory(
  db: Queryable,
  handle: string,
  options: { readonly before?: number; readonly limit: number },
): Promise<InventoryChange[]> {
  const { rows } = await db.query<InventoryChange>(
    `select c.id, c.kind, c.key, c.before, c.after, c.at from fleet.inventory_change c
     join fleet.device d on d.id = c.device_id
     where d.handle = $1 and ($2::bigint is null or c.id < $2) order by c.id desc limit $3`,
    [handle, options.before ?? null, options.limit],
  );
  return rows;
}

/** How often each kind of answer is asked for, in hours; 0 is never. */
export interface InventoryPlan {
  readonly kind: string;
  readonly hours: number;
  readonly setBy: string;
  readonly setAt: Date;
}

export const PLAN_HOURS = [0, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168] as const;

export async function inventoryPlans(db: Queryable): Promise<InventoryPlan[]> {
  const { rows } = await db.query<InventoryPlan>(
    'select kind, hours, set_by as "setBy", set_at as "setAt" from fleet.inventory_plan order by kind',
  );
  return rows;
}

/** Changes how often a kind is asked for. Throws `unknown-kind`. */
export async function setInventoryPlan(
  t: Tx,
  input: { readonly kind: string; readonly hours: number; readonly by: string },
): Promise<void> {
  const { rows } = await t.query<{ known: boolean }>('select fleet.set_inventory_plan($1, $2, $3) as known', [
    input.kind,
    input.hours,
    input.by,
  ]);
  if (!rows[0]!.known)
    throw new FleetError('unknown-kind', 'There is no such kind of answer to ask for.', { status: 404 });
}
