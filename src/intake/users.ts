import { newPersonHandle, Sealed, uuidv7 } from '#base';
import { inventDecoy, type NewPerson, tellDecoys } from '#people';
import { sealWrite } from '#seal';
import type { Attributes, ScimFilter, UserChange } from '#wire';
import { readScimUser, readScimUserPatch, ScimRefusal } from '#wire';
import type { IntakeDoors } from './doors.ts';
import { type Judged, judgeChange, PERSON_FIELDS, type PersonField } from './judged.ts';
import { tagOf } from './secrets.ts';

/** All that is known here of a stored person. */
export interface Stored {
  readonly id: string;
  readonly active: boolean;
  readonly version: number;
  readonly created_at: Date;
  readonly changed_at: Date;
}

/** One decoy for so many people who are added one by one. */
const DECOY_EVERY = 50;
const TRIES = 5;

const gone = () => new ScimRefusal(404, undefined, 'There is nobody with this id.');
const VERDICTS: Readonly<Record<string, () => ScimRefusal>> = {
  unknown: gone,
  stale: () => new ScimRefusal(412, undefined, 'The person was changed in between: this is another version.'),
  taken: () => new ScimRefusal(409, 'uniqueness', 'Somebody with this userName or externalId is here already.'),
  gone: () =>
    new ScimRefusal(
      409,
      'uniqueness',
      'Whoever had this externalId has left and was taken out; they do not come back by themselves.',
    ),
  'too-many': () => new ScimRefusal(429, undefined, 'This person was changed too often today.'),
  again: () => new ScimRefusal(503, undefined, 'Others were changing the same. Try again.'),
};

/** Throws what a function's answer means, unless it is `ok`. */
export function must(verdict: string): void {
  if (verdict !== 'ok') throw (VERDICTS[verdict] ?? VERDICTS['again']!)();
}

