import { type Attributes, ENTERPRISE_SCHEMA, GROUP_SCHEMA, LIST_SCHEMA, USER_SCHEMA } from '#wire';
import type { StoredGroup } from './groups.ts';
import type { Stored } from './users.ts';

/** What is handed back to whoever has just sent it, under its proper name. Nothing else of a person is ever in an answer. */
const ECHOED: ReadonlyMap<string, string> = new Map(
  ['userName', 'externalId', 'name', 'displayName', 'emails', 'phoneNumbers', ENTERPRISE_SCHEMA].map((name) => [
    name.toLowerCase(),
    name,
  ]),
);

export const etag = (version: number): string => `W/"${version}"`;

const meta = (base: string, resourceType: 'User' | 'Group', one: Stored | StoredGroup) => ({
  resourceType,
  created: one.created_at.toISOString(),
  lastModified: one.changed_at.toISOString(),
  location: `${base}/${resourceType}s/${one.id}`,
  version: etag(one.version),
});

/** A person as the world outside may see them: id, active, meta, and what the caller sent in this request. */
export function userAnswer(base: string, stored: Stored, sent: Attributes = new Map()): object {
  const echo: Record<string, unknown> = {};
  for (const [name, value] of sent) {
    const proper = ECHOED.get(name);
    if (proper !== undefined && value !== null) echo[proper] = value;
  }
  const schemas = ENTERPRISE_SCHEMA in echo ? [USER_SCHEMA, ENTERPRISE_SCHEMA] : [USER_SCHEMA];
  return { schemas, id: stored.id, ...echo, active: stored.active, meta: meta(base, 'User', stored) };
}

export function groupAnswer(base: string, stored: StoredGroup, sent: Attributes = new Map()): object {
  const [name, external, members] = [sent.get('displayname'), sent.get('externalid'), sent.get('members')];
  return {
    ...{ schemas: [GROUP_SCHEMA], id: stored.id },
    ...(typeof name === 'string' ? { displayName: name } : {}),
    ...(typeof external === 'string' ? { externalId: external } : {}),
    ...(Array.isArray(members) ? { members } : {}),
    meta: meta(base, 'Group', stored),
  };
}

/** RFC 7644 section 3.4.2: at most one is ever found, and it may be asked not to be shown (`count=0`). */
export function listAnswer(
  found: object | undefined,
  page: { readonly startIndex: number; readonly count: number },
): object {
  const shown = found !== undefined && page.startIndex <= 1 && page.count >= 1 ? [found] : [];
  return {
    schemas: [LIST_SCHEMA],
    totalResults: found === undefined ? 0 : 1,
    itemsPerPage: shown.length,
    startIndex: page.startIndex,
    Resources: shown,
  };
}
