import type { Assertion, Signable } from '../../../src/seal/messages.ts';
import { PRF_INPUT } from '../../../src/seal/third-types.ts';
import { challengeOf, fromBase64url, toBase64url, utf8 } from '../shared/bytes.ts';

/** Who uses this browser: learned at join or sign-in, so that a grant can name its reader before the touch. */
export interface Known {
  readonly admin: string;
  readonly credential: string;
}

const PLACE = 'bartizan.passkey';
const ADMIN = /^[a-z0-9][a-z0-9-]{1,62}$/;

export function known(): Known | undefined {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE) ?? 'null');
    if (typeof found !== 'object' || found === null) return undefined;
    const { admin, credential } = found as Record<string, unknown>;
    if (typeof admin !== 'string' || typeof credential !== 'string' || !ADMIN.test(admin)) return undefined;
    return { admin, credential };
  } catch {
    return undefined;
  }
}

export function remember(who: Known): void {
  localStorage.setItem(PLACE, JSON.stringify(who));
}

export function forget(): void {
  localStorage.removeItem(PLACE);
}

/** What went wrong with a touch, in words that say what to do. */
export function touchFailure(error: unknown): Error {
  if (error instanceof DOMException && (error.name === 'NotAllowedError' || error.name === 'AbortError')) {
    return new Error('The touch was cancelled or took too long. Nothing was sent; you can try again.');
  }
  if (error instanceof DOMException && error.name === 'InvalidStateError') {
    return new Error('This security key already holds a passkey for this site. Use another one, or sign in with it.');
  }
  if (error instanceof DOMException && error.name === 'SecurityError') {
    return new Error('This browser does not allow passkeys on this address. Open the page by its configured name.');
  }
  return error instanceof Error ? error : new Error('The passkey could not be used.');
}

/** Signs a document: the challenge is SHA-256 of its canonical JSON. User verification is always required. */
export async function touch(
  document: Signable,
  credential?: string,
  options: { readonly prf?: boolean } = {},
): Promise<{ assertion: Assertion; admin?: string; prf?: Uint8Array<ArrayBuffer> }> {
  const given = await navigator.credentials
    .get({
      publicKey: {
        challenge: await challengeOf(document),
        rpId: location.hostname,
        userVerification: 'required',
        timeout: 120_000,
        ...(options.prf ? { extensions: PRF } : {}),
        ...(credential === undefined
          ? {}
          : { allowCredentials: [{ type: 'public-key', id: fromBase64url(credential) }] }),
      },
    })
    .catch((error: unknown) => {
      throw touchFailure(error);
    });
  const { rawId, response } = given as PublicKeyCredential & { response: AuthenticatorAssertionResponse };
  const handle = response.userHandle === null ? undefined : new TextDecoder().decode(response.userHandle);
  return {
    assertion: {
      credential: toBase64url(rawId),
      authenticatorData: toBase64url(response.authenticatorData),
      clientDataJSON: toBase64url(response.clientDataJSON),
      signature: toBase64url(response.signature),
    },
    ...(handle !== undefined && ADMIN.test(handle) ? { admin: handle } : {}),
    ...prfOf(given as PublicKeyCredential),
  };
}

/** WebAuthn Level 3 section 10.1.4. What it gives is the same for ever, for this passkey on this site. */
const PRF = { prf: { eval: { first: utf8(PRF_INPUT) } } };

function prfOf(given: PublicKeyCredential): { prf?: Uint8Array<ArrayBuffer> } {
  const first = given.getClientExtensionResults().prf?.results?.first;
  if (first === undefined) return {};
  const bytes = first instanceof ArrayBuffer ? new Uint8Array(first) : new Uint8Array(first.buffer as ArrayBuffer);
  return bytes.length === 32 ? { prf: bytes } : {};
}

/** Asks a passkey for its PRF alone; nothing is signed that a guard accepts. Throws if it has none. */
export async function askPrf(credential: string): Promise<Uint8Array<ArrayBuffer>> {
  const given = await navigator.credentials
    .get({
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rpId: location.hostname,
        userVerification: 'required',
        timeout: 120_000,
        extensions: PRF,
        allowCredentials: [{ type: 'public-key', id: fromBase64url(credential) }],
      },
    })
    .catch((error: unknown) => {
      throw touchFailure(error);
    });
  const { prf } = prfOf(given as PublicKeyCredential);
  if (prf === undefined) throw new Error(NO_PRF);
  return prf;
}

export const NO_PRF =
  'This passkey, or this browser, has no PRF, which the third lock is opened with. Use a security key or a browser that has it. Nothing was sent.';

/** Asks the browser which passkey its user holds, without signing anything that a guard accepts. */
export async function identify(): Promise<Known> {
  const given = await navigator.credentials
    .get({
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rpId: location.hostname,
        userVerification: 'required',
      },
    })
    .catch((error: unknown) => {
      throw touchFailure(error);
    });
  const { rawId, response } = given as PublicKeyCredential & { response: AuthenticatorAssertionResponse };
  const admin = response.userHandle === null ? '' : new TextDecoder().decode(response.userHandle);
  if (!ADMIN.test(admin)) throw new Error('That passkey does not say whose it is. Join again with a new link.');
  const who = { admin, credential: toBase64url(rawId) };
  remember(who);
  return who;
}

const ES256 = -7;
const EDDSA = -8;

/** Makes a resident passkey for an admin handle. Returns credential id and SPKI DER, both base64url. */
export async function createPasskey(admin: string): Promise<{ credential: string; publicKey: string }> {
  const made = await navigator.credentials
    .create({
      publicKey: {
        rp: { id: location.hostname, name: 'Bartizan' },
        user: { id: utf8(admin), name: admin, displayName: admin },
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        pubKeyCredParams: [
          { type: 'public-key', alg: ES256 },
          { type: 'public-key', alg: EDDSA },
        ],
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        attestation: 'none',
        // Some platforms make passkeys without PRF unless they are asked at once.
        extensions: { prf: {} },
        timeout: 120_000,
      },
    })
    .catch((error: unknown) => {
      throw touchFailure(error);
    });
  const { rawId, response } = made as PublicKeyCredential & { response: AuthenticatorAttestationResponse };
  const spki = response.getPublicKey();
  if (spki === null)
    throw new Error('This security key uses a kind of key that Bartizan does not accept. Use another.');
  return { credential: toBase64url(rawId), publicKey: toBase64url(spki) };
}
