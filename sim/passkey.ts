import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/**
 * SOFTWARE PASSKEY: FOR TESTS AND THE UNATTENDED DEMO ONLY. It signs without a person, so it proves nothing about one.
 * Behaves like an authenticator after WebAuthn Level 3 that was registered with a resident ES256 or Ed25519 key.
 */
export interface SoftwarePasskey {
  /** Says what this is wherever the JSON ends up. */
  readonly kind: 'software passkey, for tests and demo only';
  readonly admin?: string;
  readonly algorithm: 'ES256' | 'Ed25519';
  /** Credential id, 32 random bytes, base64url. */
  readonly credential: string;
  /** SubjectPublicKeyInfo DER, base64url. */
  readonly publicKey: string;
  /** PKCS#8 DER, base64url. */
  readonly privateKey: string;
  /** WebAuthn signature counter; grows with every assertion. */
  counter: number;
}

/** What `navigator.credentials.get` returns, as base64url (WebAuthn Level 3 section 5.2.2). */
export interface PasskeyAssertion {
  readonly credential: string;
  readonly authenticatorData: string;
  readonly clientDataJSON: string;
  readonly signature: string;
}

export interface AssertionOptions {
  /** The relying party's challenge; put into clientDataJSON as base64url. */
  readonly challenge: Uint8Array;
  /** For example `http://glass.localhost:8441`. */
  readonly origin: string;
  /** For example `glass.localhost`. */
  readonly rpId: string;
  /** User verified flag; default true. */
  readonly uv?: boolean;
  /** User present flag; default true. */
  readonly up?: boolean;
  /** Default `webauthn.get`; other values let tests try confusion. */
  readonly type?: string;
  readonly crossOrigin?: boolean;
}

/** Makes a passkey. JSON of the result can be stored and used again later. */
export function newPasskey(options: { admin?: string; algorithm?: 'ES256' | 'Ed25519' } = {}): SoftwarePasskey {
  const algorithm = options.algorithm ?? 'ES256';
  const pair =
    algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return {
    kind: 'software passkey, for tests and demo only',
    ...(options.admin === undefined ? {} : { admin: options.admin }),
    algorithm,
    credential: randomBytes(32).toString('base64url'),
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64url'),
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64url'),
    counter: 0,
  };
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();

/** rpIdHash 32, flags 1 (UP 0x01, UV 0x04), counter 4, big endian (WebAuthn Level 3 section 6.1). */
function authenticatorData(rpId: string, flags: number, counter: number): Buffer {
  const tail = Buffer.alloc(5);
  tail.writeUInt8(flags, 0);
  tail.writeUInt32BE(counter, 1);
  return Buffer.concat([sha256(rpId), tail]);
}

/**
 * Signs authenticatorData || SHA-256(clientDataJSON) (WebAuthn Level 3 section 6.3.3) and moves the counter on.
 * ES256 signatures are DER, Ed25519 ones 64 raw bytes, as real authenticators return them.
 */
export function assertion(passkey: SoftwarePasskey, options: AssertionOptions): PasskeyAssertion {
  passkey.counter += 1;
  const flags = (options.up === false ? 0 : 0x01) | (options.uv === false ? 0 : 0x04);
  const authData = authenticatorData(options.rpId, flags, passkey.counter);
  const clientData = Buffer.from(
    JSON.stringify({
      type: options.type ?? 'webauthn.get',
      challenge: Buffer.from(options.challenge).toString('base64url'),
      origin: options.origin,
      crossOrigin: options.crossOrigin ?? false,
    }),
  );
  const key = createPrivateKey({ key: Buffer.from(passkey.privateKey, 'base64url'), format: 'der', type: 'pkcs8' });
  const signed = Buffer.concat([authData, sha256(clientData)]);
  const signature = sign(passkey.algorithm === 'ES256' ? 'sha256' : null, signed, key);
  return {
    credential: passkey.credential,
    authenticatorData: authData.toString('base64url'),
    clientDataJSON: clientData.toString('base64url'),
    signature: signature.toString('base64url'),
  };
}

/** The public half alone, for registering: credential id and SPKI, base64url. */
export function publicHalf(passkey: SoftwarePasskey): { credential: string; publicKey: string } {
  const key = createPublicKey({ key: Buffer.from(passkey.publicKey, 'base64url'), format: 'der', type: 'spki' });
  return {
    credential: passkey.credential,
    publicKey: key.export({ type: 'spki', format: 'der' }).toString('base64url'),
  };
}

export { assertion as assert };
