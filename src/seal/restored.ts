import type { KeyObject } from 'node:crypto';
import { base64url, integer, object, oneOf, type Shape, text } from './shape.ts';
import { checkBody, signBody } from './signed.ts';

/**
 * What a restore does to a guard, signed with the recovery key by whoever brought three cards. At the ledger it enters the log,
 * which goes on under a new name: more than came back may have been published under the old one.
 */
export interface Restored {
  readonly v: 1;
  readonly op: 'restored';
  readonly org: string;
  /** When, milliseconds: what was signed before counts no more. */
  readonly at: number;
  /** Leaves that the log is known to have had; as many as came back where nobody knows better. */
  readonly known: number;
  /** Ed25519 by the recovery key over canonical JSON of everything above. */
  readonly signature: string;
}

const restored = object({
  v: oneOf(1),
  op: oneOf('restored'),
  org: text(63, { min: 1 }),
  at: integer(0),
  known: integer(0),
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

/** A rehearsal of a restore on a clean machine, signed with the recovery key: the installation writes it into its log. */
export interface RestoreDrill {
  readonly v: 1;
  readonly op: 'restore-drill';
  readonly org: string;
  /** When it ended, milliseconds, and how long it took from the cards to an opened decoy. */
  readonly at: number;
  readonly seconds: number;
  /** When each set was made, milliseconds. */
  readonly sets: { readonly database: number; readonly ledger: number; readonly sealer: number };
  /** Leaves of the log that came back. */
  readonly leaves: number;
  readonly signature: string;
}

const drill = object({
  v: oneOf(1),
  op: oneOf('restore-drill'),
  org: text(63, { min: 1 }),
  at: integer(0),
  seconds: integer(0),
  sets: object({ database: integer(0), ledger: integer(0), sealer: integer(0) }),
  leaves: integer(0),
  signature: base64url(64),
});

/** Reads a rehearsal's report. Throws SealError `shape`. */
export const parseRestoreDrill: Shape<RestoreDrill> = (value, where) => drill(value, where);

export function signRestoreDrill(key: KeyObject, body: Omit<RestoreDrill, 'signature'>): RestoreDrill {
  return { ...body, signature: signBody(key, body) };
}

/** True if the recovery key whose Ed25519 SPKI is given signed this report. */
export function verifyRestoreDrill(spki: string, { signature, ...body }: RestoreDrill): boolean {
  return checkBody(spki, body, signature);
}
