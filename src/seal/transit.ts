import type { KeyObject } from 'node:crypto';
import type { PublicKeys } from './messages.ts';
import { base64url, integer, object, oneOf, text } from './shape.ts';
import { checkBody, signBody } from './signed.ts';

/** The ledger's word for the key that values are sealed to while they wait to be put under a lock. The founding one is number 1. */
export interface TransitNotice {
  readonly v: 1;
  readonly op: 'transit';
  readonly org: string;
  readonly number: number;
  /** Raw X25519, base64url. */
  readonly key: string;
  /** Ed25519 by the ledger over canonical JSON of everything above. */
  readonly signature: string;
}

const notice = object({
  ...{ v: oneOf(1), op: oneOf('transit'), org: text(63), number: integer(2, 1_000_000), key: base64url(32) },
  signature: base64url(64),
});

/** Signs which key is in force, with the ledger's key. */
export function signTransit(ledger: KeyObject, said: { org: string; number: number; key: string }): TransitNotice {
  const body = { v: 1, op: 'transit', ...said } as const;
  return { ...body, signature: signBody(ledger, body) };
}

/**
 * The keys with the transit key that a notice names, if the ledger signed it for this organisation; otherwise as they were.
 * `known`: the number in use (1: the founding key), which never goes back. Never throws.
 */
export function withTransitKey<K extends PublicKeys>(keys: K, given: unknown, known = 1): { keys: K; number: number } {
  try {
    const { signature, ...body } = notice(given);
    if (body.org !== keys.org || body.number <= known || !checkBody(keys.ledger, body, signature)) throw new Error();
    return { keys: { ...keys, outer: body.key }, number: body.number };
  } catch {
    return { keys, number: known };
  }
}
