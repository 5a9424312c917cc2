import { ScimRefusal } from './error.ts';
import { textOf } from './json.ts';
import { unquote } from './path.ts';

/** The one kind of question that is answered: who or what has exactly this key. */
export interface ScimFilter {
  readonly by: 'userName' | 'externalId' | 'displayName' | 'id';
  readonly value: string;
}

const NAMES = { username: 'userName', externalid: 'externalId', displayname: 'displayName', id: 'id' } as const;
const FILTER =
  /^\s*(?:urn:ietf:params:scim:schemas:core:2\.0:(?:user|group):)?([a-z]{2,32})\s+eq\s+"((?:[^"\\]|\\.)*)"\s*$/i;

/** Reads `userName eq "…"` and its like (RFC 7644 section 3.4.2.2). Throws ScimRefusal `invalidFilter` for every other filter. */
export function parseScimFilter(text: string, allowed: readonly ScimFilter['by'][]): ScimFilter {
  const refuse = () =>
    new ScimRefusal(400, 'invalidFilter', `Only exact keys can be asked for: ${allowed.join(', ')} with eq.`);
  const found = text.length > 4096 ? null : FILTER.exec(text);
  const name = found?.[1]?.toLowerCase();
  if (found === null || name === undefined || !Object.hasOwn(NAMES, name)) throw refuse();
  const by = NAMES[name as keyof typeof NAMES];
  const value = textOf(unquote(found[2]!));
  if (!allowed.includes(by) || value === null) throw refuse();
  return { by, value };
}
