import type { KeyObject } from 'node:crypto';
import { fromBase64url, sha256, toBase64url } from '#base';
import { emit } from '#log';
import { type Permit, signDelivery } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { buildCommand, type Verb } from '#wire';
import { FleetError } from './error.ts';
import { fanOut } from './fan-out.ts';
import type { Scope } from './intent.ts';
import { personalDevices } from './ownership.ts';
import { wantPush } from './push/push.ts';
import { type CommandParams, commandRequest } from './verbs.ts';

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
}

const COLUMNS = 'id, verb, risk, params, targets, scope, requester, approval_id';

/**
 * Turns ready intents into signed commands. The risk is judged anew here, from the verb: a row that claims less than
 * it asks for is refused. `laneOpen` false holds everything but reading. Returns how many intents were decided.
 */
export async function dispatchReady(
  pool: Pool,
  options: { readonly signKey: KeyObject; readonly laneOpen: boolean },
): Promise<number> {
  return tx(pool, async (t) => {
    const { rows } = await t.query<IntentRow>(
      `select ${COLUMNS} from fleet.intent where state = 'ready' and ($1 or verb = any($2))
       order by created_at limit 20 for update skip locked`,
      [options.laneOpen, ['DeviceInformation', 'SecurityInfo', 'ProfileList']],
    );
    for (const intent of rows) {
      const refusal = await unfit(t, intent);
      if (refusal === undefined && intent.scope !== null)
        await fanOut(t, { ...intent, scope: intent.scope }, options.signKey);
      else if (refusal === undefined) await queue(t, intent, options.signKey, new Map());
      else await refuse(t, intent, refusal);
    }
    return rows.length;
  });
}

/** Why an intent that claims to need nobody's approval must not run, or undefined. */
async function unfit(t: Tx, intent: IntentRow): Promise<string | undefined> {
  if (intent.verb === 'EraseDevice') return 'approval-missing';
  if (intent.verb !== 'DeviceLock') return undefined;
  if (intent.scope !== null) return 'approval-missing';
  const { rows } = await t.query<{ used: number }>(
    `select coalesce(sum(jsonb_array_length(targets)), 0)::int as used from fleet.intent
     where requester = $1 and verb = 'DeviceLock' and approval_id is null and state = 'dispatched'
       and dispatched_at > now() - interval '1 hour'`,
    [intent.requester],
  );
  return rows[0]!.used + intent.targets.length > 5 ? 'approval-missing' : undefined;
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
    detail: { intent: intent.id, verb: intent.verb, reason, devices: intent.targets.length },
  });
}

async function queue(
  t: Tx,
  intent: IntentRow,
  signKey: KeyObject,
  permits: ReadonlyMap<string, Permit>,
): Promise<number> {
  const request = commandRequest(intent.verb, intent.params);
  let queued = 0;
  for (const { device, uuid } of intent.targets) {
    const body = buildCommand(uuid, request);
    const delivery = { device, uuid, verb: intent.verb, body: toBase64url(sha256(body)) };
    const signature = Buffer.from(fromBase64url(signDelivery(signKey, delivery)));
    // The fixed uuid makes a repeated dispatch harmless.
    const { rowCount } = await t.query(
      `insert into fleet.command (uuid, device_id, intent_id, request_type, body, signature, permit)
       select $1, id, $2, $3, $4, $5, $6 from fleet.device where handle = $7 and state = 'enrolled'
       on conflict (uuid) do nothing`,
      [
        uuid,
        intent.id,
        intent.verb,
        body,
        signature,
        permits.has(uuid) ? JSON.stringify(permits.get(uuid)) : null,
        device,
      ],
    );
    if (!rowCount) continue;
    queued += 1;
    await emit(t, {
      kind: 'command.queued',
      actor: intent.requester,
      device,
      detail: { intent: intent.id, command: uuid, verb: intent.verb },
    });
  }
  await wantPush(t, { intent: intent.id });
  await t.query(`update fleet.intent set state = 'dispatched', dispatched_at = now() where id = $1`, [intent.id]);
  return queued;
}
