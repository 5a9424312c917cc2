import { sha256, toBase64url } from '#base';
import { parseAssertion, parseBringShare, type RosterKey, shape, verifyAssertion } from '#seal';
import type { GlassDoors } from './doors.ts';
import { GlassError } from './error.ts';

const parse = shape.object({
  document: parseBringShare,
  assertion: parseAssertion,
  share: shape.text(400, { min: 10 }),
});
const LIFE_MS = 10 * 60_000;

/** How many shares of the organisation's key are here and needed; `none` where no shares are used. */
export async function sharesWaiting(doors: GlassDoors): Promise<object> {
  if (doors.keeper === undefined) return { none: true };
  return doors.keeper.call('waiting', {});
}

/**
 * Hands one administrator's share of the organisation's key to the keeper. The touch keeps strangers from filling the keeper with
 * false shares; a share is worth nothing without the sealer's own folder. Throws GlassError, SealError, GuardError.
 */
export async function bringShare(doors: GlassDoors, body: unknown): Promise<object> {
  const { document, assertion, share } = parse(body);
  if (doors.keeper === undefined) {
    throw new GlassError('not-found', 'This installation’s key is not brought in shares.', { status: 404 });
  }
  const now = doors.now();
  if (document.notAfter <= now || document.notAfter > now + LIFE_MS) {
    throw new GlassError('closed', 'This request has expired. Start again.', { status: 409 });
  }
  if (toBase64url(sha256(share)) !== document.shareSha256) {
    throw new GlassError('bad-request', 'The share is not the one that was signed for.');
  }
  const { keys } = await doors.ledger.call<{ keys: RosterKey[] }>('roster', {});
  const key = keys.find((one) => one.credential === assertion.credential);
  if (key?.role !== 'administrator') {
    throw new GlassError('not-allowed', 'Only administrators bring shares.', { status: 403 });
  }
  verifyAssertion({ assertion, document, publicKey: key.publicKey, origin: doors.origins.glass });
  return doors.keeper.call('share', { share });
}
