import { sha256, uuidv7 } from '#base';
import { emit } from '#log';
import type { Queryable, Tx } from '#store';
import { FleetError } from '../error.ts';
import { refusePersonal } from '../personal.ts';
import { DEFAULT_PLAN, type Ring, ringMembers } from '../rings/ring.ts';
import { type Consequence, consequences, remarks } from './consequences.ts';
import { diffProfiles, type PayloadChange } from './diff.ts';
import { readProfile } from './read.ts';

/** A profile of the library with where it is wanted and how far it is. */
export interface ProfileRow {
  readonly id: string;
  readonly identifier: string;
  readonly name: string;
  readonly versions: number;
  readonly storedAt: Date;
  readonly storedBy: string;
  /** Devices that it was last sent to, and groups it is assigned to. */
  readonly devices: number;
  readonly groups: readonly string[];
  readonly rollout: { readonly id: string; readonly state: string } | null;
}

/** Profiles by name. */
export async function listProfiles(db: Queryable): Promise<ProfileRow[]> {
  const { rows } = await db.query<ProfileRow>(
    `select p.id, p.identifier, p.name, v.number as versions, v.stored_at as "storedAt", v.stored_by as "storedBy",
       (select count(*)::int from fleet.profile_on o where o.profile_id = p.id and o.version_id is not null) as devices,
       array(select coalesce(g.name, d.handle) from fleet.profile_assignment a left join fleet.device_group g on g.id = a.group_id
         left join fleet.device d on d.id = a.device_id where a.profile_id = p.id and a.removed_at is null order by 1) as groups,
       (select jsonb_build_object('id', r.id, 'state', r.state) from fleet.rollout r where r.subject_id = p.id
         order by r.started_at desc limit 1) as rollout
     from fleet.profile p join lateral (select * from fleet.profile_version v where v.profile_id = p.id
       order by v.number desc limit 1) v on true order by lower(p.name), p.id limit 1000`,
  );
  return rows;
}

export interface VersionRow {
  readonly id: string;
  readonly number: number;
  readonly uuid: string;
  readonly sha256: string;
  readonly signed: boolean;
  readonly storedBy: string;
  readonly storedAt: Date;
  readonly devices: number;
}

export interface AssignmentRow {
  readonly id: string;
  readonly group: string | null;
  readonly name: string;
  readonly members: number;
  readonly by: string;
  readonly at: Date;
}

/** One profile with its versions, assignments and what the newest version does. Throws `unknown-profile`. */
export async function getProfile(db: Queryable, id: string) {
  const profile = (await listProfiles(db)).find((one) => one.id === id);
  if (profile === undefined) throw unknown();
  const versions = await db.query<VersionRow>(
    `select v.id, v.number, v.uuid, encode(v.sha256, 'hex') as sha256, v.signer_sha256 is not null as signed,
       v.stored_by as "storedBy", v.stored_at as "storedAt",
       (select count(*)::int from fleet.profile_on o where o.profile_id = $1 and o.version_id = v.id) as devices
     from fleet.profile_version v where v.profile_id = $1 order by v.number desc limit 50`,
    [id],
  );
  const assignments = await db.query<AssignmentRow>(
    `select a.id, a.group_id as "group", coalesce(g.name, d.handle) as name, a.assigned_by as by, a.assigned_at as at,
       case when a.group_id is null then 1 else (select count(*)::int from fleet.group_member m where m.group_id = a.group_id) end as members
     from fleet.profile_assignment a left join fleet.device_group g on g.id = a.group_id
     left join fleet.device d on d.id = a.device_id where a.profile_id = $1 and a.removed_at is null order by a.assigned_at`,
    [id],
  );
  const newest = await bodyOf(db, id, versions.rows[0]!.id);
  const root = readProfile(newest).root;
  return {
    profile,
    versions: versions.rows,
    assignments: assignments.rows,
    dangers: consequences(root),
    remarks: remarks(root),
    xml: masked(newest),
  };
}

const unknown = () => new FleetError('unknown-profile', 'There is no such profile or version.', { status: 404 });

