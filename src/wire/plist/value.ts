/** A property list value. Dictionaries are Maps, so that no key can be mistaken for an object's own machinery. */
export type Plist = string | number | bigint | boolean | Date | Uint8Array | readonly Plist[] | PlistDict;
export type PlistDict = ReadonlyMap<string, Plist>;

/** Plain objects, for writing: `{a: 1}` and Maps are both dictionaries; members that are undefined are left out. */
export type PlistInput =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | readonly PlistInput[]
  | ReadonlyMap<string, PlistInput>
  | { readonly [key: string]: PlistInput | undefined };

export function isDict(value: Plist | undefined): value is PlistDict {
  return value instanceof Map;
}

/** The string under `key`, or undefined if it is missing or something else. */
export function textAt(dict: PlistDict, key: string): string | undefined {
  const value = dict.get(key);
  return typeof value === 'string' ? value : undefined;
}
