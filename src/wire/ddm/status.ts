import type { Json } from '#base';
import { WireError } from '../error.ts';
import { KINDS, type Kind } from './declaration.ts';
import { DECLARATIONS, type Keep, LISTS, VALUES } from './status-items.ts';

/** How a device stands to one declaration. */
export interface DeclarationState {
  readonly kind: Kind;
  readonly identifier: string;
  readonly token: string;
  readonly active: boolean;
  readonly valid: 'valid' | 'invalid' | 'unknown';
  /** Codes of Apple's status reasons; their texts are localised and can quote anything. */
  readonly reasons: readonly string[];
}

/** A status report reduced to what may be kept. */
export interface StatusReport {
  /** Replaces everything that was known before; otherwise it names changes only. */
  readonly full: boolean;
  /** By path; null for one that was reported and must not be kept: what was known before is not true any more. */
  readonly values: Readonly<Record<string, Json>>;
  readonly lists: Readonly<
    Record<string, { readonly set: Readonly<Record<string, Json>>; readonly removed: readonly string[] }>
  >;
  /** All declarations that the device holds; undefined if this report does not speak of them. */
  readonly declarations: readonly DeclarationState[] | undefined;
  readonly errors: readonly { readonly item: string; readonly codes: readonly string[] }[];
  /** Status items that were dropped because they are not on our list. */
  readonly dropped: number;
}

const MAX_ITEMS = 2_000;
const IDENTIFIER = /^[A-Za-z0-9][A-Za-z0-9._:{} -]{0,255}$/;
const CODE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/;
const DECLARED = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

type JsonObject = { readonly [key: string]: Json };
const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: Json | undefined): readonly Json[] =>
  Array.isArray(value) ? (value.slice(0, MAX_ITEMS) as Json[]) : [];

/**
 * Reads a status report (Apple's StatusReport). Items are found by their allow-listed paths; all others are counted and
 * dropped. Throws WireError `status` if it is no report at all.
 */
export function parseStatusReport(bytes: Uint8Array): StatusReport {
  const report = readJson(bytes);
  const items = report['StatusItems'];
  if (!isObject(items)) throw new WireError('status', 'The status report has no StatusItems.');
  const values: [string, Json][] = [];
  for (const [path, keep] of Object.entries(VALUES)) {
    const found = at(items, path);
    if (found !== undefined) values.push([path, kept(found, keep) ?? null]);
  }
  const lists = Object.entries(LISTS).flatMap(([path, keys]) => {
    const found = at(items, path);
    return Array.isArray(found) ? [[path, readList(listOf(found), keys)] as const] : [];
  });
  const declarations = at(items, DECLARATIONS);
  return {
    full: report['FullReport'] === true,
    values: Object.fromEntries(values),
    lists: Object.fromEntries(lists),
    declarations: isObject(declarations) ? readDeclarations(declarations) : undefined,
    errors: readErrors(report['Errors']),
    dropped:
      countLeaves(items, '') -
      values.filter(([, value]) => value !== null).length -
      lists.length -
      (isObject(declarations) ? 1 : 0),
  };
}

function readJson(bytes: Uint8Array): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch {
    throw new WireError('status', 'The status report is not JSON.');
  }
  if (!isObject(value)) throw new WireError('status', 'The status report is not an object.');
  return value;
}

/** The value below a dotted path; some clients send the whole path as one key. */
function at(items: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(items, path)) return items[path];
  let value: Json | undefined = items;
  for (const part of path.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** How many status items a report speaks of: known paths count once, anything else by its leaves. */
function countLeaves(items: JsonObject, above: string, depth = 0): number {
  let count = 0;
  for (const [name, value] of Object.entries(items)) {
    const path = above === '' ? name : `${above}.${name}`;
    const known = Object.hasOwn(VALUES, path) || Object.hasOwn(LISTS, path) || path === DECLARATIONS;
    // A member without a name makes no path longer, so depth is bounded apart.
    const end = known || !isObject(value) || path.length > 200 || depth > 30;
    count += end ? 1 : countLeaves(value, path, depth + 1);
  }
  return count;
}

function kept(value: Json, keep: Keep): Json | undefined {
  switch (keep.is) {
    case 'text':
      return typeof value === 'string' ? clean(value) : undefined;
    case 'flag':
      return typeof value === 'boolean' ? value : undefined;
    case 'number':
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
    case 'texts':
      return listOf(value).flatMap((one) => (typeof one === 'string' && CODE.test(one) ? [one] : []));
    case 'object': {
      if (!isObject(value)) return undefined;
      const members = Object.entries(keep.keys).flatMap(([name, inner]) => {
        const found = Object.hasOwn(value, name) ? kept(value[name]!, inner) : undefined;
        return found === undefined ? [] : [[name, found] as const];
      });
      return Object.fromEntries(members);
    }
  }
}

/** Short and printable; whatever looks like an address or a telephone number is not a status. */
function clean(value: string): string | undefined {
  if (value.length > 120 || !/^[\p{L}\p{N} .,:;()_+/-]*$/u.test(value)) return undefined;
  return /\+?\d[\d ()-]{8,}\d/.test(value) && !/^\d{4}-\d{2}-\d{2}T/.test(value) ? undefined : value;
}

function readList(items: readonly Json[], keys: Readonly<Record<string, Keep>>) {
  const set = new Map<string, Json>();
  const removed = new Set<string>();
  for (const item of items) {
    if (!isObject(item)) continue;
    const identifier = item['identifier'];
    if (typeof identifier !== 'string' || !IDENTIFIER.test(identifier)) continue;
    // The last word on an item counts.
    if (item['_removed'] === true) {
      set.delete(identifier);
      removed.add(identifier);
    } else {
      removed.delete(identifier);
      set.set(identifier, kept(item, { is: 'object', keys })!);
    }
  }
  return { set: Object.fromEntries(set), removed: [...removed].sort() };
}

function readDeclarations(found: JsonObject): DeclarationState[] {
  const states = new Map<string, DeclarationState>();
  for (const kind of KINDS) {
    for (const item of listOf(found[kind === 'management' ? kind : `${kind}s`])) {
      if (!isObject(item)) continue;
      const { identifier, active, valid } = item;
      const token = item['server-token'];
      if (typeof identifier !== 'string' || !DECLARED.test(identifier)) continue;
      states.set(`${kind}/${identifier}`, {
        ...{ kind, identifier, token: tokenOf(token), active: active === true },
        valid: valid === 'valid' || valid === 'invalid' ? valid : 'unknown',
        reasons: codesOf(item['reasons']),
      });
    }
  }
  return [...states.values()];
}

/** A ServerToken, ours or another server's; what no token is made of is none. */
const tokenOf = (token: Json | undefined): string =>
  typeof token === 'string' && /^[ -~]*$/.test(token) ? token.slice(0, 128) : '';

/** Reason codes; the protocol writes the key in small letters in status items and in capitals in errors. */
function codesOf(reasons: Json | undefined): string[] {
  const codes = listOf(reasons).flatMap((reason) => {
    const code = isObject(reason) ? (reason['code'] ?? reason['Code']) : undefined;
    return typeof code === 'string' && CODE.test(code) ? [code] : [];
  });
  return [...new Set(codes)].slice(0, 16);
}

function readErrors(errors: Json | undefined): { item: string; codes: string[] }[] {
  return listOf(errors)
    .slice(0, 100)
    .flatMap((error) => {
      const item = isObject(error) ? error['StatusItem'] : undefined;
      if (typeof item !== 'string' || !CODE.test(item)) return [];
      return [{ item, codes: codesOf((error as JsonObject)['Reasons']) }];
    });
}
