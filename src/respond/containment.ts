import { uuidv7 } from '#base';
import { emit } from '#log';
import { type Pool, tx } from '#store';
import { type Guards, isVerdict } from './guards.ts';

/** What respond may do by itself: scoped, reversible by two people, and never a wipe. */
export type ActionVerb = 'lock-admin' | 'end-sessions' | 'lock-directory' | 'lock-commands';

const BY_RULE: Readonly<Record<string, readonly ActionVerb[]>> = {
  'mass-reveal': ['lock-admin', 'end-sessions'],
  'reading-cap-hit': ['lock-admin', 'end-sessions'],
  'decoy-touched': ['lock-admin', 'end-sessions'],
  'mass-wipe-request': ['lock-admin', 'end-sessions', 'lock-commands'],
  'unsigned-command': ['lock-commands'],
  'destructive-approval-refused': ['lock-commands'],
  'roster-change-refused': ['end-sessions'],
  'directory-copied': ['lock-directory'],
  'stolen-session': ['end-sessions'],
  'log-forked': ['lock-directory', 'lock-commands'],
};

interface Action {
  readonly id: string;
  readonly alert_id: string;
  readonly verb: ActionVerb;
  readonly target: string;
  readonly rule: string;
}

/**
 * Plans and carries out what the alerts ask for. The action's row is written before its effect and marked after; a crash
 * in between repeats the effect, which is harmless: a lock that is on stays on. Returns how many actions were tried.
 */
export async function contain(pool: Pool, guards: Guards): Promise<number> {
  await plan(pool);
  const { rows } = await pool.query<Action>(
    `select x.id, x.alert_id, x.verb, x.target, a.rule from respond.action x join watch.alert a on a.id = x.alert_id
     where x.state = 'started' order by x.started_at limit 50`,
  );
  for (const action of rows) await carryOut(pool, guards, action);
  return rows.length;
}

async function plan(pool: Pool): Promise<void> {
  await tx(pool, async (t) => {
    const { rows } = await t.query<{ id: string; rule: string; actor: string | null }>(
      `select id, rule, actor from watch.alert a where rule = any($1)
         and not exists (select from respond.action x where x.alert_id = a.id) order by created_at limit 50 for update skip locked`,
      [Object.keys(BY_RULE)],
    );
    for (const alert of rows) {
      for (const verb of BY_RULE[alert.rule] ?? []) {
        const personal = verb === 'lock-admin' || verb === 'end-sessions';
        if (personal && !alert.actor) continue;
        await t.query(
          `insert into respond.action (id, alert_id, verb, target) values ($1, $2, $3, $4) on conflict do nothing`,
          [uuidv7(), alert.id, verb, personal ? alert.actor : ''],
        );
      }
    }
  });
}

async function carryOut(pool: Pool, guards: Guards, action: Action): Promise<void> {
  let outcome: 'done' | 'failed' = 'done';
  try {
    await effect(pool, guards, action);
  } catch (error) {
    if (!isVerdict(error)) throw error;
    outcome = 'failed';
  }
  await tx(pool, async (t) => {
    const { rowCount } = await t.query(
      `update respond.action set state = $2, done_at = clock_timestamp(), attempts = attempts + 1 where id = $1 and state = 'started'`,
      [action.id, outcome],
    );
    if (!rowCount) return;
    const { alert_id: alert, verb, target, rule } = action;
    await emit(t, { kind: 'respond.action', actor: 'core', detail: { alert, rule, verb, target, outcome } });
  });
}

async function effect(pool: Pool, guards: Guards, action: Action): Promise<void> {
  switch (action.verb) {
    case 'lock-admin':
      return lock(guards, { scope: 'admin', target: action.target, reason: action.rule, alert: action.alert_id });
    case 'lock-directory':
      return lock(guards, { scope: 'directory', target: '', reason: action.rule, alert: action.alert_id });
    case 'lock-commands':
      return lock(guards, { scope: 'commands', target: '', reason: action.rule, alert: action.alert_id });
    case 'end-sessions':
      await pool.query(`update api.session set ended_at = now(), ended_by = $2 where admin = $1 and ended_at is null`, [
        action.target,
        `alert ${action.rule}`,
      ]);
  }
}

/** Puts a lock in both guards: the ledger writes it down, either alone already refuses. */
export async function lock(
  guards: Guards,
  request: { scope: string; target: string; reason: string; alert?: string },
): Promise<void> {
  const { alert, ...plain } = request;
  const both = await Promise.allSettled([
    guards.ledger.call('lock', { ...plain, ...(alert === undefined ? {} : { alert }) }),
    guards.sealer.call('lock', plain),
  ]);
  for (const one of both) if (one.status === 'rejected') throw one.reason;
}

/** Carries out locks that admins asked for by hand. */
export async function lockByHand(pool: Pool, guards: Guards): Promise<number> {
  const { rows } = await pool.query<{ id: string; scope: string; target: string; by_admin: string }>(
    'select id, scope, target, by_admin from respond.lock_request where done_at is null order by at limit 20',
  );
  for (const { id, scope, target, by_admin } of rows) {
    await lock(guards, { scope, target, reason: `by hand: ${by_admin}` });
    await pool.query('update respond.lock_request set done_at = now() where id = $1', [id]);
  }
  return rows.length;
}
