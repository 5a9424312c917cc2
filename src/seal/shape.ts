import { fromBase64url } from '#base';
import { SealError } from './errors.ts';

/** Reads an unknown value as T or throws SealError `shape`. The message names the member, never its value. */
export type Shape<T> = (value: unknown, where?: string) => T;

function no(where: string): never {
  throw new SealError('shape', `A message has the wrong shape at ${where === '' ? 'its top' : where}.`);
}

type Members = { readonly [key: string]: Shape<unknown> };
type Read<M extends Members> = { readonly [K in keyof M]: ReturnType<M[K]> };
/** `T` with the members that may be undefined made optional. */
type Loose<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** An object with exactly these members; one read by `optional` may be absent. */
export function object<M extends Members>(members: M): Shape<Loose<Read<M>>> {
  const names = Object.keys(members);
  return (value, where = '') => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) no(where);
    const given = value as Record<string, unknown>;
    const result: Record<string, unknown> = {};
    for (const name of Object.keys(given)) if (!Object.hasOwn(members, name)) no(`${where}.?`);
    for (const name of names) {
      const own = Object.hasOwn(given, name) ? given[name] : undefined;
      const read = members[name]!(own, `${where}.${name}`);
      if (read !== undefined) result[name] = read;
    }
    return result as Loose<Read<M>>;
  };
}

/** A member that may be absent. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, where) => (value === undefined ? undefined : shape(value, where));
}

/** An array of at most `max` items. */
export function list<T>(shape: Shape<T>, max: number, min = 0): Shape<readonly T[]> {
  return (value, where = '') => {
    if (!Array.isArray(value) || value.length > max || value.length < min) no(where);
    return value.map((item) => shape(item, `${where}[]`));
  };
}

/** Well-formed text of `min` to `max` UTF-16 units, matching `pattern` if given. */
export function text(max: number, options: { readonly min?: number; readonly pattern?: RegExp } = {}): Shape<string> {
  return (value, where = '') => {
    if (typeof value !== 'string' || value.length > max || value.length < (options.min ?? 0)) no(where);
    if (!value.isWellFormed() || (options.pattern !== undefined && !options.pattern.test(value))) no(where);
    return value;
  };
}

/** A safe integer within bounds. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, where = '') => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) no(where);
    return value;
  };
}

/** Exactly one of these strings or numbers. */
export function oneOf<const T extends string | number>(...values: readonly T[]): Shape<T> {
  return (value, where = '') => values.find((one) => one === value) ?? no(where);
}

/** Canonical unpadded base64url of exactly `bytes` bytes, or of `min` to `max`. Stays text. */
export function base64url(min: number, max: number = min): Shape<string> {
  return (value, where = '') => {
    if (typeof value !== 'string' || value.length > Math.ceil((max * 4) / 3)) no(where);
    let length: number;
    try {
      length = fromBase64url(value).length;
    } catch {
      return no(where);
    }
    if (length < min || length > max) no(where);
    return value;
  };
}
