import type { Queryable, Tx } from '#store';

const DESIRED_STATES = ['wanted', 'pushed', 'installed', 'drifted', 'unexpected', 'unknown'] as const;

/** One thing that a device should have, or has without being asked. */
export interface DesiredItem {
  readonly kind: 'profile' | 'declaration' | 'app' | 'certificate';
  /** Its identifier. */
  readonly key: string;
  readonly state: (typeof DESIRED_STATES)[number];
  readonly why: string;
  /** Since when core saw it so; null if core has not looked yet. */
  readonly since: Date | null;
}

/** What a device should have against what it says it has, as it stands now; what is wrong first. */
export async function desiredOf(db: Queryable, handle: string): Promise<DesiredItem[]> {
  const { rows } = await db.query<DesiredItem>(
    `select o.kind, o.key, o.state, o.why, case when x.state = o.state then x.since end as since
     from fleet.device d cross join lateral fleet.desired_of(d.id) o
     left join fleet.drift x on x.device_id = d.id and x.kind = o.kind and x.key = o.key where d.handle = $1
     order by array_position(array['drifted', 'unexpected', 'unknown', 'wanted', 'pushed', 'installed'], o.state), o.kind, o.key
     limit 500`,
    [handle],
  );
  return rows;
}

/** Devices on which something drifted or appeared, newest first, at most `limit`. */
export async function drifted(
  db: Queryable,
  limit: number,
): Promise<{ device: string; kind: string; key: string; state: string; since: Date }[]> {
  const { rows } = await db.query<{ device: string; kind: string; key: string; state: string; since: Date }>(
    `select d.handle as device, x.kind, x.key, x.state, x.since from fleet.drift x join fleet.device d on d.id = x.device_id
     where x.state in ('drifted', 'unexpected') order by x.since desc, d.handle limit $1`,
    [limit],
  );
  return rows;
}

/** Writes down where devices stand whose facts changed; drift becomes an event. */
export async function judgeDrift(t: Tx, devices: readonly number[]): Promise<void> {
  await t.query('select fleet.judge_drift($1)', [devices]);
}
