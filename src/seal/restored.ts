import type { KeyObject } from 'node:crypto';
import { admin, handle } from './handles.ts';
import { ROLES } from './messages.ts';
import { base64url, integer, list, object, oneOf, optional, type Shape, text } from './shape.ts';
import { checkBody, signBody } from './signed.ts';

/** What a restore does to a guard, signed with the recovery key by whoever brought three cards. It enters the log. */
export interface Restored {
  readonly v: 1;
  readonly op: 'restored';
  readonly org: string;
  /** When, milliseconds: what was signed before counts no more. */
  readonly at: number;
  /** Leaves of the log that came back. */
  readonly size: number;
  /** The newest checkpoint that was published, if it has more: the log is cut here and goes on under a new name. */
  readonly cut?: { readonly size: number; readonly root: string };
  /** New founders, where passkeys were lost; their links join as at the founding. */
  readonly founders: readonly {
    readonly admin: string;
    readonly role: (typeof ROLES)[number];
    readonly tokenSha256: string;
  }[];
  /** In a drill, on a copy that is thrown away: the one decoy that may be read. */
  readonly decoy?: string;
  /** Ed25519 by the recovery key over canonical JSON of everything above. */
  readonly signature: string;
}

const restored = object({
  v: oneOf(1),
  op: oneOf('restored'),
  org: text(63, { min: 1 }),
  at: integer(0),
  size: integer(0),
  cut: optional(object({ size: integer(0), root: text(64) })),
  founders: list(object({ admin, role: oneOf(...ROLES), tokenSha256: base64url(32) }), 10),
  decoy: optional(handle),
  signature: base64url(64),
});

/** Reads what a restore tells a guard. Throws SealError `shape`. */
export const parseRestored: Shape<Restored> = (value, where) => restored(value, where);

export function signRestored(key: KeyObject, body: Omit<Restored, 'signature'>): Restored {
  return { ...body, signature: signBody(key, body) };
}

/** True if the recovery key whose Ed25519 SPKI (base64url DER) is given signed this. */
export function verifyRestored(spki: string, { signature, ...body }: Restored): boolean {
  return checkBody(spki, body, signature);
}
