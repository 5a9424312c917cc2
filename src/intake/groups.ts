import { uuidv7 } from '#base';
import {
  type Attributes,
  type GroupChange,
  readScimGroup,
  readScimGroupPatch,
  type ScimFilter,
  ScimRefusal,
} from '#wire';
import type { IntakeDoors } from './doors.ts';
import { tagOf } from './secrets.ts';
import { must, numbered, UUID } from './users.ts';

/** All that is known here of a stored group. */
export interface StoredGroup {
  readonly id: string;
  readonly version: number;
  readonly created_at: Date;
  readonly changed_at: Date;
}

export async function getGroup(doors: IntakeDoors, source: string, id: string): Promise<StoredGroup | undefined> {
  const { rows } = await doors.pool.query<StoredGroup>('select * from people.scim_group_get($1, $2)', [source, id]);
  return rows[0] === undefined ? undefined : numbered(rows[0]);
}

/** The group that bears exactly this name or key. */
export async function findGroup(
  doors: IntakeDoors,
  source: string,
  { by, value }: ScimFilter,
): Promise<StoredGroup | undefined> {
  if (by === 'id') return UUID.test(value) ? getGroup(doors, source, value) : undefined;
  const [kind, tag] = by === 'displayName' ? (['name', 'group'] as const) : (['external', 'group-external'] as const);
  const { rows } = await doors.pool.query<StoredGroup>('select * from people.scim_group_find($1, $2, $3)', [
    ...[source, kind, tagOf(doors.secrets, source, tag, value)],
  ]);
  return rows[0] === undefined ? undefined : numbered(rows[0]);
}

/** Makes a group. Its name is kept as a tag: the operator says how the unit is called. Throws ScimRefusal. */
export async function createGroup(doors: IntakeDoors, source: string, body: Attributes): Promise<StoredGroup> {
  const id = uuidv7();
  await put(doors, source, { id, isNew: true, ifVersion: null }, readScimGroup(body));
  return (await getGroup(doors, source, id))!;
}

export async function changeGroup(
  doors: IntakeDoors,
  source: string,
  id: string,
  body: Attributes,
  how: { readonly whole: boolean; readonly ifVersion: number | null },
): Promise<StoredGroup> {
  const change = how.whole ? readScimGroup(body) : readScimGroupPatch(body);
  const whole = how.whole ? { ...change, externalId: change.externalId ?? null } : change;
  await put(doors, source, { id, isNew: false, ifVersion: how.ifVersion }, whole);
  return (await getGroup(doors, source, id))!;
}

async function put(
  doors: IntakeDoors,
  source: string,
  group: { readonly id: string; readonly isNew: boolean; readonly ifVersion: number | null },
  { displayName, externalId, replaces, add, remove }: GroupChange,
): Promise<void> {
  const { rows } = await doors.pool.query<{ verdict: string }>(
    'select people.scim_group_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as verdict',
    [
      ...[source, group.id, group.isNew, group.ifVersion],
      displayName === undefined ? null : tagOf(doors.secrets, source, 'group', displayName),
      externalId !== undefined,
      typeof externalId === 'string' ? tagOf(doors.secrets, source, 'group-external', externalId) : null,
      ...[replaces, [...add], [...remove]],
    ],
  );
  judge(rows[0]!.verdict);
}

export async function deleteGroup(
  doors: IntakeDoors,
  source: string,
  id: string,
  ifVersion: number | null,
): Promise<void> {
  const { rows } = await doors.pool.query<{ verdict: string }>(
    'select people.scim_group_delete($1, $2, $3) as verdict',
    [...[source, id, ifVersion]],
  );
  judge(rows[0]!.verdict);
}

function judge(verdict: string): void {
  if (verdict === 'unknown') throw new ScimRefusal(404, undefined, 'There is no group with this id.');
  if (verdict === 'member') throw new ScimRefusal(400, 'invalidValue', 'A member is nobody who is here.');
  if (verdict === 'taken') throw new ScimRefusal(409, 'uniqueness', 'A group of this name or key is here already.');
  must(verdict);
}
