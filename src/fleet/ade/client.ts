import { randomBytes } from 'node:crypto';
import { oauthHeader, type ServerToken } from '#wire';
import { FleetError } from '../error.ts';

export const APPLE_ADE = 'https://mdmenrollment.apple.com';
const TIMEOUT_MS = 30_000;
const MOST_BYTES = 8 * 1024 * 1024;
const KNOWN = [
  ...['EXPIRED_CURSOR', 'INVALID_CURSOR', 'EXHAUSTED_CURSOR', 'CURSOR_REQUIRED', 'T_C_NOT_SIGNED'],
  ...['PROFILE_NOT_FOUND', 'DEVICE_ID_REQUIRED', 'FORBIDDEN', 'ACCESS_DENIED', 'UNAUTHORIZED'],
];

/** The service said no, or nothing. `code` is one of Apple's words in lower case, or ours: `unreachable`, `throttled`, `refused`. */
export class AdeProblem extends FleetError {
  /** Milliseconds that the service asked us to wait. */
  readonly waitMs: number | undefined;

  constructor(code: string, waitMs?: number) {
    super(code, `The device assignment service answered: ${code}.`, { status: 502 });
    this.waitMs = waitMs;
  }
}

/**
 * Speaks to Apple's device assignment service: a session by OAuth 1.0a, renewed when it ends, and JSON. One redirect is one too many.
 */
export class AdeClient {
  readonly #endpoint: string;
  readonly #token: ServerToken;
  #session: string | undefined;

  constructor(endpoint: string, token: ServerToken) {
    this.#endpoint = endpoint.replace(/\/$/, '');
    this.#token = token;
  }

  /** One request; a session that ended is made anew once. Throws AdeProblem. */
  async ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown> {
    for (let attempt = 0; ; attempt += 1) {
      this.#session ??= await this.#open();
      const answer = await this.#send(method, path, { 'x-adm-auth-session': this.#session }, body);
      this.#session = answer.headers.get('x-adm-auth-session') ?? this.#session;
      const text = await bounded(answer);
      if (answer.ok) return readJson(text);
      const ended = answer.status === 401 || (answer.status === 403 && /FORBIDDEN|UNAUTHORIZED/.test(text));
      if (ended) this.#session = undefined;
      if (!ended || attempt > 0) throw problemOf(answer, text);
    }
  }

  async #open(): Promise<string> {
    const url = `${this.#endpoint}/session`;
    const authorization = oauthHeader(this.#token, {
      ...{ method: 'GET', url, now: Date.now() },
      nonce: randomBytes(16).toString('hex'),
    });
    const answer = await this.#send('GET', '/session', { authorization });
    const text = await bounded(answer);
    if (!answer.ok) throw problemOf(answer, text);
    const session = (readJson(text) as { auth_session_token?: unknown }).auth_session_token;
    if (typeof session !== 'string' || !/^[\x21-\x7e]{1,1024}$/.test(session)) throw new AdeProblem('refused');
    return session;
  }

  async #send(method: string, path: string, headers: Record<string, string>, body?: object): Promise<Response> {
    try {
      return await fetch(`${this.#endpoint}${path}`, {
        method,
        headers: { ...headers, 'x-server-protocol-version': '3', 'content-type': 'application/json;charset=UTF8' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      throw new AdeProblem('unreachable');
    }
  }
}

async function bounded(answer: Response): Promise<string> {
  let text = '';
  try {
    for await (const part of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
      text += Buffer.from(part).toString('latin1');
      if (text.length > MOST_BYTES) throw new AdeProblem('refused');
    }
  } catch (error) {
    if (error instanceof AdeProblem) throw error;
    throw new AdeProblem('unreachable');
  }
  return Buffer.from(text, 'latin1').toString('utf8');
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text === '' ? '{}' : text);
  } catch {
    throw new AdeProblem('refused');
  }
}

function problemOf(answer: Response, text: string): AdeProblem {
  const wait = Number(answer.headers.get('retry-after'));
  if (answer.status === 429 || answer.status === 503) {
    return new AdeProblem('throttled', Number.isFinite(wait) && wait > 0 ? wait * 1000 : undefined);
  }
  const word = KNOWN.find((one) => text.includes(one));
  if (answer.status === 401) return new AdeProblem('unauthorized');
  return new AdeProblem(word?.toLowerCase() ?? 'refused');
}
