import { ADMIN, ROLES, shape } from '#seal';
import type { Founder } from './ledger.ts';

const { object, list, text, oneOf, base64url } = shape;

const founding = object({
  founders: list(
    object({ admin: text(63, { pattern: ADMIN }), role: oneOf(...ROLES), tokenSha256: base64url(32) }),
    20,
    1,
  ),
});

/** Reads `{"founders": [{admin, role, tokenSha256}]}`, as `--init` of a guard takes it. Throws SealError `shape`. */
export function parseFounders(json: string): readonly Founder[] {
  return founding(JSON.parse(json)).founders;
}
