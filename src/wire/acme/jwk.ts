import { createPublicKey, type KeyObject } from 'node:crypto';
import { fromBase64url, sha256 } from '#base';
import { AcmeRefusal } from './problem.ts';

/** The members of a public key and nothing else, in the order in which RFC 7638 hashes them. */
export type Jwk = Readonly<Record<string, string>>;

/** Signature algorithms of account keys and the one kind of key each of them goes with (RFC 7518, RFC 8037). */
export const ALGORITHMS = {
  ES256: { kty: 'EC', crv: 'P-256', digest: 'sha256', length: 64 },
  ES384: { kty: 'EC', crv: 'P-384', digest: 'sha384', length: 96 },
  RS256: { kty: 'RSA', crv: undefined, digest: 'sha256', length: undefined },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', digest: null, length: 64 },
} as const;

export type Algorithm = keyof typeof ALGORITHMS;

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
  OKP: ['crv', 'kty', 'x'],
};

export interface AccountKey {
  readonly jwk: Jwk;
  readonly key: KeyObject;
  /** RFC 7638, SHA-256. */
  readonly thumbprint: Buffer;
}

/**
 * Imports an account's public key; only P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits. Members that do not belong to
 * the public key are dropped; a private one is refused. Throws AcmeRefusal `badPublicKey`.
 */
export function readJwk(value: unknown): AccountKey {
  const refuse = (): never => {
    throw new AcmeRefusal('badPublicKey', 'Use a key of P-256, P-384, Ed25519 or RSA with 2048 to 4096 bits.');
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse();
  const given = value as Record<string, unknown>;
  const members =
    typeof given['kty'] === 'string' && Object.hasOwn(MEMBERS, given['kty']) ? MEMBERS[given['kty']]! : refuse();
  if ('d' in given || 'k' in given) {
    throw new AcmeRefusal('badPublicKey', 'The message holds a private key. Throw that key away.');
  }
  const jwk: Record<string, string> = {};
  for (const name of members) {
    const member = given[name];
    if (typeof member !== 'string' || member.length > 1024) return refuse();
    if (name !== 'kty' && name !== 'crv') {
      try {
        fromBase64url(member);
      } catch {
        return refuse();
      }
    }
    jwk[name] = member;
  }
  if (!Object.values(ALGORITHMS).some((one) => one.kty === jwk['kty'] && one.crv === jwk['crv'])) return refuse();
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return refuse();
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && (bits < 2048 || bits > 4096)) return refuse();
  const canonical = key.export({ format: 'jwk' }) as Record<string, string>;
  // One key has one thumbprint: another spelling of the same number would be another account.
  if (members.some((name) => canonical[name] !== jwk[name])) return refuse();
  return { jwk, key, thumbprint: thumbprintOf(jwk) };
}

function thumbprintOf(jwk: Jwk): Buffer {
  return sha256(JSON.stringify(Object.fromEntries(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)))));
}
