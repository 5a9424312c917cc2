import { type Json, uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';

/** A version of an app as it can be rolled out: its configuration and, for our own, a package. */
export interface AppVersionRow {
  readonly id: string;
  readonly app: string;
  readonly number: number;
  /** Version of the package, if it has one. */
  readonly version: string | null;
  readonly configured: boolean;
  /** False while its package is not signed by core. */
  readonly ready: boolean;
  readonly madeBy: string;
  readonly madeAt: Date;
}

/** Versions of all apps, newest first, at most 20 an app. */
export async function listVersions(db: Queryable, app?: string): Promise<AppVersionRow[]> {
  const { rows } = await db.query<AppVersionRow>(
    `select v.id, v.app_id as app, v.number, k.version, v.configuration is not null as configured,
       (v.package_id is null or k.state = 'ready') as ready, v.made_by as "madeBy", v.made_at as "madeAt"
     from fleet.app a cross join lateral (select * from fleet.app_version x where x.app_id = a.id order by x.number desc limit 20) v
     left join fleet.package k on k.id = v.package_id
     where ($1::uuid is null or a.id = $1) and (a.kind <> 'package' or (v.package_id is not null and k.state <> 'removed'))
     order by v.app_id, v.number desc limit 5000`,
    [app ?? null],
  );
  return rows;
}

/** The newest version's package goes on with a new configuration; a new package with the configuration that is. */
export async function addVersion(
  t: Tx,
  input: { readonly app: string; readonly by: string; readonly package?: string },
): Promise<string> {
  const id = uuidv7();
  await t.query(
    `insert into fleet.app_version (id, app_id, number, package_id, configuration, made_by)
     select $1, a.id, coalesce(l.number, 0) + 1, coalesce($3::uuid, l.package_id), a.configuration, $4
     from fleet.app a left join lateral (select number, package_id from fleet.app_version v where v.app_id = a.id
       order by number desc limit 1) l on true where a.id = $2`,
    [id, input.app, input.package ?? null, input.by],
  );
  return id;
}

/** The app with this bundle identifier, made if it is new. Throws FleetError if it is not one of packages. */
export async function appForPackage(
  t: Tx,
  input: { readonly identifier: string; readonly name: string; readonly by: string },
): Promise<string> {
  await t.query('select pg_advisory_xact_lock(hashtext($1))', [`app ${input.identifier}`]);
  const known = await t.query<{ id: string; kind: string }>('select id, kind from fleet.app where identifier = $1', [
    input.identifier,
  ]);
  const before = known.rows[0];
  if (before !== undefined && before.kind !== 'package')
    throw new FleetError(
      'bad-package',
      `The app ${input.identifier} is here already, from ${before.kind === 'store' ? 'the store' : 'a manifest of its own'}.`,
      { status: 409 },
    );
  if (before !== undefined) return before.id;
  const id = uuidv7();
  await t.query(`insert into fleet.app (id, identifier, name, kind, created_by) values ($1, $2, $3, 'package', $4)`, [
    id,
    input.identifier,
    input.name,
    input.by,
  ]);
  await emit(t, { kind: 'app.saved', actor: input.by, detail: { app: id, fresh: true } as Record<string, Json> });
  return id;
}
