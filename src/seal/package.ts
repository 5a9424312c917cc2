import type { KeyObject } from 'node:crypto';
import { fromBase64url, sha256, toBase64url } from '#base';
import { checkBody, signBody } from './signed.ts';

/** What core says of an app package after it has read it whole. */
export interface PackageStatement {
  /** UUID. */
  readonly id: string;
  /** Bundle identifier and version, as the archive itself says. */
  readonly identifier: string;
  readonly version: string;
  readonly build: string;
  /** Bytes of the archive. */
  readonly size: number;
  /** SHA-256 of each part of 1 MiB, in order, one after the other. */
  readonly partHashes: Uint8Array;
}

const body = ({ partHashes, ...facts }: PackageStatement) => ({
  ...{ v: 1, op: 'package' },
  ...facts,
  parts: toBase64url(sha256(partHashes)),
});

/** Signs with core's Ed25519 key. Returns the 64-byte signature. */
export const signPackage = (privateKey: KeyObject, statement: PackageStatement): Buffer =>
  Buffer.from(fromBase64url(signBody(privateKey, body(statement))));

/** True if core, whose Ed25519 SPKI (base64url DER) is given, signed exactly this statement. */
export const verifyPackage = (coreSpki: string, statement: PackageStatement, signature: Uint8Array): boolean =>
  checkBody(coreSpki, body(statement), toBase64url(signature));
