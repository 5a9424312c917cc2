import { type AccountKey, readJwk } from './jwk.ts';
import { parseJws, signedBy } from './jws.ts';
import { AcmeRefusal } from './problem.ts';

/**
 * The new key of a `keyChange` (RFC 8555 section 7.3.5): the payload is a message by that key, for the same address, without a
 * nonce, that names the account and its old key. Throws AcmeRefusal.
 */
export function readKeyChange(
  payload: Readonly<Record<string, unknown>> | undefined,
  { url, account, old }: { readonly url: string; readonly account: string; readonly old: AccountKey },
): AccountKey {
  const refuse = (detail: string): never => {
    throw new AcmeRefusal('malformed', detail);
  };
  if (payload === undefined) return refuse('The new key’s own message is missing.');
  const inner = parseJws(Buffer.from(JSON.stringify(payload)));
  if (inner.jwk === undefined) return refuse('The new key’s message does not bring it along.');
  if (inner.url !== url) return refuse('The new key’s message is for another address.');
  if (inner.nonce !== undefined) return refuse('The new key’s message has no nonce.');
  const key = readJwk(inner.jwk);
  if (!signedBy(inner, key.key)) return refuse('The signature of the new key does not hold.');
  if (inner.payload?.['account'] !== account) return refuse('The new key’s message names another account.');
  if (!readJwk(inner.payload['oldKey']).thumbprint.equals(old.thumbprint))
    return refuse('The new key’s message names another old key.');
  return key;
}