/** Whoever has exactly this key, at most one. */
export async function findUser(
  doors: IntakeDoors,
  source: string,
  { by, value }: ScimFilter,
): Promise<Stored | undefined> {
  if (by === 'id') return UUID.test(value) ? getUser(doors, source, value) : undefined;
  const kind = by === 'userName' ? 'user' : 'external';
  const { rows } = await doors.pool.query<Stored>('select * from people.scim_find($1, $2, $3)', [
    ...[source, kind, tagOf(doors.secrets, source, kind, value)],
  ]);
  return rows[0] === undefined ? undefined : numbered(rows[0]);
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** BIGINT comes as text. */
export const numbered = <T extends { readonly version: number }>(row: T): T => ({
  ...row,
  version: Number(row.version),
});

export async function getUser(doors: IntakeDoors, source: string, id: string): Promise<Stored | undefined> {
  const { rows } = await doors.pool.query<Stored>('select * from people.scim_get($1, $2)', [source, id]);
  return rows[0] === undefined ? undefined : numbered(rows[0]);
}

/** RFC 7644 section 3.3. Throws ScimRefusal. */
export async function createUser(doors: IntakeDoors, source: string, body: Attributes): Promise<Stored> {
  const change = readScimUser(body);
  const judged = judgeChange(doors, change, true);
  const tag = (kind: 'user' | 'external', text: string) => tagOf(doors.secrets, source, kind, text);
  const external = typeof change.externalId === 'string' ? tag('external', change.externalId) : null;
  const tags = { user: tag('user', change.userName), external };
  // Before the person, so that none of the two is told by coming first or last.
  if (doors.random(DECOY_EVERY) === 0) await addDecoy(doors, source, judged, external !== null);
  const id = await insert(doors, source, tags, judged, change.active ?? true);
  return (await getUser(doors, source, id)) ?? fail();
}

const fail = (): never => {
  throw gone();
};

interface Tags {
  readonly user: Buffer;
  readonly external: Buffer | null;
}

async function insert(
  doors: IntakeDoors,
  source: string,
  tags: Tags,
  judged: Judged,
  active: boolean,
  handle?: string,
) {
  const id = uuidv7();
  for (let attempt = 1; ; attempt += 1) {
    const subject = handle ?? newPersonHandle();
    const sealed = PERSON_FIELDS.map((field) =>
      sealWrite({
        keys: doors.keys,
        pen: doors.pen,
        subject,
        field,
        version: 1,
        value: judged.values.get(field) ?? new Sealed(''),
      }),
    );
    const { rows } = await doors.pool.query<{ verdict: string }>(
      'select people.scim_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as verdict',
      [...[source, id, subject, tags.user, tags.external, judged.unit ?? '', judged.state ?? '', active], ...sealed],
    );
    const { verdict } = rows[0]!;
    if (verdict === 'again' && attempt < TRIES && handle === undefined) continue;
    must(verdict);
    return id;
  }
}

/** Somebody who does not exist, told to the ledger before it is stored: of the same unit, sealed as everybody is. */
async function addDecoy(doors: IntakeDoors, source: string, like: Judged, keyed: boolean): Promise<void> {
  const [given, family] = [new Sealed(''), new Sealed('')];
  const email = like.values.get('email') ?? new Sealed('');
  const known = email.use((text) => text !== '');
  const person: NewPerson = {
    ...{ given, family, email: known ? email : new Sealed('x@example.org'), mobile: new Sealed('') },
    ...{ unit: like.unit ?? '', memberState: like.state ?? '' },
  };
  const decoy = inventDecoy([person]);
  const handle = newPersonHandle();
  await tellDecoys(doors.ledger, [handle]);
  const values = new Map<PersonField, Sealed<string>>([
    ['name', decoy.given.use((first) => decoy.family.use((last) => new Sealed(`${first} ${last}`)))],
    ['number', decoy.mobile],
    ['email', known ? decoy.email : new Sealed('')],
  ]);
  const random = () => tagOf(doors.secrets, source, 'external', `${handle} ${uuidv7()}`);
  const tags = { user: random(), external: keyed ? random() : null };
  await insert(doors, source, tags, { values, unit: decoy.unit, state: decoy.memberState }, true, handle);
}

/** RFC 7644 section 3.5.1: what is not sent is taken away. `ifVersion`: only if this is still the version. Throws ScimRefusal. */
export async function replaceUser(
  doors: IntakeDoors,
  source: string,
  id: string,
  body: Attributes,
  ifVersion: number | null,
): Promise<Stored> {
  const change = readScimUser(body);
  return apply(doors, source, id, { ...change, externalId: change.externalId ?? null }, ifVersion, true);
}

/** RFC 7644 section 3.5.2. Throws ScimRefusal. */
export async function patchUser(
  doors: IntakeDoors,
  source: string,
  id: string,
  body: Attributes,
  ifVersion: number | null,
): Promise<Stored> {
  return apply(doors, source, id, readScimUserPatch(body), ifVersion, false);
}

async function apply(
  doors: IntakeDoors,
  source: string,
  id: string,
  change: UserChange,
  ifVersion: number | null,
  whole: boolean,
): Promise<Stored> {
  const judged = judgeChange(doors, change, whole);
  const { externalId, userName, active } = change;
  const fields = PERSON_FIELDS.filter((field) => judged.values.has(field));
  for (let attempt = 1; ; attempt += 1) {
    const { rows } = await doors.pool.query<{ handle: string; versions: string[] }>(
      'select * from people.scim_next($1, $2, $3)',
      [source, id, fields],
    );
    const next = rows[0];
    if (next === undefined) throw gone();
    const versions = next.versions.map(Number);
    const values = fields.map((field, i) =>
      sealWrite({
        ...{ keys: doors.keys, pen: doors.pen, subject: next.handle, field, version: versions[i]! },
        value: judged.values.get(field)!,
      }),
    );
    const answer = await doors.pool.query<{ verdict: string }>(
      'select people.scim_change($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as verdict',
      [
        ...[source, id, ifVersion],
        userName === undefined ? null : tagOf(doors.secrets, source, 'user', userName),
        externalId !== undefined,
        typeof externalId === 'string' ? tagOf(doors.secrets, source, 'external', externalId) : null,
        ...[judged.unit !== undefined, judged.unit ?? '', judged.state ?? null, active ?? null],
        ...[fields, versions, values],
      ],
    );
    const { verdict } = answer.rows[0]!;
    if (verdict === 'again' && attempt < TRIES) continue;
    must(verdict);
    return (await getUser(doors, source, id)) ?? fail();
  }
}

/** RFC 7644 section 3.6. Throws ScimRefusal. */
export async function deleteUser(
  doors: IntakeDoors,
  source: string,
  id: string,
  ifVersion: number | null,
): Promise<void> {
  const { rows } = await doors.pool.query<{ verdict: string }>('select people.scim_delete($1, $2, $3) as verdict', [
    ...[source, id, ifVersion],
  ]);
  must(rows[0]!.verdict);
}
