import { ADMIN, ROLES, SealError, shape, WRITERS, type Writer } from '#seal';
import type { Founder, WriterKey } from './ledger.ts';

const { object, list, text, oneOf, optional, base64url } = shape;

const pins = list(object({ writer: oneOf(...WRITERS), key: base64url(44) }), WRITERS.length, WRITERS.length);

const founding = object({
  founders: list(
    object({ admin: text(63, { pattern: ADMIN }), role: oneOf(...ROLES), tokenSha256: base64url(32) }),
    20,
    1,
  ),
  writers: optional(pins),
  recovery: optional(base64url(32, 200)),
});

/**
 * Reads `{"founders": [{admin, role, tokenSha256}], "recovery": …}`, as `--init` of a guard takes it; `recovery` is the Ed25519
 * SPKI of the offline recovery key (base64url), if there is one. Throws SealError `shape`.
 */
export function parseRoster(json: string): { readonly founders: readonly Founder[]; readonly recovery?: string } {
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
  readonly recovery?: string;
} {
  const { founders, writers, recovery } = founding(JSON.parse(json));
  return { founders, writers: parseWriters({ writers }).writers, ...(recovery === undefined ? {} : { recovery }) };
}
