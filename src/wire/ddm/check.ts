import type { Json } from '#base';
import { compareVersions } from '../version.ts';
import { type Declaration, kindOf, knownType } from './declaration.ts';
import type { Key, KeyTable, KeyType } from './keys.ts';

/** One thing that is wrong. `path` names the key as written, dots between levels; `rule` says what should be there. */
export interface Problem {
  readonly path: string;
  readonly rule: string;
}

export interface Checked {
  readonly problems: readonly Problem[];
  /** Only the administrator's word stands for it: unknown type, or unknown keys. */
  readonly unchecked: boolean;
  /** Lowest iOS and iPadOS that understands all of it; undefined if it is not for them, or not known. */
  readonly since: string | undefined;
}

export const MAX_PAYLOAD_BYTES = 256 * 1024;
const IDENTIFIER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const DATE_TIME = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/;
/** A day that the calendar has: the parser of dates moves 30 February into March instead of refusing it. */
const isMoment = (text: string): boolean =>
  DATE_TIME.test(text) &&
  Number.isFinite(Date.parse(`${text}Z`)) &&
  new Date(`${text}Z`).toISOString().startsWith(text.slice(0, 10));

/**
 * Checks a declaration against its key table. With `unchecked` unknown types and keys pass, known ones are still held to
 * their types; the answer says whether that was needed. Never throws.
 */
export function checkDeclaration(declaration: Declaration, options: { readonly unchecked?: boolean } = {}): Checked {
  const { type, identifier, payload } = declaration;
  const lax = options.unchecked === true;
  const state: State = { lax, problems: [], unchecked: false, since: '15.0' };
  if (!IDENTIFIER.test(identifier)) {
    add(
      state,
      'Identifier',
      'has 1 to 128 letters, digits, dots, hyphens and underscores, and begins with a letter or digit',
    );
  }
  if (kindOf(type) === undefined)
    add(state, 'Type', 'is com.apple.activation, asset, configuration or management, and a name');
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    add(state, 'Payload', 'is an object');
    return done(state, false);
  }
  if (JSON.stringify(payload).length > MAX_PAYLOAD_BYTES) add(state, 'Payload', 'has at most 256 KiB');
  const known = knownType(type);
  if (known === undefined) {
    state.unchecked = true;
    if (!lax) add(state, 'Type', 'is one that can be checked; mark the declaration unchecked to send it all the same');
    return done(state, false);
  }
  if (known.since !== undefined) raise(state, known.since);
  dict(state, '', payload, known.keys);
  special(state, declaration);
  return done(state, known.since !== undefined);
}

interface State {
  readonly lax: boolean;
  readonly problems: Problem[];
  unchecked: boolean;
  since: string;
}

const done = (state: State, forPhones: boolean): Checked => ({
  problems: state.problems,
  unchecked: state.unchecked,
  since: forPhones ? state.since : undefined,
});

function add(state: State, path: string, rule: string): void {
  if (state.problems.length < 50) state.problems.push({ path, rule });
}

function raise(state: State, version: string): void {
  if (compareVersions(version, state.since) > 0) state.since = version;
}

function dict(state: State, at: string, value: { readonly [key: string]: Json }, table: KeyTable): void {
  const rest = table.get('*');
  for (const [name, inner] of Object.entries(value)) {
    const path = at === '' ? name : `${at}.${name}`;
    const key = name === '*' ? undefined : (table.get(name) ?? rest);
    if (key === undefined) {
      state.unchecked = true;
      if (!state.lax) add(state, path, 'is not a key of this declaration; mark it unchecked to send it all the same');
    } else one(state, path, inner, key);
  }
  for (const [name, key] of table) {
    if (key.required && name !== '*' && !Object.hasOwn(value, name))
      add(state, at === '' ? name : `${at}.${name}`, 'is missing');
  }
}

function one(state: State, path: string, value: Json, key: Key): void {
  if (key.mac) add(state, path, 'is for Macs only');
  else if (key.since !== undefined) raise(state, key.since);
  typed(state, path, value, key.type);
}

function typed(state: State, path: string, value: Json, type: KeyType): void {
  const rule = ruleFor(value, type);
  if (rule !== undefined) {
    add(state, path, rule);
    return;
  }
  if (type.is === 'list') {
    for (const [index, item] of (value as readonly Json[]).entries()) typed(state, `${path}.${index}`, item, type.item);
  } else if (type.is === 'dict') dict(state, path, value as { readonly [key: string]: Json }, type.keys);
}

