import { type Json, uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import { looksPersonal, PERSONAL_WORDS } from '../personal.ts';
import { addVersion } from './versions.ts';

/** An app with where it is wanted and how far it is. */
export interface AppRow {
  readonly id: string;
  readonly identifier: string;
  readonly name: string;
  readonly kind: 'store' | 'own' | 'package';
  readonly adamId: number | null;
  readonly manifestUrl: string | null;
  readonly configuration: Json | null;
  readonly groups: readonly { readonly assignment: string; readonly name: string; readonly members: number }[];
  /** Devices that it was sent to. */
  readonly devices: number;
  /** What the devices that it was sent to say of it (Apple's `Status`), and how many have said nothing yet (`unknown`). */
  readonly states: Readonly<Record<string, number>>;
  /** Licences by state, and how many are left; nothing for an app of our own. */
  readonly licences: Readonly<Record<string, number>>;
  readonly available: number | null;
}

export interface AppService {
  readonly organisation: string | null;
  readonly tokenUntil: Date | null;
  readonly checkedAt: Date | null;
  readonly problem: string | null;
}

/** Apps by name, and the licence service as core last saw it; null without a token. */
export async function listApps(db: Queryable): Promise<{ apps: AppRow[]; service: AppService | null }> {
  const apps = await db.query<AppRow>(
    `select a.id, a.identifier, a.name, a.kind, a.adam_id as "adamId", a.manifest_url as "manifestUrl", a.configuration,
       coalesce((select jsonb_agg(jsonb_build_object('assignment', x.id, 'name', g.name, 'members', g.members) order by g.name)
         from fleet.app_assignment x join fleet.device_group g on g.id = x.group_id
         where x.app_id = a.id and x.removed_at is null), '[]') as groups,
       (select count(*)::int from fleet.app_on o where o.app_id = a.id and o.sent is not null) as devices,
       coalesce((select jsonb_object_agg(s.status, s.n) from (
           select coalesce(left(t.status, 40), 'unknown') as status, count(*)::int as n from fleet.app_on o
           left join fleet.inventory r on r.device_id = o.device_id and r.kind = 'ManagedApplicationList'
           left join lateral (select p->>'Status' as status
             from jsonb_array_elements(case jsonb_typeof(r.facts->'apps') when 'array' then r.facts->'apps' else '[]' end) p
             where p->>'Identifier' = a.identifier limit 1) t on true
           where o.app_id = a.id and o.sent is not null group by 1) s), '{}') as states,
       coalesce((select jsonb_object_agg(s.state, s.n) from (select l.state, count(*)::int as n from fleet.app_licence l
         where l.app_id = a.id group by 1) s), '{}') as licences,
       (select (e->>'available')::int from fleet.app_service v, jsonb_array_elements(v.assets) e
         where (e->>'adamId')::bigint = a.adam_id limit 1) as available
     from fleet.app a order by lower(a.name), a.id limit 1000`,
  );
  const service = await db.query<AppService>(
    `select organisation, token_until as "tokenUntil", checked_at as "checkedAt", problem from fleet.app_service`,
  );
  return { apps: apps.rows, service: service.rows[0] ?? null };
}

export interface AppInput {
  readonly identifier: string;
  readonly name: string;
  readonly adamId?: number;
  readonly manifestUrl?: string;
  readonly configuration?: Json;
  readonly by: string;
}

/** Adds an app, or gives one with the same identifier another name and configuration. Throws FleetError. */
export async function saveApp(t: Tx, input: AppInput): Promise<string> {
  const configuration = input.configuration === undefined ? null : checkConfiguration(input.configuration);
  const known = await t.query<{ id: string; kind: string }>('select id, kind from fleet.app where identifier = $1', [
    input.identifier,
  ]);
  const sources = [input.adamId, input.manifestUrl].filter((one) => one !== undefined).length;
  // One that is known is named by its identifier; where it comes from does not change.
  if (sources > 1 || (sources === 0 && known.rows[0] === undefined))
    throw new FleetError('bad-request', 'An app comes from the store (adam ID) or from our own manifest, not both.');
  const id = known.rows[0]?.id ?? uuidv7();
  let changed = true;
  if (known.rows[0] === undefined) {
    await t.query(
      `insert into fleet.app (id, identifier, name, kind, adam_id, manifest_url, configuration, created_by)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        ...[id, input.identifier, input.name, input.adamId === undefined ? 'own' : 'store', input.adamId ?? null],
        ...[input.manifestUrl ?? null, configuration, input.by],
      ],
    );
  } else {
    const { rows } = await t.query<{ changed: boolean }>(
      `with old as (select configuration from fleet.app where id = $1)
       update fleet.app set name = $2, configuration = $3, changed_by = $4, changed_at = now() where id = $1
       returning (select configuration from old) is distinct from $3::jsonb as changed`,
      [id, input.name, configuration, input.by],
    );
    changed = rows[0]!.changed;
  }
  if (changed) await addVersion(t, { app: id, by: input.by });
  await emit(t, { kind: 'app.saved', actor: input.by, detail: { app: id, fresh: known.rows[0] === undefined } });
  return id;
}

/** Values by key, six levels deep at most, nothing that looks like a person's address or number. Answers JSON text. */
function checkConfiguration(value: Json): string {
  const text = JSON.stringify(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FleetError('bad-request', 'A configuration is a dictionary of keys and values.');
  if (text.length > 32_768) throw new FleetError('bad-request', 'A configuration has at most 32 KiB.');
  const walk = (one: Json, depth: number): void => {
    if (depth > 6 || one === null)
      throw new FleetError('bad-request', 'A configuration has no null and six levels at most.');
    if (typeof one === 'string' && (/[^\s@]+@[^\s@]+\.[^\s@]{2,}/.test(one) || /^\+?\d[\d ()-]{8,}$/.test(one)))
      throw new FleetError(
        'bad-request',
        'A configuration is sent to every device alike; it holds no person’s address or number.',
      );
    const kind = typeof one === 'string' ? looksPersonal(one) : undefined;
    if (kind !== undefined) throw new FleetError('bad-request', `A value ${PERSONAL_WORDS[kind]}.`);
    if (typeof one === 'object') for (const inner of Object.values(one)) walk(inner as Json, depth + 1);
  };
  walk(value, 0);
  return text;
}

/** Wants an app on a group: core gets the licences and sends it, within the person's budget. */
export async function assignApp(t: Tx, input: { app: string; group: string; by: string }): Promise<string> {
  const id = uuidv7();
  const { rowCount } = await t.query(
    `insert into fleet.app_assignment (id, app_id, group_id, assigned_by)
     select $1, a.id, g.id, $4 from fleet.app a, fleet.device_group g where a.id = $2 and g.id = $3 and g.deleted_at is null
     on conflict do nothing`,
    [id, input.app, input.group, input.by],
  );
  if (!rowCount)
    throw new FleetError('bad-request', 'There is no such app or group, or it is assigned already.', { status: 409 });
  await emit(t, { kind: 'app.assigned', actor: input.by, detail: { app: input.app, assignment: id, on: true } });
  return id;
}

/** No longer wants it there; devices lose it, and their licences come back. */
export async function unassignApp(t: Tx, input: { assignment: string; by: string }): Promise<void> {
  const { rows } = await t.query<{ app: string }>(
    `update fleet.app_assignment set removed_by = $2, removed_at = now() where id = $1 and removed_at is null
     returning app_id as app`,
    [input.assignment, input.by],
  );
  if (rows[0] === undefined) throw new FleetError('unknown-app', 'There is no such assignment.', { status: 404 });
  const detail = { app: rows[0].app, assignment: input.assignment, on: false };
  await emit(t, { kind: 'app.assigned', actor: input.by, detail });
}
