import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBase64url, newPersonHandle, newToken, sha256, toBase64url, uuidv7 } from '#base';
import { type PublicKeys, type Refound, signBody } from '#seal';
import { RunError } from './config.ts';
import type { Home } from './home.ts';
import { send } from './person.ts';

/** The public part of a recovery key as it is pinned: Ed25519 SPKI in base64url, from a PEM file. Throws RunError. */
export function readRecoveryKey(file: string): string {
  try {
    const key = createPublicKey(readFileSync(file));
    if (key.asymmetricKeyType === 'ed25519') return toBase64url(key.export({ format: 'der', type: 'spki' }));
  } catch {
    // said below
  }
  throw new RunError('usage', `${file} holds no Ed25519 public key (openssl genpkey -algorithm ed25519).`);
}

/**
 * Makes the roster anew with the recovery key, when nobody on it can act: every passkey, role and link of before ends, the new
 * founders have a link each. Everybody sees it in the log. Throws RunError with what the guards say.
 */
export async function rosterAnew(options: {
  readonly home: Home;
  readonly glass: string;
  /** PEM of the private recovery key. */
  readonly key: string;
  readonly founders: number;
  readonly purpose: string;
}): Promise<{ admin: string; link: string }[]> {
  const { home, glass, key, purpose } = options;
  const { org } = JSON.parse(readFileSync(join(home.dir, 'public', 'keys.json'), 'utf8')) as PublicKeys;
  const present = await send(glass, 'GET', '/api/roster');
  const roster = present.body['roster'] as { version: number } | null | undefined;
  if (!roster) throw new RunError('start-failed', 'The ledger does not answer. The roster is as it was.');
  const founders = Array.from({ length: options.founders }, () => ({ admin: newPersonHandle(), token: newToken() }));
  const now = Date.now();
  const document: Refound = {
    ...{ v: 1, op: 'refound', id: uuidv7(now), org, roster: roster.version },
    founders: founders.map(({ admin, token }) => ({ admin, tokenSha256: toBase64url(sha256(fromBase64url(token))) })),
    ...{ purpose, notAfter: now + 3_600_000 },
  };
  const signature = signBody(createPrivateKey(key), document);
  const answer = await send(glass, 'POST', '/api/refound', { document, signature });
  if (answer.status !== 200) {
    throw new RunError('usage', `The guards refused: ${String(answer.body['title'] ?? answer.status)}`);
  }
  return founders.map(({ admin, token }) => ({ admin, link: `${glass}/#join=${token}&admin=${admin}` }));
}
