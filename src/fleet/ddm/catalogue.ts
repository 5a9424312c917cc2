import { type Json, uuidv7 } from '#base';
import type { Queryable } from '#store';
import { referencesOf } from '#wire';
import { FleetError } from '../error.ts';
import { permitsOfSets } from './waiting.ts';

export interface DeclarationRow {
  readonly id: string;
  readonly identifier: string;
  readonly kind: string;
  readonly type: string;
  readonly origin: string;
  readonly version: number;
  readonly state: string;
  /** Devices get it only by a permit that two people signed. */
  readonly guarded: boolean;
  readonly reason: string | null;
  readonly author: string;
  readonly changedAt: Date;
  readonly sets: readonly string[];
  /** Devices that have it on their list, and how they stand. */
  readonly devices: number;
  readonly invalid: number;
  readonly inactive: number;
}

const COLUMNS = `d.id, d.identifier, d.kind, d.type, d.origin, v.version, v.state, v.guarded, v.reason, v.author, v.created_at as "changedAt",
  array(select s.name from fleet.set_declaration x join fleet.declaration_set s on s.id = x.set_id and s.removed_at is null
    where x.declaration_id = d.id order by s.name) as sets,
  (select count(*)::int from fleet.declared_list l join fleet.declared_device dd on dd.list_id = l.id
    where l.items @> jsonb_build_array(jsonb_build_object('identifier', d.identifier))) as devices,
  (select count(*)::int from fleet.declared_state s where s.identifier = d.identifier and s.valid = 'invalid') as invalid,
  (select count(*)::int from fleet.declared_state s where s.identifier = d.identifier and s.valid <> 'invalid' and not s.active and s.kind <> 'management') as inactive`;
const LAST = `join lateral (select * from (select declaration_id, version, payload, unchecked, guarded, state, reason, token, author, created_at from fleet.declaration_version) x where x.declaration_id = d.id order by version desc limit 1) v on true`;

/** Declarations that administrators keep, and ours, by identifier; removed ones are left out. */
export async function listDeclarations(db: Queryable): Promise<DeclarationRow[]> {
  const { rows } = await db.query<DeclarationRow>(
    `select ${COLUMNS} from fleet.declaration d ${LAST} where d.removed_at is null
     order by d.origin <> 'administrator', d.identifier limit 1000`,
  );
  return rows;
}

/** One declaration with its versions, newest first. Throws FleetError. */
export async function getDeclaration(db: Queryable, id: string) {
  const { rows } = await db.query<DeclarationRow>(
    `select ${COLUMNS} from fleet.declaration d ${LAST} where d.id = $1 and d.removed_at is null`,
    [id],
  );
  if (rows[0] === undefined)
    throw new FleetError('unknown-declaration', 'There is no such declaration.', { status: 404 });
  const versions = await db.query<{ version: number; payload: Json; state: string }>(
    `select version, payload, unchecked, guarded, state, reason, author, created_at as "createdAt"
     from fleet.declaration_version where declaration_id = $1 order by version desc limit 50`,
    [id],
  );
  const trouble = await db.query<{ device: string; valid: string; reasons: string[] }>(
    `select d.handle as device, s.valid, s.reasons, s.since from fleet.declared_state s join fleet.device d on d.id = s.device_id
     where s.identifier = $1 and (s.valid = 'invalid' or (not s.active and s.kind <> 'management')) order by s.valid = 'invalid' desc, d.handle limit 100`,
    [rows[0].identifier],
  );
  return { ...rows[0], versions: versions.rows, trouble: trouble.rows };
}

export interface SetInput {
  readonly id: string | null;
  readonly name: string;
  readonly predicate: string | null;
  readonly everyone: boolean;
  readonly declarations: readonly string[];
  readonly groups: readonly string[];
  readonly devices: readonly string[];
  /** A new set goes out by a rollout alone, perhaps in place of another, which is removed once the rollout is done. */
  readonly rings?: { readonly replaces: string | null };
  readonly by: string;
}

