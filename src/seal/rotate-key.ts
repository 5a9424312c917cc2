import { canonicalJson, type Json } from '#base';
import { admin, uuid } from './handles.ts';
import type { PublicKeys, RotateKey } from './messages.ts';
import { base64url, integer, object, oneOf, optional, type Shape, text } from './shape.ts';
import { checkBody } from './signed.ts';

/** A raw public key that values are sealed to: X25519 (32 bytes) or, from a token, P-256 (65). */
export const orgKeyText = base64url(32, 65);

/** Reads what two people sign so that a staged organisation key comes into force. Throws SealError `shape`. */
export const parseRotateKey: Shape<RotateKey> = object({
  v: oneOf(1),
  op: oneOf('rotate-key'),
  id: uuid,
  number: integer(2, 1_000_000),
  key: orgKeyText,
  previous: orgKeyText,
  third: optional(base64url(32)),
  requester: admin,
  purpose: text(200, { min: 5 }),
  notAfter: integer(0),
});

/** Which key is in force: what both guards sign, word for word the same. Writers believe nothing else. */
export interface OrgKeyStatement {
  readonly v: 1;
  readonly op: 'org-key';
  readonly org: string;
  readonly number: number;
  readonly key: string;
  readonly previous: string;
  /** The third lock, if one is in force. */
  readonly third?: string;
  /** The document that two people signed. */
  readonly approval: string;
}

/** The statement with the signatures of both guards (Ed25519, base64url). One guard alone can give writers no key. */
export interface OrgKeyNotice extends OrgKeyStatement {
  readonly sealer: string;
  readonly ledger: string;
}

export const orgKeyStatement = (org: string, document: RotateKey): OrgKeyStatement => ({
  ...{ v: 1, op: 'org-key', org, number: document.number, key: document.key, previous: document.previous },
  ...(document.third === undefined ? {} : { third: document.third }),
  approval: document.id,
});

const notice: Shape<OrgKeyNotice> = object({
  v: oneOf(1),
  op: oneOf('org-key'),
  org: text(100),
  number: integer(2, 1_000_000),
  key: orgKeyText,
  previous: orgKeyText,
  third: optional(base64url(32)),
  approval: uuid,
  sealer: base64url(64),
  ledger: base64url(64),
});

/** Joins the guards' two answers; undefined while they do not say the same. */
export function joinNotice(
  sealer: { readonly statement: OrgKeyStatement; readonly signature: string } | undefined,
  ledger: { readonly statement: OrgKeyStatement; readonly signature: string } | undefined,
): OrgKeyNotice | undefined {
  if (sealer === undefined || ledger === undefined) return undefined;
  const text = (statement: OrgKeyStatement) => canonicalJson(statement as unknown as Json);
  if (text(sealer.statement) !== text(ledger.statement)) return undefined;
  return { ...sealer.statement, sealer: sealer.signature, ledger: ledger.signature };
}

/**
 * The keys with the organisation's key that a notice names, if both guards signed it for this organisation; otherwise the
 * keys as they were. `known`: the number in use (1: the founding key), which never goes back. Never throws.
 */
export function withOrgKey<K extends PublicKeys>(keys: K, given: unknown, known = 1): { keys: K; number: number } {
  let read: OrgKeyNotice;
  try {
    read = notice(given);
  } catch {
    return { keys, number: known };
  }
  const { sealer, ledger, ...statement } = read;
  const valid =
    keys.sealer !== undefined &&
    statement.org === keys.org &&
    statement.number > known &&
    checkBody(keys.sealer, statement, sealer) &&
    checkBody(keys.ledger, statement, ledger);
  if (!valid) return { keys, number: known };
  const third = statement.third === undefined ? {} : { third: statement.third };
  return { keys: { ...keys, inner: statement.key, ...third }, number: statement.number };
}
