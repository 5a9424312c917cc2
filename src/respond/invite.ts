import { fromBase64url, newToken, sha256, toBase64url, uuidv7 } from '#base';
import { ADMIN, type Invite, type Role } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { RespondError } from './error.ts';
import { checkPurpose } from './locks.ts';

const INVITE_TTL_MS = 24 * 3_600_000;

/**
 * Asks two people, or as many as the roster says, to invite an admin. Returns what they sign and the one-time token, which is kept nowhere: it works only
 * after both have signed, and the new passkey may approve nothing for 72 h.
 */
export async function askInvite(
  t: Tx,
  input: { admin: string; role: Role; by: string; purpose: string; now: number; needs?: number },
): Promise<{ document: Invite; token: string }> {
  if (!ADMIN.test(input.admin)) {
    throw new RespondError('bad-request', "An admin's handle has 2 to 63 lower-case letters, digits and hyphens.");
  }
  const token = newToken();
  const document: Invite = {
    v: 1,
    op: 'invite',
    id: uuidv7(input.now),
    admin: input.admin,
    role: input.role,
    tokenSha256: toBase64url(sha256(fromBase64url(token))),
    requester: input.by,
    purpose: checkPurpose(input.purpose),
    notAfter: input.now + INVITE_TTL_MS,
  };
  await requestApproval(t, document, input.needs);
  return { document, token };
}
