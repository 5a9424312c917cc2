import type { ImportPeople, ImportPermit } from '../../../../src/seal/messages.ts';
import { fromBase64url, utf8 } from '../../shared/bytes.ts';
import { canonicalJson, type Json } from '../../shared/canonical.ts';

const PEOPLE_A_PART = 150;

export const hashOf = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/** True if the ledger signed this permit over exactly this document, its keys among it. */
export async function permitHolds(ledger: string, permit: ImportPermit, document: ImportPeople): Promise<boolean> {
  const { signature, ...body } = permit;
  const { leaf: _, ...said } = body;
  if (canonicalJson(said as unknown as Json) !== canonicalJson(document as unknown as Json)) return false;
  const key = await crypto.subtle.importKey('spki', fromBase64url(ledger), { name: 'Ed25519' }, false, ['verify']);
  return crypto.subtle.verify(
    { name: 'Ed25519' },
    key,
    fromBase64url(signature),
    utf8(canonicalJson(body as unknown as Json)),
  );
}

/** Sealed lines in parts, with the hash that is touched for. */
export interface Parts {
  readonly texts: readonly string[];
  readonly hashes: readonly Uint8Array<ArrayBuffer>[];
}

export async function inParts(lines: readonly string[]): Promise<Parts> {
  const texts: string[] = [];
  for (let at = 0; at < lines.length; at += PEOPLE_A_PART) texts.push(lines.slice(at, at + PEOPLE_A_PART).join('\n'));
  return { texts, hashes: await Promise.all(texts.map((text) => hashOf(utf8(text)))) };
}
