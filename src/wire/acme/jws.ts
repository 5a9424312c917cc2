import { type KeyObject, verify } from 'node:crypto';
import { fromBase64url } from '#base';
import { ALGORITHMS, type Algorithm } from './jwk.ts';
import { AcmeRefusal } from './problem.ts';

/** A request before its signature is checked (RFC 7515 section 7.2.2, RFC 8555 section 6.2). */
export interface Jws {
  readonly alg: Algorithm;
  readonly nonce: string | undefined;
  readonly url: string;
  /** Exactly one of the two. */
  readonly kid: string | undefined;
  readonly jwk: unknown;
  /** Undefined for POST-as-GET. */
  readonly payload: Readonly<Record<string, unknown>> | undefined;
  readonly signed: Buffer;
  readonly signature: Uint8Array;
}

const bad = (detail: string): never => {
  throw new AcmeRefusal('malformed', detail);
};

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON object in UTF-8, or `malformed`. */
function readObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return bad(`The ${what} is not JSON.`);
  }
  return isObject(value) ? value : bad(`The ${what} is not a JSON object.`);
}

function decoded(value: unknown, what: string): Uint8Array {
  if (typeof value !== 'string') return bad(`The message lacks its ${what}.`);
  try {
    return fromBase64url(value);
  } catch {
    return bad(`The ${what} is not base64url.`);
  }
}

/**
 * Takes a message apart; nothing of it is believed yet. One signature, flattened, no unprotected header, an algorithm of
 * the list, `url`, and a key either by value or by account. Throws AcmeRefusal.
 */
export function parseJws(bytes: Uint8Array): Jws {
  const message = readObject(bytes, 'message');
  for (const member of Object.keys(message)) {
    if (member !== 'protected' && member !== 'payload' && member !== 'signature')
      bad('The message is not a JWS in flattened form with one signature.');
  }
  const header = readObject(decoded(message['protected'], 'protected header'), 'protected header');
  const { alg, nonce, url, kid, jwk } = header;
  if (typeof alg !== 'string' || !Object.hasOwn(ALGORITHMS, alg)) {
    throw new AcmeRefusal('badSignatureAlgorithm', 'The message uses a signature algorithm that is not accepted.', {
      more: { algorithms: Object.keys(ALGORITHMS) },
    });
  }
  // An extension that must be understood is not (RFC 7515 section 4.1.11).
  if ('crit' in header) bad('The protected header asks for an extension that is not offered.');
  if (typeof url !== 'string') return bad('The protected header lacks the url.');
  if (nonce !== undefined && typeof nonce !== 'string') return bad('The nonce is not a text.');
  if (kid !== undefined && typeof kid !== 'string') return bad('The key identifier is not a text.');
  if ((kid === undefined) === (jwk === undefined)) bad('The protected header must hold either a key or an account.');
  const text = decoded(message['payload'], 'payload');
  return {
    ...{ alg: alg as Algorithm, nonce, url, kid, jwk },
    payload: text.length === 0 ? undefined : readObject(text, 'payload'),
    signed: Buffer.from(`${String(message['protected'])}.${String(message['payload'])}`, 'latin1'),
    signature: decoded(message['signature'], 'signature'),
  };
}

/** Whether the signature is by this key, of the kind that the algorithm goes with and of no other. */
export function signedBy(jws: Pick<Jws, 'alg' | 'signed' | 'signature'>, key: KeyObject): boolean {
  const { kty, crv, digest, length } = ALGORITHMS[jws.alg];
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  const fits =
    kty === 'RSA'
      ? key.asymmetricKeyType === 'rsa'
      : kty === 'OKP'
        ? key.asymmetricKeyType === 'ed25519'
        : key.asymmetricKeyType === 'ec' && namedCurve === (crv === 'P-256' ? 'prime256v1' : 'secp384r1');
  if (!fits || (length !== undefined && jws.signature.length !== length)) return false;
  try {
    return verify(digest, jws.signed, kty === 'EC' ? { key, dsaEncoding: 'ieee-p1363' } : key, jws.signature);
  } catch {
    return false;
  }
}
