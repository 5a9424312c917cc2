import { invalidValue, ScimRefusal } from './error.ts';
import { type Attributes, attributes, booleanOf, textOf } from './json.ts';
import { parsePath, type ScimPath } from './path.ts';

/**
 * What a request says of a person. A member that is absent was not spoken of; null takes the value away. All of it is
 * personal and in the clear: it lives as long as the request.
 */
export interface UserChange {
  userName?: string;
  externalId?: string | null;
  active?: boolean;
  given?: string | null;
  family?: string | null;
  /** `name.formatted`, else `displayName`. */
  formatted?: string | null;
  displayName?: string | null;
  email?: string | null;
  mobile?: string | null;
  department?: string | null;
  /** ISO 3166-1 alpha-2. */
  country?: string | null;
  /** Attributes that are not kept here. */
  ignored: number;
}

/** A change under way: of several addresses or numbers the best one counts. */
interface Draft {
  readonly change: UserChange;
  emailRank: number;
  mobileRank: number;
}

const draftOf = (): Draft => ({ change: { ignored: 0 }, emailRank: -1, mobileRank: -1 });
const MOST_OPERATIONS = 100;
const MOST_ENTRIES = 50;

/** Reads a whole resource (POST, PUT). Throws ScimRefusal. */
export function readScimUser(body: Attributes): UserChange & { userName: string } {
  const draft = draftOf();
  takeAll(draft, body);
  const { userName } = draft.change;
  if (userName === undefined) throw invalidValue('A person needs a userName.');
  return { ...draft.change, userName };
}

/** Reads a PatchOp (RFC 7644 section 3.5.2), with what Entra and Okta make of it. Throws ScimRefusal. */
export function readScimUserPatch(body: Attributes): UserChange {
  const draft = draftOf();
  for (const { op, path, value } of operationsOf(body)) {
    if (path === undefined) {
      if (op === 'remove') throw new ScimRefusal(400, 'noTarget', 'What is to be removed needs a path.');
      takeAll(draft, attributes(value));
      continue;
    }
    const target = parsePath(path);
    // Not refused: one path that nobody can read would keep all other changes of that person out, again and again.
    if (target === undefined) draft.change.ignored += 1;
    else take(draft, target, op === 'remove' ? null : value);
  }
  return draft.change;
}

interface Operation {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string | undefined;
  readonly value: unknown;
}

/** The operations of a PatchOp; `op` in any case. Throws ScimRefusal `invalidSyntax`. */
export function operationsOf(body: Attributes): readonly Operation[] {
  const refuse = (message: string) => new ScimRefusal(400, 'invalidSyntax', message);
  const list = body.get('operations');
  if (!Array.isArray(list) || list.length === 0) throw refuse('A PatchOp has a list of Operations.');
  if (list.length > MOST_OPERATIONS) throw refuse('A PatchOp has too many operations.');
  return list.map((one: unknown) => {
    const members = attributes(one);
    const op = String(members.get('op')).toLowerCase();
    if (op !== 'add' && op !== 'replace' && op !== 'remove') throw refuse('An operation is add, replace or remove.');
    const path = members.get('path') ?? undefined;
    if (path !== undefined && typeof path !== 'string') throw refuse('A path is text.');
    return { op, path: path === '' ? undefined : path, value: members.get('value') };
  });
}

/** Every member of an object, whose names may be paths: `name.givenName`, `emails[type eq "work"].value`, a URN. */
function takeAll(draft: Draft, members: Attributes): void {
  for (const [name, value] of members) {
    if (name === 'schemas' || name === 'id' || name === 'meta') continue;
    const target = parsePath(name);
    if (target === undefined) draft.change.ignored += 1;
    else take(draft, target, value);
  }
}

