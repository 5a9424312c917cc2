import type { PublicKeys } from '../../../../src/seal/messages.ts';
import { fromBase64url, toBase64url, utf8 } from '../../shared/bytes.ts';
import { canonicalJson } from '../../shared/canonical.ts';

const PLACE = 'bartizan.ledger';

/** The ledger that this browser has met first: whoever answers with another key later is not believed. */
export function pinned(): string | undefined {
  return localStorage.getItem(PLACE) ?? undefined;
}

/** Remembers the ledger's key, unless one is remembered already. */
export function pin(keys: PublicKeys): void {
  if (pinned() === undefined) localStorage.setItem(PLACE, keys.ledger);
}

/** What one compares by eye: the first 128 bits of SHA-256 of the ledger's key, as `bartizan people keys` prints them. */
export async function fingerprint(ledger: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', fromBase64url(ledger)));
  const hex = [...hash.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.match(/.{4}/g)!.join(' ');
}

/** `keysDigest` of the keys that this page seals to. */
export async function keysDigest({ org, inner, outer, third }: PublicKeys): Promise<string> {
  return toBase64url(
    await crypto.subtle.digest(
      'SHA-256',
      utf8(canonicalJson({ org, inner, outer, ...(third === undefined ? {} : { third }) })),
    ),
  );
}
