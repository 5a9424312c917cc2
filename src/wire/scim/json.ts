import { invalidValue, ScimRefusal } from './error.ts';

/** Deeper than any request of the standard (resource, list, entry, sub-attribute). */
const MOST_DEPTH = 12;
const MOST_MEMBERS = 200;
/** Longest text that any attribute may have, UTF-16 units. */
const MOST_TEXT = 1024;

/** The members of a JSON object by their names in lower case: names of attributes have no case (RFC 7643 section 2.1). */
export type Attributes = ReadonlyMap<string, unknown>;

const syntax = (message: string) => new ScimRefusal(400, 'invalidSyntax', message);

/** Reads a body: UTF-8 (RFC 7644 section 3.1), flat enough, one object. Throws ScimRefusal `invalidSyntax`. */
export function readScimJson(bytes: Uint8Array): Attributes {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw syntax('The body is not UTF-8.');
  }
  if (tooDeep(text)) throw syntax('The body is nested too deeply.');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw syntax('The body is not JSON.');
  }
  return attributes(value);
}

/** Counted before anything is parsed, so that no walk over the value goes deeper. */
function tooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (quoted) {
      if (char === 0x5c) at += 1;
      else if (char === 0x22) quoted = false;
    } else if (char === 0x22) quoted = true;
    else if (char === 0x7b || char === 0x5b) {
      depth += 1;
      if (depth > MOST_DEPTH) return true;
    } else if (char === 0x7d || char === 0x5d) depth -= 1;
  }
  return false;
}

/** An object's members; of two names that differ in case only the later counts. Throws ScimRefusal `invalidSyntax`. */
export function attributes(value: unknown): Attributes {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw syntax('An object is expected here.');
  const members = Object.entries(value);
  if (members.length > MOST_MEMBERS) throw syntax('An object has too many members.');
  return new Map(members.map(([name, one]) => [name.toLowerCase(), one]));
}

/**
 * A text; what is wrapped as `{"value": …}` or as a list of one is taken out, for some providers wrap every value
 * (`manager`, `department`). Empty text is no value: null. Throws ScimRefusal `invalidValue`.
 */
export function textOf(value: unknown): string | null {
  const bare = unwrap(value);
  if (bare === null || bare === undefined) return null;
  if (typeof bare !== 'string') throw invalidValue('A text is expected where something else was sent.');
  const text = bare.normalize('NFC').trim();
  if (text.length > MOST_TEXT) throw invalidValue('A text is too long.');
  if (!text.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)) {
    throw invalidValue('A text has control characters or is no Unicode text.');
  }
  return text === '' ? null : text;
}

/** A boolean; Entra sends `"True"` and `"False"`. Throws ScimRefusal `invalidValue`. */
export function booleanOf(value: unknown): boolean {
  const bare = unwrap(value);
  if (typeof bare === 'boolean') return bare;
  const word = typeof bare === 'string' ? bare.trim().toLowerCase() : '';
  if (word === 'true') return true;
  if (word === 'false') return false;
  throw invalidValue('`active` is true or false.');
}

function unwrap(value: unknown): unknown {
  const one = Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value;
  if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
  return attributes(one).get('value');
}