/** Makes a set what it is said to be. The standard set takes a new scope only. Throws FleetError. */
export async function saveSet(t: Queryable, input: SetInput): Promise<{ id: string; changed: boolean }> {
  const before = await t.query<{ origin: string; name: string; declarations: string[] }>(
    `select origin, name, array(select declaration_id from fleet.set_declaration x join fleet.declaration d on d.id = x.declaration_id
       where x.set_id = s.id and d.origin <> 'set') as declarations from fleet.declaration_set s where id = $1`,
    [input.id],
  );
  const standard = before.rows[0]?.origin === 'standard' ? before.rows[0] : undefined;
  const devices = await idsOf(t, input.devices);
  await needDeclarations(t, input.declarations);
  const id = input.id ?? uuidv7();
  try {
    const { rows } = await t.query<{ changed: boolean }>(
      'select fleet.change_set($1, $2, $3, $4, $5, $6, $7, $8, $9) as changed',
      [
        ...[id, standard?.name ?? input.name, standard === undefined ? input.predicate : null, input.everyone],
        ...[standard?.declarations ?? input.declarations, input.groups, devices],
        ...[standard === undefined ? 'administrator' : 'standard', input.by],
      ],
    );
    if (input.rings !== undefined) await gate(t, id, input);
    return { id, changed: rows[0]!.changed };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === '23505') throw new FleetError('name-taken', 'Another set has this name.', { status: 409 });
    if (code === '42501' || code === '22023' || code === '23503')
      throw new FleetError('bad-request', 'This set cannot be changed so. Nothing was changed.', { status: 409 });
    throw error;
  }
}

/** A new set that goes out by a rollout alone; nobody has it before. */
async function gate(t: Queryable, id: string, { rings, by }: SetInput): Promise<void> {
  const { rows } = await t.query<{ done: boolean }>('select fleet.gate_set($1, $2, $3) as done', [
    ...[id, rings!.replaces, by],
  ]);
  if (rows[0]!.done) return;
  throw new FleetError(
    'bad-request',
    'Only a set that no device has yet goes out in rings, in place of one that an administrator keeps.',
    { status: 409 },
  );
}

async function idsOf(t: Queryable, handles: readonly string[]): Promise<number[]> {
  const { rows } = await t.query<{ id: number }>('select id from fleet.device where handle = any($1)', [handles]);
  if (rows.length !== new Set(handles).size) {
    throw new FleetError('unknown-device', 'At least one of the devices is not known. Nothing was changed.');
  }
  return rows.map(({ id }) => id);
}

async function needDeclarations(t: Queryable, ids: readonly string[]): Promise<void> {
  const { rows } = await t.query<{ n: number }>(
    'select count(*)::int as n from fleet.declaration where id = any($1) and removed_at is null',
    [ids],
  );
  if (rows[0]!.n !== new Set(ids).size) {
    throw new FleetError('unknown-declaration', 'At least one of the declarations is not known. Nothing was changed.');
  }
}

export async function removeSet(db: Queryable, id: string, by: string): Promise<void> {
  const { rows } = await db.query<{ done: boolean }>(
    `select fleet.remove_set(id, $2) as done from fleet.declaration_set where id = $1 and origin = 'administrator'`,
    [id, by],
  );
  if (!rows[0]?.done) throw new FleetError('bad-request', 'This set cannot be removed here.', { status: 409 });
}

/** Sets with their scope, and declarations that they need and lack. */
export async function listSets(db: Queryable) {
  const { rows } = await db.query<{
    id: string;
    name: string;
    declarations: { id: string; identifier: string; type: string; payload: { [key: string]: Json } }[];
  }>(
    `select s.id, s.name, s.predicate, s.everyone, s.origin, s.changed_at as "changedAt",
       (select jsonb_build_object('replaces', o.name) from fleet.set_gate x left join fleet.declaration_set o on o.id = x.replaces
         where x.set_id = s.id) as rings,
       coalesce((select jsonb_agg(jsonb_build_object('id', d.id, 'identifier', d.identifier, 'type', d.type, 'payload', v.payload) order by d.identifier)
         from fleet.set_declaration x join fleet.declaration d on d.id = x.declaration_id and d.origin <> 'set' and d.removed_at is null
         left join fleet.declaration_version v on v.declaration_id = d.id and v.state = 'current' where x.set_id = s.id), '[]') as declarations,
       coalesce((select jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) order by g.name) from fleet.set_group x
         join fleet.device_group g on g.id = x.group_id where x.set_id = s.id), '[]') as groups,
       array(select d.handle from fleet.set_device x join fleet.device d on d.id = x.device_id where x.set_id = s.id order by 1 limit 5000) as devices,
       (select count(*)::int from fleet.declared_list l join fleet.declared_device dd on dd.list_id = l.id where l.sets @> array[s.id]) as reached
     from fleet.declaration_set s where s.removed_at is null order by s.origin <> 'administrator', s.name limit 500`,
  );
  const permits = await permitsOfSets(db);
  return rows.map((row) => {
    const here = new Set(row.declarations.map(({ identifier }) => identifier));
    const needs = row.declarations.flatMap((one) => referencesOf({ ...one, payload: one.payload ?? {} }));
    const { declarations, ...set } = row;
    return {
      ...set,
      declarations: declarations.map(({ id, identifier, type }) => ({ id, identifier, type })),
      missing: [...new Set(needs)].filter((identifier) => !here.has(identifier)),
      permit: permits.get(row.id) ?? null,
    };
  });
}
