import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { request } from 'node:http';
import { proofBytes } from '#api';
import { canonicalJson, fromBase64url, type Json, toBase64url, uuidv7 } from '#base';
import {
  type Approvable,
  type Channel,
  challengeOf,
  type EnrolKey,
  type Field,
  type Grant,
  hpkeOpen,
  hpkeSeal,
  messageHashes,
  type PublicKeys,
  type Receipt,
  type Send,
  type Signable,
  type SignIn,
  type Topic,
  type Variables,
  verifyReceipt,
  x25519Raw,
} from '#seal';
import { assertion, newPasskey, type SoftwarePasskey } from '#sim';

export interface Origins {
  readonly console: string;
  readonly glass: string;
}

export interface Answered {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Somebody at a browser, played with a SOFTWARE PASSKEY: for tests, the unattended demonstration and the drills only. Does
 * over HTTP exactly what the pages do; has no other way in.
 */
export class Person {
  readonly origins: Origins;
  readonly passkey: SoftwarePasskey;
  admin: string;
  #cookie = '';
  readonly #session = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  constructor(origins: Origins, admin: string, passkey: SoftwarePasskey = newPasskey({ admin })) {
    this.origins = origins;
    this.admin = admin;
    this.passkey = passkey;
  }

  /** Opens a one-time link: registers the passkey with both guards. */
  async join(token: string): Promise<Answered> {
    const enrol: EnrolKey = {
      v: 1,
      op: 'enrol-key',
      token,
      credential: this.passkey.credential,
      publicKey: this.passkey.publicKey,
      notAfter: Date.now() + 5 * 60_000,
    };
    return send(this.origins.glass, 'POST', '/api/enrol-key', { enrol, assertion: this.touch(enrol) });
  }

  /** Signs in to the console. */
  async signIn(): Promise<Answered> {
    const key = this.sessionKey;
    const asked = await send(this.origins.console, 'POST', '/api/session/challenge', { key });
    const document = asked.body['document'] as SignIn | undefined;
    if (document === undefined) return asked;
    const answer = await send(this.origins.console, 'POST', '/api/session', {
      ...{ document, assertion: this.touch(document), key },
    });
    const cookie = answer.headers['set-cookie'];
    if (cookie !== undefined) this.#cookie = String(cookie).split(';')[0]!;
    return answer;
  }

  /** The session cookie: what a thief of the browser's storage has. */
  get cookie(): string {
    return this.#cookie;
  }

  set cookie(stolen: string) {
    this.#cookie = stolen;
  }

