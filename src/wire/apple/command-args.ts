import type { Json } from '#base';
import { WireError } from '../error.ts';
import type { PlistInput } from '../plist/value.ts';

/** Reads one argument of a command; throws WireError `command` for anything else than it stands for. */
export type Arg = (value: Json, where: string) => PlistInput;
export type Args = Readonly<Record<string, Arg>>;

function no(where: string, what: string): never {
  throw new WireError('command', `${where} must be ${what}.`);
}

export const bool: Arg = (value, where) => (typeof value === 'boolean' ? value : no(where, 'yes or no'));

export const int =
  (min: number, max: number): Arg =>
  (value, where) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : no(where, `a whole number from ${min} to ${max}`);

export const oneOf =
  (...values: readonly string[]): Arg =>
  (value, where) =>
    typeof value === 'string' && values.includes(value) ? value : no(where, `one of ${values.join(', ')}`);

export const matching =
  (pattern: RegExp, what: string): Arg =>
  (value, where) =>
    typeof value === 'string' && pattern.test(value) ? value : no(where, what);

/** An identifier of an app, profile or service. */
export const identifier = matching(/^[A-Za-z0-9._-]{1,255}$/, 'an identifier of letters, digits, dots and hyphens');
export const timeZone = matching(/^[A-Za-z]+(?:\/[A-Za-z0-9_+-]+){0,2}$/, 'a time zone such as Europe/Brussels');

/**
 * Text that a device shows. It is kept in clear and seen by whoever finds the phone, so what looks like a telephone
 * number or a mail address is refused.
 */
export const message: Arg = (value, where) => {
  if (typeof value !== 'string' || value.length < 1 || value.length > 300) no(where, 'a text of 1 to 300 characters');
  if (/@|\d(?:[ ()./-]?\d){5}/.test(value)) no(where, 'a text without telephone numbers and mail addresses');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML has no place for them
  if (!value.isWellFormed() || /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(value)) {
    no(where, 'a text of ordinary characters');
  }
  return value;
};

export const list =
  (item: Arg, most: number): Arg =>
  (value, where) =>
    Array.isArray(value) && value.length >= 1 && value.length <= most
      ? value.map((one) => item(one, `${where}[]`))
      : no(where, `a list of 1 to ${most}`);

/** A dictionary with these members, each optional except those that are named. */
export const dict =
  (members: Args, needed: readonly string[] = []): Arg =>
  (value, where) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) no(where, 'a group of settings');
    return readArgs(value as Readonly<Record<string, Json>>, members, needed, `${where}.`);
  };

/** Reads named arguments: nothing unknown, nothing missing. Members keep the order of the table, so bytes are stable. */
export function readArgs(
  given: Readonly<Record<string, Json>>,
  members: Args,
  needed: readonly string[],
  prefix = '',
): Record<string, PlistInput> {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(members, key)) throw new WireError('command', `${prefix}${key.slice(0, 64)} is not offered.`);
  }
  const out: Record<string, PlistInput> = {};
  for (const [key, read] of Object.entries(members)) {
    const value = given[key];
    if (value !== undefined) out[key] = read(value, `${prefix}${key}`);
    else if (needed.includes(key)) throw new WireError('command', `${prefix}${key} is missing.`);
  }
  return out;
}
