import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { sha256, toBase64url } from '#base';
import { EdgeError } from '../error.ts';
import type { AccountSettings } from './settings.ts';

const TIMEOUT_MS = 10_000;
const MOST_BYTES = 256 * 1024;
const FRESH_MS = 10 * 60_000;
const SKEW_S = 60;

interface Provider {
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly jwks_uri: string;
}

export type Claims = Readonly<Record<string, unknown>>;

/**
 * The relying party of OpenID Connect Core 1.0: code flow with PKCE (RFC 7636) at one issuer. Asks no host but the issuer's.
 * Throws EdgeError `identity`, whose message tells nothing of the person.
 */
export class Oidc {
  readonly #settings: AccountSettings;
  #provider: { value: Provider; at: number } | undefined;
  #keys: { value: ReadonlyMap<string, KeyObject>; at: number } | undefined;

  constructor(settings: AccountSettings) {
    this.#settings = settings;
  }

  /** Where the browser signs in. `hint` goes to the identity provider and is kept nowhere. */
  async signInUrl(input: {
    redirect: string;
    state: string;
    nonce: string;
    verifier: string;
    hint: string | null;
  }): Promise<string> {
    const { authorization_endpoint } = await this.#discover();
    const url = new URL(authorization_endpoint);
    const query: Record<string, string> = {
      response_type: 'code',
      client_id: this.#settings.clientId,
      redirect_uri: input.redirect,
      scope: this.#settings.scopes,
      state: input.state,
      nonce: input.nonce,
      code_challenge: toBase64url(sha256(input.verifier)),
      code_challenge_method: 'S256',
      ...(input.hint === null ? {} : { login_hint: input.hint }),
    };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url.href;
  }

  /** Trades the code for verified claims. */
  async claims(input: {
    code: string;
    verifier: string;
    redirect: string;
    nonce: string;
    now: number;
  }): Promise<Claims> {
    const { token_endpoint } = await this.#discover();
    const { clientId, clientSecret } = this.#settings;
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code: input.code,
      redirect_uri: input.redirect,
      code_verifier: input.verifier,
      client_id: clientId,
    });
    const basic = clientSecret === undefined ? {} : { authorization: `Basic ${basicOf(clientId, clientSecret)}` };
    const answer = (await this.#ask(token_endpoint, { method: 'POST', body: form, headers: basic })) as {
      id_token?: unknown;
    };
    if (typeof answer.id_token !== 'string') throw failed('The identity provider gave no identity token.');
    const claims = await this.#verify(answer.id_token);
    const { issuer } = this.#settings;
    const audience = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']];
    const now = input.now / 1000;
    const right =
      claims['iss'] === issuer &&
      audience.includes(clientId) &&
      (audience.length === 1 || claims['azp'] === clientId) &&
      claims['nonce'] === input.nonce &&
      Number(claims['exp']) > now - SKEW_S &&
      Number(claims['iat']) < now + SKEW_S &&
      typeof claims['sub'] === 'string';
    if (!right) throw failed('The identity token is not for this sign-in.');
    return claims;
  }

  async #discover(): Promise<Provider> {
    if (this.#provider !== undefined && Date.now() - this.#provider.at < FRESH_MS) return this.#provider.value;
    const { issuer } = this.#settings;
    const found = (await this.#ask(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)) as Provider & {
      issuer?: string;
    };
    if (found.issuer !== issuer) throw failed('The identity provider answers for another issuer.');
    this.#provider = { value: found, at: Date.now() };
    return found;
  }

  async #verify(token: string): Promise<Claims> {
    const [head = '', body = '', signature = ''] = token.split('.');
    const header = readPart(head);
    const data = Buffer.from(`${head}.${body}`);
    const bytes = Buffer.from(signature, 'base64url');
    const kid = typeof header['kid'] === 'string' ? header['kid'] : '';
    let key = (await this.#jwks(false)).get(kid);
    // The provider may have changed its keys since.
    if (key === undefined) key = (await this.#jwks(true)).get(kid);
    if (key === undefined || !verifyJws(String(header['alg']), data, key, bytes))
      throw failed('The identity token is not signed by the identity provider.');
    return readPart(body);
  }

  async #jwks(anew: boolean): Promise<ReadonlyMap<string, KeyObject>> {
    if (
      this.#keys !== undefined &&
      !(anew && Date.now() - this.#keys.at > 1_000) &&
      Date.now() - this.#keys.at < FRESH_MS
    )
      return this.#keys.value;
    const { jwks_uri } = await this.#discover();
    const set = (await this.#ask(jwks_uri)) as { keys?: readonly (JsonWebKey & { kid?: string; use?: string })[] };
    const value = new Map<string, KeyObject>();
    for (const jwk of (set.keys ?? []).slice(0, 32)) {
      if (jwk.use === 'enc' || (jwk.kty !== 'RSA' && jwk.kty !== 'EC')) continue;
      try {
        value.set(jwk.kid ?? '', createPublicKey({ key: jwk, format: 'jwk' }));
      } catch {
        // a key of a kind that we do not take
      }
    }
    this.#keys = { value, at: Date.now() };
    return value;
  }

  async #ask(address: string, init: RequestInit = {}): Promise<unknown> {
    // Nothing that a stranger sends chooses where edge calls: the issuer's own host, and no redirect.
    if (new URL(address).origin !== new URL(this.#settings.issuer).origin)
      throw failed('The identity provider names an endpoint on another host.');
    let text: string;
    try {
      const answer = await fetch(address, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
      text = await answer.text();
      if (!answer.ok || text.length > MOST_BYTES) throw failed('The identity provider refused.');
      return JSON.parse(text);
    } catch (error) {
      if (error instanceof EdgeError) throw error;
      throw failed('The identity provider does not answer.');
    }
  }
}

const failed = (message: string) => new EdgeError('identity', message, { status: 502 });
const basicOf = (id: string, secret: string) =>
  Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64');

function readPart(part: string): Claims {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Claims;
  } catch {
    // said below
  }
  throw failed('The identity token cannot be read.');
}

/** RS256, PS256 and ES256 (RFC 7518 section 3); the key's kind must fit, so that no algorithm is confused with another. */
function verifyJws(algorithm: string, data: Buffer, key: KeyObject, signature: Buffer): boolean {
  if (algorithm === 'RS256' && key.asymmetricKeyType === 'rsa') return verify('sha256', data, key, signature);
  if (algorithm === 'PS256' && key.asymmetricKeyType === 'rsa')
    return verify('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
  if (algorithm === 'ES256' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  return false;
}
