import { canonicalJson, type Json, sha256, toBase64url } from '#base';
import { ACCOUNTS } from './accounts.ts';
import { type KeyTable, readKeys } from './keys.ts';
import { OTHERS } from './others.ts';
import { SETTINGS } from './settings.ts';

/** The four kinds, as the protocol's paths spell them (`declaration/<kind>/<identifier>`). */
export const KINDS = ['activation', 'asset', 'configuration', 'management'] as const;
export type Kind = (typeof KINDS)[number];

export interface Declaration {
  readonly type: string;
  readonly identifier: string;
  readonly payload: { readonly [key: string]: Json };
}

/** What we know of a declaration's type. */
export interface Known {
  readonly keys: KeyTable;
  /** First iOS and iPadOS with it; undefined if it is for Macs only. */
  readonly since: string | undefined;
}

const TABLES = { ...SETTINGS, ...ACCOUNTS, ...OTHERS };
const read = new Map<string, Known>();

/** All types that we can check, sorted. */
export const TYPES: readonly string[] = Object.keys(TABLES).sort();

/** The keys of a declaration type, or undefined if we do not know it. */
export function knownType(type: string): Known | undefined {
  const table = Object.hasOwn(TABLES, type) ? TABLES[type] : undefined;
  if (table === undefined) return undefined;
  let known = read.get(type);
  if (known === undefined) {
    known = { keys: readKeys(table[1]), since: table[0] === 'mac' ? undefined : table[0] };
    read.set(type, known);
  }
  return known;
}

/** The kind that a type belongs to by its name, or undefined. */
export function kindOf(type: string): Kind | undefined {
  const [, kind] = /^com\.apple\.(activation|asset|configuration|management)\.[a-z0-9.-]+$/.exec(type) ?? [];
  return kind as Kind | undefined;
}

/**
 * ServerToken: SHA-256 of the canonical content, base64url. The same content always has the same token, whoever writes it
 * and in whatever order; any change gives another.
 */
export function serverToken({ type, identifier, payload }: Declaration): string {
  return toBase64url(sha256('bartizan declaration v1\n', canonicalJson({ type, identifier, payload })));
}

/** The exact bytes that a device receives for a declaration. */
export function declarationBody(declaration: Declaration): Buffer {
  const { type, identifier, payload } = declaration;
  return Buffer.from(
    canonicalJson({ Type: type, Identifier: identifier, ServerToken: serverToken(declaration), Payload: payload }),
  );
}

/** One line of a device's list. */
export interface Item {
  readonly kind: Kind;
  readonly identifier: string;
  readonly token: string;
}

/** DeclarationsToken: SHA-256 over the list in the order of the identifiers, base64url. The order given does not matter. */
export function declarationsToken(items: readonly Item[]): string {
  const lines = items.map(({ kind, identifier, token }) => `${kind}/${identifier}=${token}\n`).sort();
  return toBase64url(sha256('bartizan declarations v1\n', ...lines));
}