/** The text of a profile for a screen: secrets and bytes are not shown. */
function masked(body: Uint8Array): string {
  return Buffer.from(body)
    .toString('utf8')
    .replace(/<data>[\s\S]*?<\/data>/g, '<data>…</data>')
    .replace(/(<key>[^<]*(?:pass|secret|challenge|psk|token)[^<]*<\/key>\s*<string>)[^<]*/gi, '$1…');
}

async function bodyOf(db: Queryable, profile: string, version: string): Promise<Buffer> {
  const { rows } = await db.query<{ body: Buffer }>(
    'select body from fleet.profile_version where profile_id = $1 and id = $2',
    [profile, version],
  );
  if (rows[0] === undefined) throw unknown();
  return rows[0].body;
}

/** What storing these bytes would mean, without doing it. */
export interface DryRun {
  readonly identifier: string;
  readonly name: string;
  /** Null if the profile is new. */
  readonly profile: string | null;
  readonly replaces: number | null;
  /** True if the newest version has exactly these bytes. */
  readonly unchanged: boolean;
  readonly signed: boolean;
  readonly dangers: readonly Consequence[];
  readonly remarks: readonly string[];
  readonly changes: readonly PayloadChange[];
  /** Devices that have it assigned, by group, and how many each ring would reach. */
  readonly devices: number;
  readonly groups: readonly { readonly name: string; readonly members: number }[];
  readonly rings: readonly number[];
  /** Undelivered commands about this profile that a rollout would take the place of. */
  readonly superseded: number;
}

/** Compares a profile with the newest version of the same identifier and says whom it would reach. Changes nothing. */
export async function dryRun(db: Queryable, bytes: Uint8Array): Promise<DryRun> {
  const read = readProfile(bytes);
  refusePersonal(read.body);
  const { rows } = await db.query<{ id: string; number: number; body: Buffer }>(
    `select p.id, v.number, v.body from fleet.profile p join fleet.profile_version v on v.profile_id = p.id
     where p.identifier = $1 order by v.number desc limit 1`,
    [read.identifier],
  );
  const before = rows[0];
  const devices = before === undefined ? [] : await assignedDevices(db, before.id);
  const { assignments } = before === undefined ? { assignments: [] } : await getProfile(db, before.id);
  const waiting = await db.query<{ n: number }>(
    `select count(*)::int as n from fleet.command c where c.done_at is null and c.state in ('queued', 'not_now')
       and c.request_type in ('InstallProfile', 'RemoveProfile') and c.key = $1`,
    [read.identifier],
  );
  return {
    identifier: read.identifier,
    name: read.name,
    profile: before?.id ?? null,
    replaces: before?.number ?? null,
    unchanged: before?.body.equals(read.body) ?? false,
    signed: read.signer !== undefined,
    dangers: consequences(read.root),
    remarks: remarks(read.root),
    changes: diffProfiles(before === undefined ? undefined : readProfile(before.body).root, read.root),
    devices: devices.length,
    groups: assignments.map(({ name, members }) => ({ name, members })),
    rings: DEFAULT_PLAN.map((ring) => ringMembers('dry run', devices, ring).length),
    superseded: waiting.rows[0]!.n,
  };
}

/** What one stored version changes against another, or against nothing. */
export async function diffVersions(db: Queryable, profile: string, from: string | null, to: string) {
  const before = from === null ? undefined : readProfile(await bodyOf(db, profile, from)).root;
  const after = readProfile(await bodyOf(db, profile, to)).root;
  return { changes: diffProfiles(before, after), dangers: consequences(after), remarks: remarks(after) };
}

