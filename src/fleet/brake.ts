import type { Queryable } from '#store';

/** What the brake looks at. */
export interface Braked {
  readonly requester: string;
  readonly risk: string;
  /** Devices that it is for. */
  readonly count: number;
  readonly releasedBy: string | null;
  readonly rollout: string | null;
}

/**
 * Whether one person changes too many devices in an hour, in words for a screen; undefined if it may go on. What a second
 * person released is not counted against anybody, nor is a rollout, whose rings and soaks are its own brake.
 */
export async function overBudget(db: Queryable, intent: Braked, perHour: number): Promise<string | undefined> {
  if (intent.risk !== 'change' || intent.rollout !== null) return undefined;
  if (intent.releasedBy !== null && intent.releasedBy !== intent.requester) return undefined;
  const { rows } = await db.query<{ used: number }>(
    `select coalesce(sum(case when i.scope is null then jsonb_array_length(i.targets) else f.members end), 0)::int as used
     from fleet.intent i left join fleet.fan_out f on f.id = i.id
     where i.requester = $1 and i.risk = 'change' and i.state = 'dispatched' and i.rollout_id is null
       and i.dispatched_at > now() - interval '1 hour' and (i.released_by is null or i.released_by = i.requester)`,
    [intent.requester],
  );
  const used = rows[0]!.used;
  if (used + intent.count <= perHour) return undefined;
  return `${used + intent.count} devices changed by one person within an hour, more than ${perHour}: another person must release it`;
}
