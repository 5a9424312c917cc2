import type { KeyObject } from 'node:crypto';
import { fromBase64url, sha256, toBase64url } from '#base';
import { emit } from '#log';
import { type Permit, signDelivery } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { buildCommand, requestTypeOf, type Verb } from '#wire';
import { overBudget } from './brake.ts';
import { FleetError } from './error.ts';
import { fanOut } from './fan-out.ts';
import { LOCKS_OF_ALL_PER_HOUR, LOCKS_PER_HOUR, type Scope } from './intent.ts';
import { personalDevices } from './ownership.ts';
import { wantPush } from './push/push.ts';
import { type Queued, supersede } from './supersede.ts';
import { CONTAINING } from './supersede-rules.ts';
import { mayUnenrolAlone, unenrols } from './unenrol.ts';
import { alwaysTwo, type CommandParams, commandRequest, isDangerous, keyOf, LOCKING, RISK } from './verbs.ts';
import { splitByWindow } from './windows/split.ts';
import { within } from './within.ts';

interface IntentRow {
  readonly id: string;
  readonly verb: Verb;
  readonly risk: string;
  readonly params: CommandParams;
  readonly targets: readonly { readonly device: string; readonly uuid: string }[];
  /** Set for a command to many; then there are no targets. */
  readonly scope: Scope | null;
  readonly requester: string;
  readonly approval_id: string | null;
  readonly released_by: string | null;
  readonly rollout_id: string | null;
  readonly emergency: string | null;
  /** It was stated long enough ago for a newer wish to have overtaken it. */
  readonly late: boolean;
}

const COLUMNS = `id, verb, risk, params, targets, scope, requester, approval_id, released_by, rollout_id, emergency,
  created_at < now() - interval '5 seconds' as late`;

/**
 * Turns ready intents into signed commands. The risk is judged anew here, from the verb: a row that claims less than
 * it asks for is refused. `laneOpen` false holds everything but reading. Returns how many intents were decided.
 */
export async function dispatchReady(
  pool: Pool,
  options: {
    readonly signKey: KeyObject;
    readonly laneOpen: boolean;
    readonly changePerHour?: number;
    readonly now?: () => number;
  },
): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<IntentRow>(
      `select ${COLUMNS} from fleet.intent where state = 'ready' and ($1 or verb = any($2))
         and (not_before is null or not_before <= to_timestamp($4::double precision / 1000))
       order by verb = any($3) desc, created_at limit 20 for update skip locked`,
      [options.laneOpen, READING, CONTAINING, options.now?.() ?? Date.now()],
    );
    for (const intent of rows) {
      // A row that nobody can make commands of must not hold up everybody else's: it is refused by itself.
      const fault = await within(t, async () => {
        const refusal = await unfit(t, intent);
        if (refusal !== undefined) await refuse(t, intent, refusal);
        else if (!(await braked(t, intent, options.changePerHour))) {
          const open = await inWindow(t, intent, options.now?.() ?? Date.now());
          if (open !== undefined) await send(t, open, options.signKey);
        }
      });
      if (fault !== undefined) await refuse(t, intent, 'malformed');
    }
    return rows.length;
  });
}

async function send(t: Tx, intent: IntentRow, signKey: KeyObject): Promise<void> {
  const { scope } = intent;
  if (scope === null) await queue(t, intent, signKey, new Map());
  else {
    await fanOut(t, { ...intent, scope }, signKey);
    await afterwards(t, intent);
  }
}

/** What of an intent may go out now: a change waits for the maintenance window of its devices, unless it is an emergency. */
async function inWindow(t: Tx, intent: IntentRow, now: number): Promise<IntentRow | undefined> {
  if (RISK[intent.verb] !== 'change' || intent.emergency !== null) return intent;
  return splitByWindow(t, intent, now);
}

/** Verbs that only read; they go on while the command lane is locked. */
export const READING: readonly string[] = (Object.keys(RISK) as Verb[]).filter((verb) => RISK[verb] === 'read');

/** Holds a change that is too much for one person, whatever its row says. */
async function braked(t: Tx, intent: IntentRow, perHour: number | undefined): Promise<boolean> {
  const risk = RISK[intent.verb];
  if (perHour === undefined || risk !== 'change') return false;
  const why = await overBudget(
    t,
    {
      ...{ requester: intent.requester, risk, count: await sizeOf(t, intent) },
      ...{ releasedBy: intent.released_by, rollout: intent.rollout_id },
    },
    perHour,
  );
  if (why === undefined) return false;
  await t.query('select fleet.hold_intent($1, $2, $3)', [intent.id, 'brake', why]);
  return true;
}

async function sizeOf(t: Tx, { scope, targets }: IntentRow): Promise<number> {
  if (scope === null) return targets.length;
  if ('devices' in scope) return scope.devices.length;
  const { rows } = await t.query<{ n: number }>(`select count(*)::int as n from fleet.device where state = 'enrolled'`);
  return rows[0]!.n;
}

/** What follows from an intent's commands being in the queue now. */
async function afterwards(t: Tx, intent: IntentRow): Promise<void> {
  const { id, verb, requester, late } = intent;
  const queued: Queued = { id, verb, requester, late, many: intent.scope !== null };
  await dropRecovered(t, queued);
  await supersede(t, queued);
}

/** A device that came back after this was wanted is not locked or erased any more. */
async function dropRecovered(t: Tx, { id, verb, requester }: Queued): Promise<void> {
  if (!CONTAINING.includes(verb)) return;
  const { rows } = await t.query<{ uuid: string; handle: string }>(
    `update fleet.command c set state = 'cancelled', done_at = now()
     from fleet.recovery r join fleet.device d on d.id = r.device_id, fleet.intent i
     where c.intent_id = $1 and i.id = $1 and c.device_id = r.device_id and r.at > i.created_at and c.done_at is null
     returning c.uuid, d.handle`,
    [id],
  );
  for (const { uuid, handle } of rows) {
    const detail = { command: uuid, verb, why: 'recovered' };
    await emit(t, { kind: 'command.cancelled', actor: requester, device: handle, detail });
  }
}

