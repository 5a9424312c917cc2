import { uuidv7 } from '#base';
import { isLockTarget, type LockScope, type Unlock } from '#seal';
import type { Queryable, Tx } from '#store';
import { requestApproval } from './approval.ts';
import { RespondError } from './error.ts';

/** A lock as core has heard of it from the guards. */
export interface LockRow {
  readonly id: string;
  readonly scope: LockScope;
  readonly target: string;
  readonly reason: string;
  readonly putBy: string;
  readonly putAt: Date;
  readonly liftedAt: Date | null;
}

/** A containing action, as screens show it. */
export interface ActionRow {
  readonly id: string;
  readonly verb: string;
  readonly target: string;
  readonly state: string;
  readonly startedAt: Date;
  readonly doneAt: Date | null;
}

const COLUMNS = `id, scope, target, reason, put_by as "putBy", put_at as "putAt", lifted_at as "liftedAt"`;
const UNLOCK_TTL_MS = 12 * 3_600_000;

/** Locks in force first, then the newest lifted ones; at most 200. */
export async function listLocks(db: Queryable): Promise<LockRow[]> {
  const { rows } = await db.query<LockRow>(
    `select ${COLUMNS} from respond.lock order by (lifted_at is null) desc, put_at desc limit 200`,
  );
  return rows;
}

/** What was done because of an alert, oldest first. */
export async function actionsOf(db: Queryable, alert: string): Promise<ActionRow[]> {
  const { rows } = await db.query<ActionRow>(
    `select id, verb, target, state, started_at as "startedAt", done_at as "doneAt" from respond.action
     where alert_id = $1 order by started_at, id`,
    [alert],
  );
  return rows;
}

/** Any admin may lock; core carries it out within a second. Returns the request's id. */
export async function askLock(
  t: Tx,
  input: { scope: LockScope; target: string; reason: string; by: string },
): Promise<string> {
  const reason = input.reason.trim();
  if (reason.length < 3 || reason.length > 200) {
    throw new RespondError('bad-request', 'Say in 3 to 200 characters why, without names or numbers.');
  }
  if (!isLockTarget(input.scope, input.target)) {
    throw new RespondError(
      'bad-request',
      'A lock names the admin, role, passkey or document that it locks; other locks have no target.',
    );
  }
  const id = uuidv7();
  await t.query('insert into respond.lock_request (id, scope, target, reason, by_admin) values ($1, $2, $3, $4, $5)', [
    ...[id, input.scope, input.target, reason, input.by],
  ]);
  await t.query("select pg_notify('bartizan_work', '')");
  return id;
}

/** Asks two people to lift a lock. Throws `unknown-lock`, `lock-lifted`. */
export async function askUnlock(
  t: Tx,
  input: { lock: string; by: string; purpose: string; now: number },
): Promise<Unlock> {
  const { rows } = await t.query<LockRow>(`select ${COLUMNS} from respond.lock where id = $1`, [input.lock]);
  const lock = rows[0];
  if (lock === undefined) throw new RespondError('unknown-lock', 'There is no lock with this id.', { status: 404 });
  if (lock.liftedAt !== null) throw new RespondError('lock-lifted', 'This lock is lifted already.', { status: 409 });
  const document: Unlock = {
    v: 1,
    op: 'unlock',
    id: uuidv7(input.now),
    scope: lock.scope,
    target: lock.target,
    requester: input.by,
    purpose: checkPurpose(input.purpose),
    notAfter: input.now + UNLOCK_TTL_MS,
  };
  await requestApproval(t, document);
  return document;
}

/** A purpose as documents carry it: 5 to 200 characters. Throws `bad-request`. */
export function checkPurpose(text: string): string {
  const purpose = text.trim();
  if (purpose.length < 5 || purpose.length > 200) {
    throw new RespondError('bad-request', 'Say in 5 to 200 characters why, without names or numbers.');
  }
  return purpose;
}