function take(draft: Draft, path: ScimPath, value: unknown): void {
  const { change } = draft;
  if (path.enterprise) {
    takeEnterprise(change, path, value);
    return;
  }
  switch (path.attribute) {
    case 'username': {
      const userName = textOf(value);
      if (userName === null) throw invalidValue('A userName cannot be taken away.');
      change.userName = userName;
      return;
    }
    case 'externalid':
      change.externalId = textOf(value);
      return;
    case 'active':
      // Taking the mark away says nothing of whether somebody works here.
      if (value === null) change.ignored += 1;
      else change.active = booleanOf(value);
      return;
    case 'displayname':
      change.displayName = textOf(value);
      return;
    case 'name':
      takeName(change, path.sub, value);
      return;
    case 'emails':
      for (const entry of entriesOf(path, value)) takeEmail(draft, entry);
      return;
    case 'phonenumbers':
      for (const entry of entriesOf(path, value)) takeNumber(draft, entry);
      return;
    case 'addresses':
      takeCountry(change, path, value);
      return;
    default:
      change.ignored += 1;
  }
}

function takeEnterprise(change: UserChange, path: ScimPath, value: unknown): void {
  if (path.attribute === '') {
    if (value === null) return;
    for (const [name, one] of attributes(value)) {
      if (name === 'department') change.department = textOf(one);
      else change.ignored += 1;
    }
  } else if (path.attribute === 'department') change.department = textOf(value);
  else change.ignored += 1;
}

function takeName(change: UserChange, sub: string, value: unknown): void {
  if (sub === '') {
    if (value === null) {
      change.given = change.family = change.formatted = null;
      return;
    }
    for (const [name, one] of attributes(value)) takeName(change, name, one);
  } else if (sub === 'givenname') change.given = textOf(value);
  else if (sub === 'familyname') change.family = textOf(value);
  else if (sub === 'formatted') change.formatted = textOf(value);
  else change.ignored += 1;
}

interface Entry {
  readonly type: string;
  readonly primary: boolean;
  readonly value: string | null;
}

/** The entries of a list that an operation speaks of. A path may choose an entry that is not there yet: it is made. */
function entriesOf(path: ScimPath, value: unknown): Entry[] {
  const type = (path.chosen['type'] ?? '').toLowerCase();
  const primary = (path.chosen['primary'] ?? '').toLowerCase() === 'true';
  if (path.sub !== '' && path.sub !== 'value') return [];
  if (path.sub === 'value' || value === null || value === undefined) return [{ type, primary, value: textOf(value) }];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MOST_ENTRIES) throw invalidValue('A list has too many entries.');
  // An empty list in place of a whole attribute takes all away.
  if (list.length === 0) return [{ type, primary, value: null }];
  return list.map((one) => {
    if (typeof one === 'string') return { type, primary, value: textOf(one) };
    const members = attributes(one);
    const own = members.get('primary');
    return {
      type: typeof members.get('type') === 'string' ? String(members.get('type')).toLowerCase() : type,
      primary: own === undefined || own === null ? primary : booleanOf(own),
      value: textOf(members.get('value') ?? null),
    };
  });
}

function takeEmail(draft: Draft, { type, primary, value }: Entry): void {
  if (value === null && type !== '' && type !== 'work') return;
  const rank = (primary ? 2 : 0) + (type === 'work' ? 3 : type === '' ? 1 : 0);
  if (rank < draft.emailRank) return;
  draft.emailRank = rank;
  draft.change.email = value;
}

/** Mobiles only, or a number of which no kind is given: a desk's telephone enrols no device. */
function takeNumber(draft: Draft, { type, value }: Entry): void {
  if (type !== 'mobile' && type !== '') {
    draft.change.ignored += 1;
    return;
  }
  const rank = type === 'mobile' ? 1 : 0;
  if (rank < draft.mobileRank) return;
  draft.mobileRank = rank;
  // RFC 7643 section 4.1.2 asks for tel: URIs (RFC 3966).
  draft.change.mobile = value?.replace(/^tel:/i, '') ?? null;
}

/** Of an address only the country is kept, if it is one. */
function takeCountry(change: UserChange, path: ScimPath, value: unknown): void {
  const entries: unknown[] = path.sub === 'country' ? [{ country: value }] : Array.isArray(value) ? value : [value];
  for (const one of entries.slice(0, MOST_ENTRIES)) {
    const country =
      typeof one === 'object' && one !== null && path.sub.replace('country', '') === ''
        ? attributes(one).get('country')
        : undefined;
    if (typeof country === 'string' && /^[A-Z]{2}$/.test(country)) change.country = country;
    else change.ignored += 1;
  }
}
