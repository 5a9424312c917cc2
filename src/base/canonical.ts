/** A value that JSON can carry without loss. Numbers must be finite; undefined members are not allowed. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * Canonical JSON after RFC 8785 (JCS): members sorted by UTF-16 code units, no white space, ECMAScript number form.
 * Throws TypeError for anything JSON cannot carry (undefined, NaN, bigint, lone surrogates), so that two parties
 * who sign or hash a value never disagree about its bytes.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('canonical JSON takes finite numbers only');
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('canonical JSON takes well-formed strings only');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`canonical JSON cannot carry a ${typeof value}`);
  const object = value as { readonly [key: string]: Json };
  const members = Object.keys(object)
    .sort()
    .map((key) => {
      if (!key.isWellFormed()) throw new TypeError('canonical JSON takes well-formed strings only');
      return `${JSON.stringify(key)}:${canonicalJson(object[key] as Json)}`;
    });
  return `{${members.join(',')}}`;
}
