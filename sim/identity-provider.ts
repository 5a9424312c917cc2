import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface IdpUser {
  readonly email: string;
  readonly password: string;
  readonly sub: string;
  /** The handle that the directory gave to the provider. */
  readonly handle?: string;
}

export type IdpFault =
  | 'nonce'
  | 'audience'
  | 'issuer'
  | 'expired'
  | 'foreign-key'
  | 'no-signature'
  | 'unverified-email';

interface Pending {
  readonly client: string;
  readonly redirect: string;
  readonly challenge: string;
  readonly nonce: string;
  readonly user: IdpUser;
}

const b64 = (value: object | Buffer) =>
  (Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))).toString('base64url');
const entities = (text: string) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);

/**
 * An OpenID Connect provider for tests: discovery, JWKS, a sign-in page, codes that work once and only with their PKCE
 * verifier, ES256 identity tokens. One fault at a time on demand.
 */
export class IdentityProvider {
  readonly users: IdpUser[] = [];
  readonly client = { id: 'bartizan', secret: randomBytes(16).toString('hex'), redirect: '' };
  fault: IdpFault | undefined;
  /** What was asked, without queries. */
  readonly requests: string[] = [];
  /** Hints that came with sign-ins. */
  readonly hints: string[] = [];
  issuer = '';
  readonly #codes = new Map<string, Pending>();
  #kid = 'first';
  #key: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  #public = this.#key;
  #server: Server | undefined;

  async start(): Promise<string> {
    this.rotate('first');
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.issuer = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this.issuer;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** New signing key; the old one is gone from the JWKS. */
  rotate(kid: string): void {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#kid = kid;
    this.#key = pair.privateKey;
    this.#public = pair.publicKey;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const body = new URLSearchParams(Buffer.concat(parts).toString());
    const url = new URL(request.url ?? '/', this.issuer);
    const what = `${request.method} ${url.pathname}`;
    this.requests.push(what);
    const json = (status: number, value: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    switch (what) {
      case 'GET /.well-known/openid-configuration':
        return json(200, {
          issuer: this.issuer,
          authorization_endpoint: `${this.issuer}/authorize`,
          token_endpoint: `${this.issuer}/token`,
          jwks_uri: `${this.issuer}/jwks`,
          response_types_supported: ['code'],
          code_challenge_methods_supported: ['S256'],
        });
      case 'GET /jwks':
        return json(200, {
          keys: [{ ...this.#public.export({ format: 'jwk' }), kid: this.#kid, use: 'sig', alg: 'ES256' }],
        });
      case 'GET /authorize':
        return this.#page(url.searchParams, response);
      case 'POST /authorize':
        return this.#signIn(url.searchParams, body, response);
      case 'POST /token':
        return this.#token(request, body, json);
      default:
        return json(404, { error: 'not_found' });
    }
  }

  #page(query: URLSearchParams, response: ServerResponse): void {
    const hint = query.get('login_hint') ?? '';
    if (hint !== '') this.hints.push(hint);
    const right =
      query.get('response_type') === 'code' &&
      query.get('client_id') === this.client.id &&
      query.get('redirect_uri') === this.client.redirect &&
      query.get('code_challenge_method') === 'S256' &&
      (query.get('code_challenge') ?? '').length === 43 &&
      (query.get('state') ?? '') !== '' &&
      (query.get('scope') ?? '').split(' ').includes('openid');
    response.writeHead(right ? 200 : 400, { 'content-type': 'text/html; charset=utf-8' });
    response.end(
      right
        ? `<!doctype html><html lang="en"><title>Example Agency</title><h1>Sign in</h1><form method="post" action="/authorize?${entities(query.toString())}">
<label>Account <input name="email" value="${entities(hint)}"></label> <label>Password <input name="password" type="password"></label>
<button>Sign in</button></form></html>`
        : 'invalid_request',
    );
  }

  #signIn(query: URLSearchParams, form: URLSearchParams, response: ServerResponse): void {
    const user = this.users.find((one) => one.email === form.get('email') && one.password === form.get('password'));
    if (user === undefined) {
      response.writeHead(403, { 'content-type': 'text/plain' });
      response.end('wrong account or password');
      return;
    }
    const code = randomBytes(24).toString('base64url');
    this.#codes.set(code, {
      client: query.get('client_id') ?? '',
      redirect: query.get('redirect_uri') ?? '',
      challenge: query.get('code_challenge') ?? '',
      nonce: query.get('nonce') ?? '',
      user,
    });
    const to = new URL(query.get('redirect_uri') ?? '');
    to.searchParams.set('code', code);
    to.searchParams.set('state', query.get('state') ?? '');
    response.writeHead(302, { location: to.href });
    response.end();
  }

  #token(request: IncomingMessage, form: URLSearchParams, json: (status: number, value: object) => void): void {
    const basic = `Basic ${Buffer.from(`${this.client.id}:${this.client.secret}`).toString('base64')}`;
    const refuse = (status: number, error: string) => void json(status, { error });
    if (request.headers.authorization !== basic) {
      refuse(401, 'invalid_client');
      return;
    }
    const code = form.get('code') ?? '';
    const pending = this.#codes.get(code);
    this.#codes.delete(code);
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (
      pending === undefined ||
      form.get('grant_type') !== 'authorization_code' ||
      pending.challenge !== challenge ||
      pending.redirect !== form.get('redirect_uri')
    ) {
      refuse(400, 'invalid_grant');
      return;
    }
    json(200, {
      access_token: randomBytes(16).toString('hex'),
      token_type: 'Bearer',
      id_token: this.#idToken(pending),
    });
  }

  #idToken({ client, nonce, user }: Pending): string {
    const { fault } = this;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: fault === 'issuer' ? 'https://elsewhere.example' : this.issuer,
      aud: fault === 'audience' ? 'somebody-else' : client,
      sub: user.sub,
      nonce: fault === 'nonce' ? 'another' : nonce,
      iat: now,
      exp: fault === 'expired' ? now - 3600 : now + 300,
      email: user.email,
      email_verified: fault !== 'unverified-email',
      ...(user.handle === undefined ? {} : { bartizan_handle: user.handle }),
    };
    const head = `${b64({ alg: fault === 'no-signature' ? 'none' : 'ES256', kid: this.#kid, typ: 'JWT' })}.${b64(claims)}`;
    if (fault === 'no-signature') return `${head}.`;
    const key = fault === 'foreign-key' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : this.#key;
    return `${head}.${b64(sign('sha256', Buffer.from(head), { key, dsaEncoding: 'ieee-p1363' }))}`;
  }
}
