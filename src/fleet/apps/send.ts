import { canonicalJson, type Json, sha256 } from '#base';
import type { CommandSet } from '#seal';
import { type Pool, type Tx, tx } from '#store';
import { stateIntent } from '../intent.ts';
import { linkPackage } from '../packages/link.ts';
import { isDangerous } from '../verbs.ts';
import { within } from '../within.ts';

const MOST = 20_000;
/** Most devices of one intent that two people must read and sign. */
const MOST_APPROVED = 1_000;
/** Bit 0: the app goes when management goes. */
const GOES_WITH_MANAGEMENT = 1;

/** What core hands in: how an approval is asked for, the clock, and where devices find edge. */
export interface AppDoors {
  /** What two people must sign is stored in the transaction that states it. */
  readonly requestApproval: (t: Tx, document: CommandSet) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
  readonly origin: string;
}

export interface AppToSend {
  readonly id: string;
  readonly identifier: string;
  readonly kind: 'store' | 'own' | 'package';
  readonly manifest_url: string | null;
  readonly configuration: Json | null;
  readonly package_id: string | null;
  /** Null where it is sent because it is assigned, by no rollout. */
  readonly version_id: string | null;
  readonly number: number | null;
}

/** Devices that have an app assigned. */
const WANTED = `select m.device_id from fleet.app_assignment x join fleet.device_group g on g.id = x.group_id and g.deleted_at is null
  join fleet.group_member m on m.group_id = x.group_id where x.app_id = $1 and x.removed_at is null`;

/** Two people did not agree, and somebody assigned it anew since. */
const REFUSED = `exists (select from fleet.intent i where i.id = o.intent_id and i.state in ('refused', 'expired', 'cancelled')
  and i.created_at < (select max(x.assigned_at) from fleet.app_assignment x where x.app_id = $1 and x.removed_at is null))`;

/**
 * Handles of the enrolled devices that an app is wanted on and can be sent to, sorted: who has no licence of a store app would
 * hold up a ring for ever.
 */
export async function wantedApp(t: Tx, app: string): Promise<string[]> {
  const { rows } = await t.query<{ handle: string }>(
    `select d.handle from fleet.device d where d.state = 'enrolled' and d.id in (${WANTED})
       and (exists (select from fleet.app a where a.id = $1 and a.kind <> 'store')
         or exists (select from fleet.app_licence l where l.app_id = $1 and l.device_id = d.id and l.state = 'held'))
     order by d.handle`,
    [app],
  );
  return rows.map(({ handle }) => handle);
}

/**
 * Brings devices in line with what apps are assigned: installs (again, where the configuration changed) what is licensed,
 * removes what is wanted no longer. An app that was ever rolled out goes by its rollouts alone, and one of packages always
 * does: only what a rollout that is done brought goes to who joins. Otherwise stated in the name of who assigned or unassigned,
 * so within that person's budget; an app by the address of its manifest waits for two people. What was sent is noted in the same transaction. Returns how many devices were touched.
 */
export async function sendApps(pool: Pool, doors: AppDoors): Promise<number> {
  const { rows } = await pool.query<{ id: string }>('select id from fleet.app');
  let touched = 0;
  for (const { id } of rows) {
    touched += await tx(pool, async (t) => {
      let sent = 0;
      // A configuration that no command can carry holds up no other app.
      const fault = await within(t, async () => {
        sent = (await settle(t, id, doors)) + (await remove(t, id, doors));
      });
      return fault === undefined ? sent : 0;
    });
  }
  return touched;
}

async function settle(t: Tx, id: string, doors: AppDoors): Promise<number> {
  // One at a time with a rollout that starts or moves: its row is locked by whoever looks at it.
  const rollouts = await t.query<{ id: string; version_id: string; requester: string; state: string }>(
    `select id, version_id, requester, state from fleet.rollout where kind = 'app' and subject_id = $1
     order by started_at desc limit 1 for share`,
    [id],
  );
  const rollout = rollouts.rows[0];
  if (rollout === undefined) {
    const { rows } = await t.query<AppToSend>(
      `select id, identifier, kind, manifest_url, configuration, null::uuid as package_id,
         null::uuid as version_id, null::integer as number from fleet.app
       where id = $1 and kind <> 'package'`,
      [id],
    );
    return rows[0] === undefined ? 0 : install(t, rows[0], { ...doors, by: await whoAssigned(t, id, false) });
  }
  if (rollout.state !== 'done') return 0;
  const version = await appVersion(t, id, rollout.version_id);
  return version === undefined ? 0 : install(t, version, { ...doors, by: rollout.requester, rollout: rollout.id });
}

/** A version of an app as it is sent; undefined if it is not of this app, or its package is not signed. */
export async function appVersion(t: Tx, app: string, version: string): Promise<AppToSend | undefined> {
  const { rows } = await t.query<AppToSend>(
    `select a.id, a.identifier, a.kind, a.manifest_url, v.configuration, v.package_id, v.id as version_id, v.number
     from fleet.app_version v
     join fleet.app a on a.id = v.app_id left join fleet.package k on k.id = v.package_id
     where a.id = $1 and v.id = $2 and (a.kind = 'package') = (v.package_id is not null)
       and (v.package_id is null or (k.state = 'ready' and k.app_id = a.id and k.identifier = a.identifier))`,
    [app, version],
  );
  return rows[0];
}

