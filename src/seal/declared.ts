import type { KeyObject } from 'node:crypto';
import { canonicalJson, type Json, sha256, toBase64url } from '#base';
import { checkBody, signBody } from './signed.ts';

/** What core signs about declarative management. Each statement stands alone; together they say what a device is given. */
export type DeclaredStatement =
  /** These bytes are the declaration with this identifier; `body` is base64url SHA-256. */
  | { readonly op: 'declaration'; readonly identifier: string; readonly token: string; readonly body: string }
  /** This list of devices' declarations is what it is since then (Unix seconds); `items` is base64url SHA-256. */
  | {
      readonly op: 'declared-list';
      readonly list: number;
      readonly token: string;
      readonly at: number;
      readonly items: string;
    }
  /** This device has this list. */
  | { readonly op: 'declared-device'; readonly device: string; readonly list: number };

/** base64url SHA-256 of the list's canonical JSON. */
export const itemsDigest = (items: Json): string => toBase64url(sha256(canonicalJson(items)));

/**
 * The address of data that declarations point to: base64url SHA-256 over a salt of 32 bytes, the content type and the
 * content. Nobody guesses it without the salt, and nothing else can stand behind an address that two people agreed to.
 */
export const dataAddress = (data: {
  readonly salt: Uint8Array;
  readonly type: string;
  readonly content: Uint8Array;
}): string => toBase64url(sha256('bartizan data v1\n', data.salt, data.type, '\n', data.content));

/** Signs a statement with core's Ed25519 key. Returns the 64-byte signature as base64url. */
export function signDeclared(privateKey: KeyObject, statement: DeclaredStatement): string {
  return signBody(privateKey, { v: 1, ...statement });
}

/** True if core, whose Ed25519 SPKI (base64url DER) is given, signed exactly this statement. */
export function verifyDeclared(coreSpki: string, statement: DeclaredStatement, signature: Uint8Array): boolean {
  return checkBody(coreSpki, { v: 1, ...statement }, toBase64url(signature));
}
