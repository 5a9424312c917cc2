import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { equalBytes, fromBase64url, sha256 } from '#base';
import { SealError } from './errors.ts';
import type { Assertion, Signable } from './messages.ts';
import { challengeOf } from './signed.ts';

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;

function refuse(why: string): never {
  throw new SealError('assertion', `The passkey's answer was not accepted: ${why}.`);
}

function readClientData(bytes: Buffer): Record<string, unknown> {
  let client: unknown;
  try {
    client = JSON.parse(bytes.toString('utf8'));
  } catch {
    return refuse('its client data is not JSON');
  }
  if (typeof client !== 'object' || client === null) refuse('its client data is not JSON');
  return client as Record<string, unknown>;
}

/** A passkey's public key: P-256 (ES256) or Ed25519, SubjectPublicKeyInfo DER. Throws SealError `assertion` for others. */
export function passkeyPublic(spki: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    return refuse('its key is not understood');
  }
  const p256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  if (!p256 && key.asymmetricKeyType !== 'ed25519') refuse('its key type is not allowed');
  return key;
}

/**
 * WebAuthn Level 3 section 7.2, the steps that apply without a session: type, challenge, origin, rpIdHash, user
 * present, user verified, not cross-origin, signature. `origin` is glass's origin; rpId is its host name.
 * `publicKey` is the pinned SPKI DER in base64url. Throws SealError `assertion`.
 */
export function verifyAssertion(options: {
  readonly assertion: Assertion;
  readonly document: Signable;
  readonly publicKey: string;
  readonly origin: string;
}): void {
  const { assertion, document, origin } = options;
  const clientData = Buffer.from(fromBase64url(assertion.clientDataJSON));
  const authenticatorData = Buffer.from(fromBase64url(assertion.authenticatorData));
  const client = readClientData(clientData);
  if (client['type'] !== 'webauthn.get') refuse('it is not an assertion');
  if (client['challenge'] !== challengeOf(document).toString('base64url')) refuse('it was made for something else');
  if (client['origin'] !== origin) refuse('it was made on another site');
  if (client['crossOrigin'] !== undefined && client['crossOrigin'] !== false) refuse('it was made inside another site');
  if (client['topOrigin'] !== undefined) refuse('it was made inside another site');
  if (authenticatorData.length < 37) refuse('its data is too short');
  const host = new URL(origin).hostname;
  if (!equalBytes(authenticatorData.subarray(0, 32), sha256(host))) refuse('it belongs to another site');
  const flags = authenticatorData[32]!;
  if ((flags & USER_PRESENT) === 0) refuse('nobody touched it');
  if ((flags & USER_VERIFIED) === 0) refuse('it did not verify its user');
  const key = passkeyPublic(fromBase64url(options.publicKey));
  const signed = Buffer.concat([authenticatorData, sha256(clientData)]);
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  let valid = false;
  try {
    valid = verify(algorithm, signed, key, fromBase64url(assertion.signature));
  } catch {}
  if (!valid) refuse('its signature is wrong');
}