  /** The public part of the key that this person's browser holds for its session. */
  get sessionKey(): string {
    return toBase64url(this.#session.publicKey.export({ format: 'der', type: 'spki' }));
  }

  /** What the browser adds to a request to show that it holds the session's key. */
  proof(method: string, path: string, body: Uint8Array = new Uint8Array(0), time = Date.now()): string {
    const nonce = randomBytes(16).toString('base64url');
    const bytes = proofBytes({ console: this.origins.console, method, path, body }, time, nonce);
    const key = { key: this.#session.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${time}.${nonce}.${sign('sha256', bytes, key).toString('base64url')}`;
  }

  /** A request to the console's API. */
  async call(method: string, path: string, body?: unknown): Promise<Answered> {
    const text = body === undefined ? '' : JSON.stringify(body);
    return send(this.origins.console, method, path, body, this.#cookie, {
      'x-bartizan-proof': this.proof(method, path, Buffer.from(text)),
    });
  }

  /** Asks for values; one touch. Values that the guards opened, or the refusal. */
  async reveal(
    field: Field,
    subjects: readonly string[],
    purpose: string,
  ): Promise<{ values: Record<string, string>; answer: Answered }> {
    const { privateKey } = generateKeyPairSync('x25519');
    const grant: Grant = {
      v: 1,
      op: 'reveal',
      id: uuidv7(),
      admin: this.admin,
      field,
      subjects: [...new Set(subjects)].sort(),
      purpose,
      notAfter: Date.now() + 5 * 60_000,
      browserKey: toBase64url(x25519Raw(privateKey)),
    };
    const answer = await send(this.origins.glass, 'POST', '/api/reveal', { grant, assertion: this.touch(grant) });
    if (answer.status !== 200) return { values: {}, answer };
    const { enc, ct, receipt } = answer.body as unknown as { enc: string; ct: string; receipt: Receipt };
    const keys = (await send(this.origins.glass, 'GET', '/api/keys')).body['keys'] as unknown as PublicKeys;
    if (!verifyReceipt(keys.ledger, receipt)) throw new Error('the receipt is not the ledger’s');
    const plain = hpkeOpen(privateKey, Buffer.concat([fromBase64url(enc), fromBase64url(ct)]), {
      info: 'bartizan reveal v1',
      aad: Buffer.from(canonicalJson(receipt as unknown as Json)),
    });
    return { values: (JSON.parse(plain.toString('utf8')) as { values: Record<string, string> }).values, answer };
  }

  /** Releases one secret of a device to the device plane; one touch. Nobody sees it. */
  async release(field: 'unlock-token' | 'bootstrap-token', device: string, purpose: string): Promise<Answered> {
    const keys = (await send(this.origins.glass, 'GET', '/api/keys')).body['keys'] as unknown as PublicKeys;
    const grant: Grant = {
      ...{ v: 1, op: 'reveal', id: uuidv7(), admin: this.admin, field, subjects: [device], purpose },
      ...{ notAfter: Date.now() + 5 * 60_000, browserKey: keys.release },
    };
    return send(this.origins.glass, 'POST', '/api/release', { grant, assertion: this.touch(grant) });
  }

  /** Sends one message to one person by handle; one touch. */
  async message(to: string, channel: Channel, topic: Topic, variables: Variables): Promise<Answered> {
    const keys = (await send(this.origins.glass, 'GET', '/api/keys')).body['keys'] as unknown as PublicKeys;
    const message: Send = {
      ...{ v: 1, op: 'send', id: uuidv7(), admin: this.admin, channel, topic, subject: to },
      ...messageHashes(topic, keys.org, variables),
      notAfter: Date.now() + 3_600_000,
    };
    const sealed = hpkeSeal(
      fromBase64url(keys.courier ?? ''),
      Buffer.from(canonicalJson(variables as unknown as Json)),
      {
        ...{ info: 'bartizan message v1', aad: Buffer.from(message.id) },
      },
    );
    return send(this.origins.glass, 'POST', '/api/send', {
      ...{ message, assertion: this.touch(message), box: toBase64url(sealed) },
    });
  }

  /** Signs an approval on glass. */
  async approve(id: string): Promise<Answered> {
    const shown = await send(this.origins.glass, 'GET', `/api/approvals/${id}`);
    const document = shown.body['document'] as Approvable | undefined;
    if (document === undefined) return shown;
    return send(this.origins.glass, 'POST', `/api/approvals/${id}/signatures`, { assertion: this.touch(document) });
  }

  touch(document: Signable) {
    return assertion(this.passkey, {
      challenge: challengeOf(document),
      origin: this.origins.glass,
      rpId: new URL(this.origins.glass).hostname,
    });
  }
}

/** One request to an origin of ours. Loopback is dialled directly: `*.localhost` resolves in browsers only. */
export function send(
  origin: string,
  method: string,
  path: string,
  body?: unknown,
  cookie = '',
  more: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const { host, port } = new URL(origin);
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        // A connection of its own: one that is kept may be closed by the server as it is used again.
        ...{ host: '127.0.0.1', port, method, path, timeout: 30_000, agent: false },
        headers: {
          ...{ host, origin, accept: 'application/json', 'x-bartizan': '1' },
          ...(cookie === '' ? {} : { cookie }),
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...(cookie === '' ? {} : more),
        },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => {
          const words = Buffer.concat(parts).toString('utf8');
          let parsed: unknown = {};
          try {
            parsed = words === '' ? {} : JSON.parse(words);
          } catch {
            parsed = { text: words };
          }
          resolve({
            status: response.statusCode ?? 0,
            body: parsed as Record<string, unknown>,
            headers: response.headers,
          });
        });
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.on('timeout', () => call.destroy(new Error('no answer in 30 s')));
    call.end(text);
  });
}

/** Everything of a paged answer. */
export async function allOf<T>(person: Person, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const joint = path.includes('?') ? '&' : '?';
    const page = await person.call('GET', cursor === '' ? path : `${path}${joint}after=${encodeURIComponent(cursor)}`);
    if (page.status !== 200) throw new Error(`the console answered ${page.status} to a list`);
    items.push(...(page.body['items'] as T[]));
    cursor = (page.body['next'] as string | null) ?? null;
  }
  return items;
}
