import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256, toBase64url } from '#base';
import { readTokens, SOURCE, TOKEN_PREFIX, TOKENS_FILE, type TokenRecord } from '#intake';
import { RunError } from './config.ts';
import { type Home, uidOf } from './home.ts';

export const tokensFile = (home: string): string => join(home, 'config', TOKENS_FILE);

/**
 * Makes a token for a source and keeps its hash; older tokens of the source count on until they end or are revoked, so that a
 * provider can change over. Returns the token, which nobody sees again. Throws RunError `usage`.
 */
export function addToken(home: Home, source: string, days: number, now = Date.now()): { id: string; token: string } {
  if (!SOURCE.test(source))
    throw new RunError('usage', 'A source is a short name of small letters, digits and hyphens, such as entra.');
  if (!(days >= 1 && days <= 730)) throw new RunError('usage', 'A token counts for 1 to 730 days.');
  const token = `${TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`;
  const id = randomBytes(4).toString('hex');
  const record: TokenRecord = {
    ...{ id, source, sha256: toBase64url(sha256(token)), notAfter: now + days * 86_400_000 },
  };
  const present = listTokens(home).filter(({ notAfter }) => notAfter > now);
  if (present.length >= 50) throw new RunError('usage', 'There are 50 tokens already. Revoke some.');
  write(home, [...present, record]);
  return { id, token };
}

/** Ends a token at once. Throws RunError `usage` if there is none with this id. */
export function revokeToken(home: Home, id: string): void {
  const present = listTokens(home);
  const left = present.filter((one) => one.id !== id);
  if (left.length === present.length) throw new RunError('usage', 'There is no token with this id.');
  write(home, left);
}

export const listTokens = (home: Home): readonly TokenRecord[] => readTokens(tokensFile(home.dir));

/** Intake may read the file and not write it: whoever owns intake makes no token for later. */
function write(home: Home, records: readonly TokenRecord[]): void {
  const file = tokensFile(home.dir);
  const fresh = `${file}.new`;
  try {
    writeFileSync(fresh, JSON.stringify(records), { mode: 0o600 });
    const gid = uidOf('intake');
    if (gid !== undefined) chownSync(fresh, 0, gid);
    chmodSync(fresh, gid === undefined ? 0o600 : 0o640);
    renameSync(fresh, file);
  } catch (cause) {
    throw new RunError('usage', 'This is no installation, or you may not write to it. Give its --home.', { cause });
  }
}