/** Stores a profile, or a new version of the one with the same identifier. The same bytes are stored once. */
export async function storeProfile(
  t: Tx,
  input: { readonly bytes: Uint8Array; readonly by: string },
): Promise<{ profile: string; version: string; number: number; dangers: Consequence[] }> {
  const read = readProfile(input.bytes);
  refusePersonal(read.body);
  await t.query('select pg_advisory_xact_lock(hashtext($1))', [`profile ${read.identifier}`]);
  const known = await t.query<{ id: string }>('select id from fleet.profile where identifier = $1', [read.identifier]);
  const profile = known.rows[0]?.id ?? uuidv7();
  if (known.rows[0] === undefined) {
    await t.query('insert into fleet.profile (id, identifier, name, created_by) values ($1, $2, $3, $4)', [
      ...[profile, read.identifier, read.name, input.by],
    ]);
  }
  const hash = sha256(read.body);
  const dangers = consequences(read.root);
  const same = await t.query<{ id: string; number: number }>(
    'select id, number from fleet.profile_version where profile_id = $1 and sha256 = $2',
    [profile, hash],
  );
  if (same.rows[0] !== undefined) return { profile, version: same.rows[0].id, number: same.rows[0].number, dangers };
  const version = uuidv7();
  const { rows } = await t.query<{ number: number }>(
    `insert into fleet.profile_version (id, profile_id, number, body, sha256, uuid, signer_sha256, stored_by)
     select $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6, $7 from fleet.profile_version where profile_id = $2
     returning number`,
    [version, profile, read.body, hash, read.uuid.slice(0, 64), read.signer ?? null, input.by],
  );
  const { number } = rows[0]!;
  await t.query('update fleet.profile set name = $2 where id = $1 and name <> $2', [profile, read.name]);
  const detail = { profile, version, number, sha256: hash.toString('hex'), dangers: dangers.length };
  await emit(t, { kind: 'profile.stored', actor: input.by, detail });
  return { profile, version, number, dangers };
}

/** Wants a profile on a group or a device. Devices get it by the next rollout, or at once if one is done already. */
export async function assignProfile(
  t: Tx,
  input: { readonly profile: string; readonly group?: string; readonly device?: string; readonly by: string },
): Promise<string> {
  const id = uuidv7();
  const { rowCount } = await t.query(
    `insert into fleet.profile_assignment (id, profile_id, group_id, device_id, assigned_by)
     select $1, p.id, g.id, d.id, $5 from fleet.profile p
       left join fleet.device_group g on g.id = $3 and g.deleted_at is null left join fleet.device d on d.handle = $4
     where p.id = $2 and (g.id is null) <> (d.id is null)
     on conflict do nothing`,
    [id, input.profile, input.group ?? null, input.device ?? null, input.by],
  );
  if (!rowCount)
    throw new FleetError('bad-request', 'There is no such profile, group or device, or it is assigned already.', {
      status: 409,
    });
  await emit(t, {
    kind: 'profile.assigned',
    actor: input.by,
    detail: { profile: input.profile, assignment: id, on: true },
  });
  return id;
}

/** No longer wants it there; core takes it off the devices that have it for no other reason. */
export async function unassignProfile(
  t: Tx,
  input: { readonly assignment: string; readonly by: string },
): Promise<void> {
  const { rows } = await t.query<{ profile: string }>(
    `update fleet.profile_assignment set removed_by = $2, removed_at = now() where id = $1 and removed_at is null
     returning profile_id as profile`,
    [input.assignment, input.by],
  );
  if (rows[0] === undefined) throw new FleetError('unknown-profile', 'There is no such assignment.', { status: 404 });
  const detail = { profile: rows[0].profile, assignment: input.assignment, on: false };
  await emit(t, { kind: 'profile.assigned', actor: input.by, detail });
}

/** Handles of the enrolled devices that a profile is wanted on, sorted. */
export async function assignedDevices(db: Queryable, profile: string): Promise<string[]> {
  const { rows } = await db.query<{ handle: string }>(
    `select d.handle from fleet.device d where d.state = 'enrolled' and d.id in (
       select m.device_id from fleet.profile_assignment a join fleet.device_group g on g.id = a.group_id and g.deleted_at is null
         join fleet.group_member m on m.group_id = a.group_id where a.profile_id = $1 and a.removed_at is null
       union select a.device_id from fleet.profile_assignment a where a.profile_id = $1 and a.removed_at is null
         and a.device_id is not null) order by d.handle`,
    [profile],
  );
  return rows.map(({ handle }) => handle);
}

export type { Ring };
