import { canonicalJson, type Json, sha256 } from '#base';
import type { CommandSet } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { stateIntent } from '../intent.ts';
import { isDangerous } from '../verbs.ts';
import { within } from '../within.ts';

const MOST = 20_000;
/** Most devices of one intent that two people must read and sign. */
const MOST_APPROVED = 1_000;
/** Bit 0: the app goes when management goes. */
const GOES_WITH_MANAGEMENT = 1;

export interface AppDoors {
  /** What two people must sign is stored in the transaction that states it. */
  readonly requestApproval: (t: Tx, document: CommandSet) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
}

interface AppToSend {
  readonly id: string;
  readonly identifier: string;
  readonly kind: 'store' | 'own';
  readonly manifest_url: string | null;
  readonly configuration: Json | null;
}

/** Devices that have an app assigned. */
const WANTED = `select m.device_id from fleet.app_assignment x join fleet.device_group g on g.id = x.group_id and g.deleted_at is null
  join fleet.group_member m on m.group_id = x.group_id where x.app_id = $1 and x.removed_at is null`;

/** Two people did not agree, and somebody assigned it anew since. */
const REFUSED = `exists (select from fleet.intent i where i.id = o.intent_id and i.state in ('refused', 'expired', 'cancelled')
  and i.created_at < (select max(x.assigned_at) from fleet.app_assignment x where x.app_id = $1 and x.removed_at is null))`;

/**
 * Brings devices in line with what apps are assigned: installs (again, where the configuration changed) what is licensed,
 * removes what is wanted no longer. Stated in the name of who assigned or unassigned, so within that person's budget; an app by the address of its manifest
 * waits for two people. What was sent is noted in the same transaction. Returns how many devices were touched.
 */
export async function sendApps(pool: Pool, doors: AppDoors): Promise<number> {
  const { rows } = await pool.query<AppToSend>(
    'select id, identifier, kind, manifest_url, configuration from fleet.app',
  );
  let touched = 0;
  for (const app of rows) {
    touched += await tx(pool, async (t) => {
      let sent = 0;
      // A configuration that no command can carry holds up no other app.
      const fault = await within(t, async () => {
        sent = (await install(t, app, doors)) + (await remove(t, app, doors));
      });
      return fault === undefined ? sent : 0;
    });
  }
  return touched;
}

async function install(t: Tx, app: AppToSend, doors: AppDoors): Promise<number> {
  const configuration = app.configuration === null ? {} : { Configuration: app.configuration };
  const source = app.kind === 'store' ? { Identifier: app.identifier } : { ManifestURL: app.manifest_url! };
  const store = app.kind === 'store' ? { Options: { PurchaseMethod: 1 } } : {};
  const args = { ...source, ...store, ...configuration, ManagementFlags: GOES_WITH_MANAGEMENT, InstallAsManaged: true };
  const mark = sha256(canonicalJson(args as Json))
    .toString('hex')
    .slice(0, 32);
  const { rows } = await t.query<{ handle: string }>(
    `select d.handle from fleet.device d left join fleet.app_on o on o.device_id = d.id and o.app_id = $1
     where d.state = 'enrolled' and d.id in (${WANTED}) and (o.sent is distinct from $2 or ${REFUSED})
       and ($3 or exists (select from fleet.app_licence l where l.app_id = $1 and l.device_id = d.id and l.state = 'held'))
     order by d.handle limit $4`,
    [app.id, mark, app.kind === 'own', MOST],
  );
  return state(t, { app, verb: 'InstallApplication', args, mark, handles: rows.map(({ handle }) => handle), doors });
}

async function remove(t: Tx, app: AppToSend, doors: AppDoors): Promise<number> {
  const { rows } = await t.query<{ handle: string }>(
    `select d.handle from fleet.app_on o join fleet.device d on d.id = o.device_id
     where o.app_id = $1 and o.sent is not null and d.state = 'enrolled' and d.id not in (${WANTED}) order by d.handle limit $2`,
    [app.id, MOST],
  );
  const handles = rows.map(({ handle }) => handle);
  return state(t, { app, verb: 'RemoveApplication', args: { Identifier: app.identifier }, mark: null, handles, doors });
}

async function state(
  t: Tx,
  input: {
    readonly app: AppToSend;
    readonly verb: 'InstallApplication' | 'RemoveApplication';
    readonly args: object;
    readonly mark: string | null;
    readonly handles: readonly string[];
    readonly doors: AppDoors;
  },
): Promise<number> {
  const { app, verb, handles } = input;
  if (handles.length === 0) return 0;
  const { rows } = await t.query<{ by: string | null }>(
    `select ${verb === 'InstallApplication' ? 'assigned_by' : 'removed_by'} as by from fleet.app_assignment where app_id = $1
       and (removed_at is not null) = $2 order by greatest(assigned_at, removed_at) desc limit 1`,
    [app.id, verb === 'RemoveApplication'],
  );
  // `identifier` is the key by which installing and removing meet, also where the command names a manifest.
  const params = { identifier: app.identifier, args: input.args as never };
  const portion = isDangerous(verb, params) ? MOST_APPROVED : handles.length;
  for (let from = 0; from < handles.length; from += portion) {
    const devices = handles.slice(from, from + portion);
    const stated = await stateIntent(t, {
      ...{ verb, devices, params, requester: rows[0]?.by ?? 'core', now: input.doors.now() },
      purpose: verb === 'InstallApplication' ? 'an app that is assigned' : 'an app that is no longer assigned',
    });
    if (stated.approval !== undefined) await input.doors.requestApproval(t, stated.approval);
    await t.query(
      `insert into fleet.app_on as o (app_id, device_id, sent, intent_id) select $1, id, $2, $3 from fleet.device where handle = any($4)
       on conflict (app_id, device_id) do update set sent = excluded.sent, intent_id = excluded.intent_id, at = clock_timestamp()`,
      [app.id, input.mark, stated.id, devices],
    );
  }
  return handles.length;
}
