import {
  ADMIN,
  parseRecoveryKey,
  type RecoveryKey,
  ROLES,
  SealError,
  type Shape,
  shape,
  WRITERS,
  type Writer,
} from '#seal';
import type { Founder, WriterKey } from './ledger.ts';

const { object, list, text, oneOf, optional, base64url } = shape;

const pins = list(object({ writer: oneOf(...WRITERS), key: base64url(44) }), WRITERS.length, WRITERS.length);

/** The public half of the recovery key, or the base64url SPKI of its signing half alone. */
const recoveryKey: Shape<RecoveryKey | string> = (value, where) =>
  typeof value === 'string' ? base64url(32, 200)(value, where) : parseRecoveryKey(value, where);

const founding = object({
  founders: list(
    object({ admin: text(63, { pattern: ADMIN }), role: oneOf(...ROLES), tokenSha256: base64url(32) }),
    20,
    1,
  ),
  writers: optional(pins),
  recovery: optional(recoveryKey),
});

/**
 * Reads `{"founders": [{admin, role, tokenSha256}], "recovery": …}`, as `--init` of a guard takes it; `recovery` is the public half
 * of the offline recovery key, if there is one. Throws SealError `shape`.
 */
export function parseRoster(json: string): {
  readonly founders: readonly Founder[];
  readonly recovery?: RecoveryKey | string;
} {
  const { founders, recovery } = founding(JSON.parse(json));
  return { founders, ...(recovery === undefined ? {} : { recovery }) };
}

const writing = object({ writers: pins, renew: optional(oneOf(...WRITERS)) });

/**
 * Reads `{"writers": [{writer, key}], "renew": …}`, each of them once, as the ledger pins them; `renew` is the one whose key was
 * made anew. Throws SealError `shape`.
 */
export function parseWriters(value: unknown): { readonly writers: readonly WriterKey[]; readonly renew?: Writer } {
  const read = writing(value);
  const { writers } = read;
  if (new Set(writers.map(({ writer }) => writer)).size !== WRITERS.length) {
    throw new SealError('shape', 'Each writer has one key.');
  }
  return read;
}

/** Reads what `--init` of the ledger takes: the founders, and whoever writes values. Throws SealError `shape`. */
export function parseFounding(json: string): {
  readonly founders: readonly Founder[];
  readonly writers: readonly WriterKey[];
  readonly recovery?: RecoveryKey | string;
} {
  const { writers, ...rest } = founding(JSON.parse(json));
  return { ...rest, writers: parseWriters({ writers }).writers };
}
