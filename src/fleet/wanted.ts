import type { Queryable } from '#store';

/** What somebody wanted done with a device; commands are made from it. */
export interface IntentRow {
  readonly id: string;
  readonly verb: string;
  readonly requester: string;
  readonly purpose: string;
  readonly state: string;
  readonly reason: string | null;
  readonly approval: string | null;
  readonly createdAt: Date;
}

/** The last 50 intents that name a device, newest first. */
export async function deviceIntents(db: Queryable, handle: string): Promise<IntentRow[]> {
  const { rows } = await db.query<IntentRow>(
    `select id, verb, requester, purpose, state, reason, approval_id as approval, created_at as "createdAt"
     from fleet.intent where targets @> jsonb_build_array(jsonb_build_object('device', $1::text))
       or id in (select c.fan_out_id from fleet.command c join fleet.device d on d.id = c.device_id where d.handle = $1)
     order by created_at desc limit 50`,
    [handle],
  );
  return rows;
}

/** The devices that are with these people now, by holder. */
export async function devicesOf(db: Queryable, holders: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await db.query<{ holder: string; devices: string[] }>(
    `select holder, array_agg(handle order by handle) as devices from fleet.device
     where holder = any($1) and state not in ('checked_out', 'retired') group by holder`,
    [holders],
  );
  return new Map(rows.map((row) => [row.holder, row.devices]));
}
