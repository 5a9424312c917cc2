import type { KeyObject } from 'node:crypto';
import { executeApproved, isOvertaken, refuseApproved, takePermit } from '#fleet';
import { emit } from '#log';
import {
  type Approvable,
  type Assertion,
  type CommandSet,
  type Declare,
  type DeclarePermit,
  EVERY_DEVICE,
  type Permit,
} from '#seal';
import { type Pool, type Queryable, type Tx, tx } from '#store';
import { type Guards, isVerdict } from './guards.ts';

export interface Approval {
  readonly id: string;
  readonly op: Approvable['op'];
  readonly document: Approvable;
  readonly requester: string;
  readonly state: 'open' | 'executing' | 'executed' | 'refused' | 'expired' | 'cancelled';
  readonly reason: string | null;
  readonly createdAt: Date;
  readonly notAfter: Date;
  readonly doneAt: Date | null;
  readonly needs: number;
  /** Oldest first. */
  readonly signatures: readonly { readonly admin: string; readonly at: string }[];
}

const COLUMNS = `a.id, a.op, a.document, a.requester, a.state, a.reason, a.created_at as "createdAt",
  a.not_after as "notAfter", a.done_at as "doneAt",
  a.needs, coalesce((select jsonb_agg(jsonb_build_object('admin', s.admin, 'at',
    to_char(s.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by s.at)
    from respond.signature s where s.approval_id = a.id), '[]') as signatures`;

/**
 * Stores what people must sign, two unless the roster says more. In the transaction of whatever asks for it; emits
 * `approval.requested`.
 */
export async function requestApproval(t: Queryable, document: Approvable, needs = 2): Promise<void> {
  await t.query(
    `insert into respond.approval (id, op, document, requester, not_after, needs)
     values ($1, $2, $3, $4, to_timestamp($5::double precision / 1000), $6)`,
    [document.id, document.op, JSON.stringify(document), document.requester, document.notAfter, needs],
  );
  await emit(t, {
    kind: 'approval.requested',
    actor: document.requester,
    detail: {
      approval: document.id,
      op: document.op,
      ...sizeOf(document),
    },
  });
}

function sizeOf(document: Approvable): Record<string, number | string> {
  if (document.op === 'command') return { devices: document.commands.length };
  if (document.op === 'notice') return { people: document.subjects.length };
  if (document.op !== 'declare') return {};
  const { declarations, devices } = document;
  return { declarations: declarations.length, devices: devices === EVERY_DEVICE ? EVERY_DEVICE : devices.length };
}

/** Open ones first, then the newest, at most 200. */
export async function listApprovals(db: Queryable): Promise<Approval[]> {
  const { rows } = await db.query<Approval>(
    `select ${COLUMNS} from respond.approval a order by (a.state = 'open') desc, a.created_at desc limit 200`,
  );
  return rows;
}

/**
 * Executes command sets that two people signed: the ledger judges the signatures and charges its caps, its permits go
 * into the queue. The ledger answers a repeated question with the same permits, so a crash anywhere in between is
 * mended by the next run. Returns how many approvals were decided.
 */
export async function executeCommands(pool: Pool, guards: Guards, signKey: KeyObject): Promise<number> {
  const rows = await signed<CommandSet>(pool, 'command');
  for (const { id, document, assertions } of rows) {
    try {
      const { permits } = await guards.ledger.call<{ permits: Permit[] }>('authorise', { document, assertions });
      await tx(pool, async (t) => {
        await executeApproved(t, { approval: id, permits, signKey });
        await close(t, id, 'executed', null);
      });
    } catch (error) {
      if (!isVerdict(error)) throw error;
      await tx(pool, async (t) => {
        await refuseApproved(t, id, error.code);
        await close(t, id, 'refused', error.code);
      });
    }
  }
  return rows.length;
}

/**
 * The same for declarations: the ledger's permit is stored, and the devices that it is for are looked at anew. What was asked
 * for anew since is refused, so that of two requests for one set the later always counts.
 */
export async function executeDeclares(pool: Pool, guards: Guards): Promise<number> {
  const rows = await signed<Declare>(pool, 'declare');
  for (const { id, document, assertions } of rows) {
    try {
      if (await isOvertaken(pool, id)) {
        await tx(pool, (t) => close(t, id, 'refused', 'asked-anew-since'));
        continue;
      }
      const { permit } = await guards.ledger.call<{ permit: DeclarePermit }>('declare', { document, assertions });
      await tx(pool, async (t) => {
        await takePermit(t, { document, permit });
        await close(t, id, 'executed', null);
        await t.query("select pg_notify('bartizan_work', '')");
      });
    } catch (error) {
      if (!isVerdict(error)) throw error;
      await tx(pool, (t) => close(t, id, 'refused', error.code));
    }
  }
  return rows.length;
}

async function signed<T extends Approvable>(pool: Pool, op: T['op']) {
  const { rows } = await pool.query<{ id: string; document: T; assertions: Assertion[] }>(
    `select a.id, a.document, (select jsonb_agg(s.assertion order by s.at) from respond.signature s where s.approval_id = a.id) as assertions
     from respond.approval a where a.op = $1 and a.state = 'open' and a.not_after > now()
       and (select count(*) from respond.signature s where s.approval_id = a.id) >= a.needs
     order by a.created_at limit 10`,
    [op],
  );
  return rows;
}

/** Marks what nobody signed in time. Returns how many. */
export async function expireApprovals(pool: Pool): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<{ id: string }>(
      `select id from respond.approval where state = 'open' and not_after <= now() limit 50 for update skip locked`,
    );
    for (const { id } of rows) {
      await refuseApproved(t, id, 'expired');
      await close(t, id, 'expired', 'expired');
    }
    return rows.length;
  });
}

/** Closes an approval; no effect if it is closed already. */
export async function close(
  t: Tx,
  id: string,
  state: 'executed' | 'refused' | 'expired',
  reason: string | null,
): Promise<void> {
  await t.query(
    `update respond.approval set state = $2, reason = $3, done_at = now() where id = $1 and state = 'open'`,
    [id, state, reason],
  );
}