function ruleFor(value: Json, type: KeyType): string | undefined {
  switch (type.is) {
    case 'any':
      return undefined;
    case 'bool':
      return typeof value === 'boolean' ? undefined : 'is true or false';
    case 'str':
      return typeof value === 'string' && value.length <= 4096 ? undefined : 'is a text of at most 4096 characters';
    case 'url':
      return typeof value === 'string' && isUrl(value) ? undefined : 'is a URL that begins with https://';
    case 'data':
      return typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value) ? undefined : 'is base64';
    case 'asset':
      return typeof value === 'string' && IDENTIFIER.test(value)
        ? undefined
        : `is the identifier of a declaration of type ${type.of.join(' or ')}`;
    case 'one':
      return typeof value === 'string' && type.of.includes(value) ? undefined : `is one of ${type.of.join(', ')}`;
    case 'int':
    case 'real': {
      const number = type.is === 'int' ? Number.isSafeInteger(value) : typeof value === 'number';
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = type;
      if (number && (value as number) >= min && (value as number) <= max) return undefined;
      const what = type.is === 'int' ? 'is a whole number' : 'is a number';
      if (type.min === undefined) return what;
      return type.max === undefined ? `${what} of at least ${type.min}` : `${what} from ${type.min} to ${type.max}`;
    }
    case 'list':
      return Array.isArray(value) ? undefined : 'is a list';
    case 'dict':
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? undefined : 'is an object';
  }
}

function isUrl(text: string): boolean {
  if (text.length > 2048 || !URL.canParse(text)) return false;
  const url = new URL(text);
  // Loopback over http is for tests and demonstrations; a device would have to be on this machine to reach it.
  return (
    url.protocol === 'https:' ||
    (url.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname))
  );
}

/** An address of our own store: its last part is a hash of what stands behind it, so that nobody can change it later. */
const isStored = (url: Json | undefined): boolean =>
  typeof url === 'string' && /^https?:\/\/[^/?#]+\/data\/[A-Za-z0-9_-]{43}$/.test(url);
const SHA256 = /^([0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)$/;

/** What a device fetches by itself must stay what was looked at: whoever owns the host could change it after. */
function fixed(state: State, { type, payload }: Declaration): void {
  if (/^com\.apple\.configuration\.legacy(\.interactive)?$/.test(type) && !isStored(payload['ProfileURL']))
    add(state, 'ProfileURL', 'is an address of our own store, /data/…: store the profile here first');
  const reference = payload['Reference'];
  if (!type.startsWith('com.apple.asset.') || typeof reference !== 'object' || reference === null) return;
  const { DataURL: url, 'Hash-SHA-256': hash } = reference as { readonly [key: string]: Json };
  if (hash !== undefined && !(typeof hash === 'string' && SHA256.test(hash)))
    add(state, 'Reference.Hash-SHA-256', 'is a SHA-256 in hexadecimal or base64');
  else if (url !== undefined && hash === undefined && !isStored(url))
    add(state, 'Reference.Hash-SHA-256', 'is needed for an address that is not of our own store, /data/…');
}

/** Rules between keys, which the tables cannot say. */
function special(state: State, declaration: Declaration): void {
  const { type, payload } = declaration;
  fixed(state, declaration);
  const present = (names: readonly string[]) => names.filter((name) => Object.hasOwn(payload, name)).length;
  switch (type) {
    case 'com.apple.configuration.app.managed':
      if (present(['AppStoreID', 'BundleID', 'ManifestURL']) !== 1) {
        add(state, 'AppStoreID', 'stands alone: exactly one of AppStoreID, BundleID and ManifestURL');
      }
      break;
    case 'com.apple.configuration.softwareupdate.enforcement.specific': {
      const { TargetLocalDateTime: time, TargetOSVersion: version, TargetBuildVersion: build } = payload;
      if (typeof time === 'string' && !isMoment(time)) {
        add(state, 'TargetLocalDateTime', 'is a date and time as 2026-12-01T18:00:00, without zone');
      }
      if (typeof version === 'string' && !/^\d{1,3}(\.\d{1,3}){1,2}$/.test(version)) {
        add(state, 'TargetOSVersion', 'is a version such as 26.1 or 26.1.1');
      }
      if (typeof build === 'string' && !/^\d{1,3}[A-Z]\d{1,5}[a-z]?$/.test(build)) {
        add(state, 'TargetBuildVersion', 'is a build such as 23B85');
      }
      break;
    }
    case 'com.apple.activation.simple':
      if (Array.isArray(payload['StandardConfigurations']) && payload['StandardConfigurations'].length > 1000) {
        add(state, 'StandardConfigurations', 'names at most 1000 configurations');
      }
      break;
    default:
  }
}

/** Identifiers of other declarations that this one needs: assets, and what an activation switches on. */
export function referencesOf({ type, payload }: Declaration): readonly string[] {
  const found = new Set<string>();
  const walk = (value: Json, key: KeyType): void => {
    if (key.is === 'asset' && typeof value === 'string') found.add(value);
    else if (key.is === 'list' && Array.isArray(value)) for (const item of value) walk(item, key.item);
    else if (key.is === 'dict' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value as { readonly [key: string]: Json })) {
        const known = key.keys.get(name) ?? key.keys.get('*');
        if (known !== undefined) walk(inner, known.type);
      }
    }
  };
  const known = knownType(type);
  if (known !== undefined) walk(payload, { is: 'dict', keys: known.keys });
  const switched = type === 'com.apple.activation.simple' ? payload['StandardConfigurations'] : undefined;
  if (Array.isArray(switched)) for (const one of switched) if (typeof one === 'string') found.add(one);
  return [...found].sort();
}
