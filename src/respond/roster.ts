import { fromBase64url, newToken, sha256, toBase64url, uuidv7 } from '#base';
import { CUSTODIANS, type QuorumCaps, type Role, type RosterAct, type RosterChange, SEALED_KEYS } from '#seal';
import type { Tx } from '#store';
import { requestApproval } from './approval.ts';
import { checkPurpose } from './locks.ts';

const CHANGE_TTL_MS = 24 * 3_600_000;

/** What somebody wants changed; tokens are made here and kept nowhere. */
export type RosterWish =
  | { readonly act: 'add-key'; readonly admin: string }
  | { readonly act: 'remove-key'; readonly credential: string }
  | { readonly act: 'remove-admin'; readonly admin: string }
  | { readonly act: 'role'; readonly admin: string; readonly role: Role }
  | { readonly act: 'threshold'; readonly threshold: number }
  | { readonly act: 'caps'; readonly caps: QuorumCaps }
  | { readonly act: 'break-glass' }
  | { readonly act: 'review'; readonly opening: string; readonly verdict: 'proper' | 'improper' };

/** A one-time link's token and whose it is; shown once. */
export interface NewToken {
  readonly admin: string;
  readonly token: string;
}

const hashed = (token: string) => toBase64url(sha256(fromBase64url(token)));

function actOf(wish: RosterWish): { change: RosterAct; tokens: NewToken[] } {
  if (wish.act === 'add-key') {
    const token = newToken();
    return { change: { ...wish, tokenSha256: hashed(token) }, tokens: [{ admin: wish.admin, token }] };
  }
  if (wish.act === 'break-glass') {
    const tokens = [...SEALED_KEYS, ...CUSTODIANS].map((admin) => ({ admin, token: newToken() }));
    return { change: { act: wish.act, tokens: tokens.map(({ token }) => hashed(token)) }, tokens };
  }
  return { change: wish, tokens: [] };
}

/**
 * Asks as many people as the roster says to change it. `roster` and `needs` are what the ledger said of its roster: should
 * they be wrong, the guards refuse. Tokens work only after everybody has signed.
 */
export async function askRoster(
  t: Tx,
  input: { wish: RosterWish; by: string; purpose: string; now: number; roster: number; needs: number },
): Promise<{ document: RosterChange; tokens: readonly NewToken[] }> {
  const { change, tokens } = actOf(input.wish);
  const document: RosterChange = {
    v: 1,
    op: 'roster',
    id: uuidv7(input.now),
    roster: input.roster,
    change,
    requester: input.by,
    purpose: checkPurpose(input.purpose),
    notAfter: input.now + CHANGE_TTL_MS,
  };
  await requestApproval(t, document, input.needs);
  return { document, tokens };
}
