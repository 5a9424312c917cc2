import { ADMIN, ROLES, shape } from '#seal';
import type { Founder } from './ledger.ts';

const { object, list, text, oneOf, optional, base64url } = shape;

const founding = object({
  founders: list(
    object({ admin: text(63, { pattern: ADMIN }), role: oneOf(...ROLES), tokenSha256: base64url(32) }),
    20,
    1,
  ),
  recovery: optional(base64url(32, 200)),
});

/**
 * Reads `{"founders": [{admin, role, tokenSha256}], "recovery": …}`, as `--init` of a guard takes it; `recovery` is the Ed25519
 * SPKI of the offline recovery key (base64url), if there is one. Throws SealError `shape`.
 */
export function parseFounding(json: string): { readonly founders: readonly Founder[]; readonly recovery?: string } {
  const { founders, recovery } = founding(JSON.parse(json));
  return { founders, ...(recovery === undefined ? {} : { recovery }) };
}

export const parseFounders = (json: string): readonly Founder[] => parseFounding(json).founders;
