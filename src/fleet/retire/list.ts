import type { Queryable } from '#store';
import { FleetError } from '../error.ts';
import { pushCertificateState, pushState, waitsFor } from '../push/state.ts';
import type { RetireWay } from './request.ts';

/** A device that leaves or has left. */
export interface Retirement {
  readonly id: string;
  readonly device: string;
  readonly way: RetireWay;
  readonly requester: string;
  readonly purpose: string;
  readonly state: string;
  readonly reason: string | null;
  readonly requestedAt: Date;
  readonly notAfter: Date;
  readonly confirmedAt: Date | null;
  readonly confirmedBy: string | null;
  readonly revokedAt: Date | null;
  readonly forgottenAt: Date | null;
  readonly endedAt: Date | null;
  readonly intent: string | null;
  readonly command: string | null;
  readonly commandState: string | null;
  readonly approval: string | null;
  /** Whether it can still be taken back. */
  readonly cancellable: boolean;
}

const RETIREMENT = `r.id, d.handle as device, r.way, r.requester, r.purpose, r.state, r.reason, r.requested_at as "requestedAt",
  r.not_after as "notAfter", r.confirmed_at as "confirmedAt", r.confirmed_by as "confirmedBy", r.revoked_at as "revokedAt",
  r.forgotten_at as "forgottenAt", r.ended_at as "endedAt", r.intent_id as intent, r.command_uuid as command,
  c.state as "commandState", n.approval_id as approval, n.state as "intentState",
  r.state = 'open' and c.delivered_at is null as cancellable
  from fleet.retirement r join fleet.device d on d.id = r.device_id
  left join fleet.command c on c.uuid = r.command_uuid left join fleet.intent n on n.id = r.intent_id`;
type Row = Retirement & { readonly intentState: string | null };

/** Newest first; `device` asks for one device's, `open` for those that have not ended. */
export async function listRetirements(
  db: Queryable,
  asked: { readonly device?: string; readonly open?: boolean; readonly before?: string; readonly limit: number },
): Promise<Retirement[]> {
  const { rows } = await db.query<Row>(
    `select ${RETIREMENT} where ($1::text is null or d.handle = $1) and (not $2 or r.ended_at is null)
       and ($3::uuid is null or r.id < $3) order by r.id desc limit $4`,
    [asked.device ?? null, asked.open ?? false, asked.before ?? null, asked.limit],
  );
  return rows;
}

/** One retirement with why it stands where it stands and what comes next, in words. Throws `unknown-retirement`. */
export async function getRetirement(
  db: Queryable,
  id: string,
): Promise<{ retirement: Retirement; cause: string; next: string }> {
  const { rows } = await db.query<Row>(`select ${RETIREMENT} where r.id = $1`, [id]);
  const row = rows[0];
  if (row === undefined)
    throw new FleetError('unknown-retirement', 'There is no retirement with this id.', { status: 404 });
  return { retirement: row, ...(await words(db, row)) };
}

const day = (date: Date) => date.toISOString().slice(0, 10);

async function words(db: Queryable, row: Row): Promise<{ cause: string; next: string }> {
  const later = `on ${day(row.notAfter)} it goes on without the device`;
  switch (row.state) {
    case 'open': {
      if (row.intentState === 'awaiting-approval')
        return { cause: 'two people have not signed yet', next: 'sign it or cancel it' };
      if (row.commandState === null)
        return { cause: 'the command is not signed and queued yet', next: 'core does it, unless it is held' };
      const push = await pushState(db, row.device);
      const cause = waitsFor(row.commandState, push, await pushCertificateState(db));
      return { cause: cause ?? `the command is ${row.commandState}`, next: `the device answers, or ${later}` };
    }
    case 'confirmed':
    case 'timed-out':
      return { cause: CONFIRMED[row.confirmedBy ?? 'nobody']!, next: 'its certificate is revoked in a moment' };
    case 'revoked':
      return { cause: 'its certificate is revoked', next: 'what is known of it is erased in a moment' };
    case 'forgotten':
      return {
        cause: `${CONFIRMED[row.confirmedBy ?? 'nobody']}; it is forgotten`,
        next: 'nothing; the hardware can enrol anew, under a new handle',
      };
    case 'failed':
      return {
        cause: FAILED[row.reason ?? ''] ?? 'the device refused',
        next: 'try again, or forget the device without asking it',
      };
    default:
      return { cause: 'it was taken back before the device fetched the command', next: 'nothing' };
  }
}

const CONFIRMED: Readonly<Record<string, string>> = {
  command: 'the device acknowledged the command',
  'check-out': 'the device said that it left',
  nobody: 'the device did not confirm anything',
};
const FAILED: Readonly<Record<string, string>> = {
  'not-approved': 'two people did not sign, or the guards refused',
  'not-sent': 'the command ran out of time before it was sent',
  'device-not-enrolled': 'the device was not enrolled any more when the command was to be queued',
  'device-refused': 'edge found no valid signature on the command',
};
