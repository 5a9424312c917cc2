import type { KeyObject } from 'node:crypto';
import { canonicalJson, sha256, toBase64url } from '#base';
import { importMembers } from './documents.ts';
import type { ImportPermit, PublicKeys } from './messages.ts';
import { base64url, integer, object, type Shape } from './shape.ts';
import { checkBody, signBody } from './signed.ts';

/** Reads the ledger's permit for it. Throws SealError `shape`. */
export const parseImportPermit: Shape<ImportPermit> = object({
  ...importMembers,
  leaf: integer(0),
  signature: base64url(64),
});

/** What a browser sealed to: SHA-256 of the canonical keys, base64url. The ledger gives no permit over any other. */
export const keysDigest = ({
  org,
  inner,
  outer,
  third,
}: Pick<PublicKeys, 'org' | 'inner' | 'outer' | 'third'>): string =>
  toBase64url(sha256(canonicalJson({ org, inner, outer, ...(third === undefined ? {} : { third }) })));

/** Signs a permit with the ledger's Ed25519 key. */
export function signImportPermit(privateKey: KeyObject, body: Omit<ImportPermit, 'signature'>): ImportPermit {
  return { ...body, signature: signBody(privateKey, body) };
}

/** True if the ledger signed this permit. The caller compares import, stage, digest and count, and `notAfter` with its clock. */
export function verifyImportPermit(ledgerSpki: string, permit: ImportPermit): boolean {
  const { signature, ...body } = permit;
  return checkBody(ledgerSpki, body, signature);
}