function argsOf(app: AppToSend, manifestUrl: string | null) {
  const configuration = app.configuration === null ? {} : { Configuration: app.configuration };
  const source = app.kind === 'store' ? { Identifier: app.identifier } : { ManifestURL: manifestUrl! };
  const store = app.kind === 'store' ? { Options: { PurchaseMethod: 1 } } : {};
  return { ...source, ...store, ...configuration, ManagementFlags: GOES_WITH_MANAGEMENT, InstallAsManaged: true };
}

/** What tells one sending of an app from another: its command, with the package in place of an address that is ever new. */
export function markOf(app: AppToSend): string {
  const args = argsOf(app, app.kind === 'package' ? `package ${app.package_id}` : app.manifest_url);
  return sha256(canonicalJson(args as Json))
    .toString('hex')
    .slice(0, 32);
}

/** Sends an app to who has it assigned (of `members` alone, if they are given) and was not sent it yet. */
export async function install(
  t: Tx,
  app: AppToSend,
  given: AppDoors & { readonly by: string; readonly rollout?: string; readonly members?: readonly string[] },
): Promise<number> {
  const mark = markOf(app);
  // Who was sent just this for another reason has this version.
  if (app.version_id !== null)
    await t.query(
      'update fleet.app_on set version_id = $3 where app_id = $1 and sent = $2 and version_id is distinct from $3',
      [app.id, mark, app.version_id],
    );
  const { rows } = await t.query<{ handle: string }>(
    `select d.handle from fleet.device d left join fleet.app_on o on o.device_id = d.id and o.app_id = $1
     where d.state = 'enrolled' and d.id in (${WANTED}) and (o.sent is distinct from $2 or ($6 and ${REFUSED}))
       and ($5::text[] is null or d.handle = any($5))
       and ($3 or exists (select from fleet.app_licence l where l.app_id = $1 and l.device_id = d.id and l.state = 'held'))
     order by d.handle limit $4`,
    [app.id, mark, app.kind !== 'store', MOST, given.members ?? null, given.rollout === undefined],
  );
  const handles = rows.map(({ handle }) => handle);
  if (handles.length === 0) return 0;
  const url =
    app.package_id === null
      ? app.manifest_url
      : await linkPackage(t, { package: app.package_id, origin: given.origin });
  const purpose =
    given.rollout === undefined ? 'an app that is assigned' : `rollout of version ${app.number} of ${app.identifier}`;
  return state(t, {
    ...{ ...given, app, verb: 'InstallApplication', args: argsOf(app, url), mark, handles, purpose },
    version: app.version_id,
  });
}

async function remove(t: Tx, app: string, doors: AppDoors): Promise<number> {
  const { rows } = await t.query<{ handle: string; identifier: string }>(
    `select d.handle, a.identifier from fleet.app_on o join fleet.device d on d.id = o.device_id join fleet.app a on a.id = o.app_id
     where o.app_id = $1 and o.sent is not null and d.state = 'enrolled' and d.id not in (${WANTED}) order by d.handle limit $2`,
    [app, MOST],
  );
  if (rows.length === 0) return 0;
  const { identifier } = rows[0]!;
  return state(t, {
    ...{
      ...doors,
      app: { id: app, identifier },
      verb: 'RemoveApplication',
      args: { Identifier: identifier },
      mark: null,
      version: null,
    },
    ...{ handles: rows.map(({ handle }) => handle), by: await whoAssigned(t, app, true) },
    purpose: 'an app that is no longer assigned',
  });
}

async function whoAssigned(t: Tx, app: string, removed: boolean): Promise<string> {
  const { rows } = await t.query<{ by: string | null }>(
    `select ${removed ? 'removed_by' : 'assigned_by'} as by from fleet.app_assignment where app_id = $1
       and (removed_at is not null) = $2 order by greatest(assigned_at, removed_at) desc limit 1`,
    [app, removed],
  );
  return rows[0]?.by ?? 'core';
}

async function state(
  t: Tx,
  input: AppDoors & {
    readonly app: { readonly id: string; readonly identifier: string };
    readonly verb: 'InstallApplication' | 'RemoveApplication';
    readonly args: object;
    readonly mark: string | null;
    readonly version: string | null;
    readonly handles: readonly string[];
    readonly by: string;
    readonly purpose: string;
    readonly rollout?: string;
  },
): Promise<number> {
  const { app, verb, handles } = input;
  // `identifier` is the key by which installing and removing meet, also where the command names a manifest.
  const params = { identifier: app.identifier, args: input.args as never };
  // What needs two people is stated in portions that two people can read.
  const portion = isDangerous(verb, params) ? MOST_APPROVED : handles.length;
  for (let from = 0; from < handles.length; from += portion) {
    const devices = handles.slice(from, from + portion);
    const stated = await stateIntent(t, {
      ...{ verb, devices, params, requester: input.by, now: input.now(), purpose: input.purpose },
      ...(input.rollout === undefined ? {} : { rollout: input.rollout }),
    });
    if (stated.approval !== undefined) await input.requestApproval(t, stated.approval);
    await t.query(
      `insert into fleet.app_on as o (app_id, device_id, sent, intent_id, version_id)
       select $1, id, $2, $3, $5 from fleet.device where handle = any($4)
       on conflict (app_id, device_id) do update set sent = excluded.sent, intent_id = excluded.intent_id,
         version_id = excluded.version_id, at = clock_timestamp()`,
      [app.id, input.mark, stated.id, devices, input.version],
    );
  }
  return handles.length;
}
