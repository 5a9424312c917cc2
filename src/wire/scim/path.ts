/** What a PATCH path or a member's name points at, in lower case. */
export interface ScimPath {
  /** True for the enterprise extension (RFC 7643 section 4.3). */
  readonly enterprise: boolean;
  /** Empty for the extension as a whole. */
  readonly attribute: string;
  /** `[type eq "work"]`: by which entries of a list are chosen. */
  readonly chosen: Readonly<Record<string, string>>;
  readonly sub: string;
}

const CORE = /^urn:ietf:params:scim:schemas:core:2\.0:(?:user|group)[:.]/i;
const ENTERPRISE = /^urn:ietf:params:scim:schemas:extension:enterprise:2\.0:user(?:[:.]|$)/i;
const PATH = /^([a-z$][\w$-]{0,63})?(?:\[([^\]]{1,512})\])?(?:\.([a-z$][\w$-]{0,63}))?$/i;
const TERM = /^\s*([a-z]{1,32})\s+eq\s+(?:"((?:[^"\\]|\\.)*)"|(true|false))\s*$/i;

/**
 * Reads `name.givenName`, `emails[type eq "work"].value`, `urn:…:User:department` (RFC 7644 section 3.5.2). Undefined for
 * what is no path: whoever asks decides whether that is ignored or refused.
 */
export function parsePath(text: string): ScimPath | undefined {
  if (text.length > 1024) return undefined;
  const enterprise = ENTERPRISE.test(text);
  const bare = text.replace(enterprise ? ENTERPRISE : CORE, '').trim();
  const found = PATH.exec(bare);
  if (found === null || (bare === '' && !enterprise)) return undefined;
  const [, attribute = '', filter, sub = ''] = found;
  const chosen: Record<string, string> = {};
  for (const term of filter?.split(/\s+and\s+/i) ?? []) {
    const read = TERM.exec(term);
    if (read === null) return undefined;
    chosen[read[1]!.toLowerCase()] = read[2] === undefined ? read[3]!.toLowerCase() : unquote(read[2]);
  }
  return { enterprise, attribute: attribute.toLowerCase(), chosen, sub: sub.toLowerCase() };
}

/** The inside of a quoted text of a filter: escapes as in JSON (RFC 7644 section 3.4.2.2). Empty if they are wrong. */
export function unquote(inside: string): string {
  try {
    return JSON.parse(`"${inside}"`) as string;
  } catch {
    return '';
  }
}
