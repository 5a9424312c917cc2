import { type Pool, type Queryable, tx } from '#store';

/** What is known of a retirement that has not ended. */
export interface Standing {
  readonly state: string;
  readonly device: string;
  readonly command: string | null;
  readonly intent: string | null;
  readonly overdue: boolean;
}

export type Step = readonly [to: string, reason: string | null];

/**
 * The next step of a retirement, or undefined while it waits. The device's own word counts: it acknowledged the command,
 * or checked out. An answer that refuses ends it; silence ends in `timed-out`, from where it goes on without the device.
 */
export function nextStep(standing: Standing): Step | undefined {
  switch (standing.state) {
    case 'open':
      if (standing.command === 'acknowledged') return ['confirmed', 'command'];
      if (standing.device === 'checked_out' || standing.device === 'retired') return ['confirmed', 'check-out'];
      if (standing.command !== null && ['error', 'format_error', 'unsupported', 'refused'].includes(standing.command))
        return ['failed', `device-${standing.command}`];
      if (standing.command === null && (standing.intent === 'refused' || standing.intent === 'expired'))
        return ['failed', `not-${standing.intent === 'refused' ? 'approved' : 'sent'}`];
      if (standing.command === 'cancelled' || (standing.command === null && standing.intent === 'cancelled'))
        return ['cancelled', 'command-cancelled'];
      // A device that left between the wish and the dispatch gets no command.
      if (standing.command === null && standing.intent === 'dispatched') return ['failed', 'device-not-enrolled'];
      return standing.overdue || standing.command === 'expired' ? ['timed-out', 'no-answer'] : undefined;
    case 'confirmed':
    case 'timed-out':
      return ['revoked', null];
    case 'revoked':
      return ['forgotten', null];
    default:
      return undefined;
  }
}

// Another command than the one that was asked for, or one from before, proves nothing.
const DUE = `select r.id, r.state, r.way, d.state as device, c.state as command, n.state as intent, r.not_after <= now() as overdue
  from fleet.retirement r join fleet.device d on d.id = r.device_id
  left join fleet.command c on c.uuid = r.command_uuid and c.device_id = r.device_id and c.queued_at >= r.requested_at
    and c.request_type = case r.way when 'erase' then 'EraseDevice' else 'RemoveProfile' end
  left join fleet.intent n on n.id = r.intent_id
  where r.ended_at is null`;

interface Due extends Standing {
  readonly id: string;
  readonly way: string;
}

/** Cutting off devices that work and were not asked is what an attacker in the console would do. An hour, all admins. */
export const CUT_OFFS_PER_HOUR = 20;
const cutsOff = (due: Due) => due.way === 'forget' && due.state === 'confirmed' && due.device === 'enrolled';

async function cutOffsLeft(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from fleet.retirement where way = 'forget' and revoked_at > now() - interval '1 hour'`,
  );
  return CUT_OFFS_PER_HOUR - rows[0]!.n;
}

/**
 * Moves each retirement on by one step where it can. Each step is a transaction of its own that compares the state it leaves:
 * a crash between two steps leaves the first done and the second to do. Returns how many moved.
 */
export async function advanceRetirements(pool: Pool): Promise<number> {
  const { rows } = await pool.query<Due>(`${DUE} order by r.requested_at limit 5000`);
  let room = rows.some(cutsOff) ? await cutOffsLeft(pool) : 0;
  let moved = 0;
  for (const row of rows) {
    const step = nextStep(row);
    if (step === undefined) continue;
    if (cutsOff(row)) {
      if (room <= 0) continue;
      room -= 1;
    }
    if (await tx(pool, (t) => take(t, row.id, row.state, step))) moved += 1;
  }
  return moved;
}

async function take(t: Queryable, id: string, from: string, [to, reason]: Step): Promise<boolean> {
  const { rows } = await t.query<{ done: boolean }>(`select fleet.retire_step($1, $2, $3, $4, 'core') as done`, [
    ...[id, from, to, reason],
  ]);
  return rows[0]!.done;
}