/** Why an intent that claims to need nobody's approval must not run, or undefined. */
async function unfit(t: Tx, intent: IntentRow): Promise<string | undefined> {
  if (!Object.hasOwn(RISK, intent.verb)) return 'malformed';
  if (alwaysTwo(intent.verb) || isDangerous(intent.verb, intent.params)) return 'approval-missing';
  // What two people agree to never becomes ready: a row that names an approval here would not be counted below.
  if (intent.approval_id !== null) return 'approval-missing';
  const { scope } = intent;
  const devices = scope === null ? intent.targets.map(({ device }) => device) : 'all' in scope ? 'all' : scope.devices;
  if (await unenrols(t, intent.verb, intent.params, devices)) {
    if (scope !== null || !(await mayUnenrolAlone(t, intent.targets.length, false))) return 'approval-missing';
  }
  if (!LOCKING.includes(intent.verb)) return undefined;
  if (intent.scope !== null) return 'approval-missing';
  const { rows } = await t.query<{ used: number; all: number }>(
    `select coalesce(sum(jsonb_array_length(targets)) filter (where requester = $1), 0)::int as used,
       coalesce(sum(jsonb_array_length(targets)), 0)::int as all from fleet.intent
     where verb = any($2) and approval_id is null and state = 'dispatched' and dispatched_at > now() - interval '1 hour'`,
    [intent.requester, LOCKING],
  );
  const { used, all } = rows[0]!;
  const over = used + intent.targets.length > LOCKS_PER_HOUR || all + intent.targets.length > LOCKS_OF_ALL_PER_HOUR;
  return over ? 'approval-missing' : undefined;
}

/** Queues the commands of an approved intent with the ledger's permits. Does nothing if it was dispatched already. */
export async function executeApproved(
  t: Tx,
  options: { readonly approval: string; readonly permits: readonly Permit[]; readonly signKey: KeyObject },
): Promise<number> {
  const { rows } = await t.query<IntentRow>(
    `select ${COLUMNS} from fleet.intent where approval_id = $1 and state = 'awaiting-approval' for update`,
    [options.approval],
  );
  const intent = rows[0];
  if (intent === undefined) return 0;
  const permits = new Map(options.permits.map((permit) => [permit.uuid, permit]));
  if (intent.targets.some(({ uuid }) => !permits.has(uuid))) {
    throw new FleetError('bad-request', 'A permit is missing for one of the commands.');
  }
  // Judged again here: the device may have become its holder's own while two people signed.
  const erased = intent.verb === 'EraseDevice' ? intent.targets.map(({ device }) => device) : [];
  if ((await personalDevices(t, erased)).length > 0) {
    await refuse(t, intent, 'personal-device');
    return 0;
  }
  return queue(t, intent, options.signKey, permits);
}

/** Marks an intent whose approval failed or expired. */
export async function refuseApproved(t: Tx, approval: string, reason: string): Promise<void> {
  const { rows } = await t.query<IntentRow>(
    `select ${COLUMNS} from fleet.intent where approval_id = $1 and state = 'awaiting-approval' for update`,
    [approval],
  );
  if (rows[0] !== undefined) await refuse(t, rows[0], reason);
}

async function refuse(t: Tx, intent: IntentRow, reason: string): Promise<void> {
  await t.query(`update fleet.intent set state = 'refused', reason = $2 where id = $1`, [intent.id, reason]);
  await emit(t, {
    kind: 'command.refused',
    actor: intent.requester,
    detail: { intent: intent.id, verb: intent.verb.slice(0, 64), reason, devices: intent.targets?.length ?? 0 },
  });
}

async function queue(
  t: Tx,
  intent: IntentRow,
  signKey: KeyObject,
  permits: ReadonlyMap<string, Permit>,
): Promise<number> {
  const request = commandRequest(intent.verb, intent.params);
  const verb = requestTypeOf(request);
  const key = keyOf(intent.verb, intent.params);
  let queued = 0;
  for (const { device, uuid } of intent.targets) {
    const body = buildCommand(uuid, request);
    const delivery = { device, uuid, verb, body: toBase64url(sha256(body)) };
    const signature = Buffer.from(fromBase64url(signDelivery(signKey, delivery)));
    // The fixed uuid makes a repeated dispatch harmless.
    const { rowCount } = await t.query(
      `insert into fleet.command (uuid, device_id, intent_id, request_type, body, signature, permit, key, channel_id)
       select $1, id, $2, $3, $4, $5, $6, $8, $9 from fleet.device d where handle = $7 and state = 'enrolled'
         and ($9::bigint is null or exists (select from fleet.channel h where h.id = $9 and h.device_id = d.id and h.state = 'enabled'))
       on conflict (uuid) do nothing`,
      [
        uuid,
        intent.id,
        verb,
        body,
        signature,
        permits.has(uuid) ? JSON.stringify(permits.get(uuid)) : null,
        ...[device, key, intent.params.channel ?? null],
      ],
    );
    if (!rowCount) continue;
    queued += 1;
    await emit(t, {
      kind: 'command.queued',
      actor: intent.requester,
      device,
      detail: { intent: intent.id, command: uuid, verb },
    });
  }
  await afterwards(t, intent);
  await wantPush(t, { intent: intent.id });
  await t.query(`update fleet.intent set state = 'dispatched', dispatched_at = now() where id = $1`, [intent.id]);
  return queued;
}
