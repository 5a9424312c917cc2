import { invalidValue } from './error.ts';
import { type Attributes, attributes, textOf } from './json.ts';
import { parsePath } from './path.ts';
import { operationsOf } from './user.ts';

/** What a request says of a group (RFC 7643 section 4.2). Members by our own ids. */
export interface GroupChange {
  displayName?: string;
  externalId?: string | null;
  /** True if the members that are not named are no members any more. */
  replaces: boolean;
  readonly add: Set<string>;
  readonly remove: Set<string>;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const MOST_MEMBERS = 5_000;

const none = (): GroupChange => ({ replaces: false, add: new Set(), remove: new Set() });

/** Reads a whole group (POST, PUT). Throws ScimRefusal. */
export function readScimGroup(body: Attributes): GroupChange & { displayName: string } {
  const change = none();
  for (const [name, value] of body) take(change, name, 'replace', value);
  change.replaces = true;
  if (change.displayName === undefined) throw invalidValue('A group needs a displayName.');
  return { ...change, displayName: change.displayName };
}

/** Reads a PatchOp for a group. Throws ScimRefusal. */
export function readScimGroupPatch(body: Attributes): GroupChange {
  const change = none();
  for (const { op, path, value } of operationsOf(body)) {
    if (path === undefined) {
      for (const [name, one] of attributes(value)) take(change, name, op, one);
      continue;
    }
    const target = parsePath(path);
    if (target === undefined) throw invalidValue('This path of a group is not understood.');
    const { value: member } = target.chosen;
    // `members[value eq "…"]`: Entra's way to take one member out.
    if (target.attribute === 'members' && member !== undefined) {
      if (op !== 'remove') throw invalidValue('A member is added by its value.');
      leave(change, idOf(member));
    } else take(change, target.attribute, op, value);
  }
  return change;
}

function take(change: GroupChange, name: string, op: 'add' | 'replace' | 'remove', value: unknown): void {
  if (name === 'displayname') {
    const text = textOf(value);
    if (text === null) throw invalidValue('A displayName cannot be taken away.');
    change.displayName = text;
  } else if (name === 'externalid') change.externalId = op === 'remove' ? null : textOf(value);
  else if (name === 'members') takeMembers(change, op, value);
}

function takeMembers(change: GroupChange, op: 'add' | 'replace' | 'remove', value: unknown): void {
  const given: unknown[] = value === null || value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (given.length > MOST_MEMBERS) throw invalidValue(`At most ${MOST_MEMBERS} members can be sent at once.`);
  const ids = given.map((one) => idOf(typeof one === 'string' ? one : attributes(one).get('value')));
  if (op === 'remove' && ids.length > 0) {
    for (const id of ids) leave(change, id);
    return;
  }
  // `replace`, and a `remove` that names nobody, begin with an empty group.
  if (op !== 'add') {
    change.replaces = true;
    change.add.clear();
    change.remove.clear();
  }
  for (const id of ids) {
    change.add.add(id);
    change.remove.delete(id);
  }
}

function leave(change: GroupChange, id: string): void {
  change.add.delete(id);
  change.remove.add(id);
}

function idOf(value: unknown): string {
  if (typeof value !== 'string' || !UUID.test(value))
    throw invalidValue('A member is named by the id that it has here.');
  return value.toLowerCase();
}
